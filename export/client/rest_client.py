"""A client of TensorFlow Serving's REST API."""

import base64
import urllib.parse

import numpy as np

from export.client.model_client import LOOPBACK, ModelClient, ServerError, flat
from frame_io.errors import one_line


class RestClient(ModelClient):
    """Speaks TF Serving's REST API, columns form."""

    def __init__(self, *args):
        super().__init__(*args)
        import requests

        self._session = requests.Session()
        # A proxy is for what is not on this machine.
        self._session.trust_env = urllib.parse.urlsplit(self.server).hostname not in LOOPBACK
        if self._authorization:
            self._session.auth = self._authorize  # A header would give way to a .netrc file.

    def _authorize(self, request):
        request.headers["Authorization"] = self._authorization
        return request

    def status(self):
        """{"model_version_status": [{"version", "state", "status"}]}."""
        return self._call("GET", "")

    def metadata(self):
        """{"model_spec": …, "metadata": {"signature_def": {"signature_def": …}}}."""
        return self._call("GET", "/metadata")

    def _predict(self, arrays, signature):
        inputs = {name: _to_json(array.tolist()) for name, array in arrays.items()}
        request = {"signature_name": signature, "inputs": inputs}
        answer = self._call("POST", ":predict", request)
        specs = self._signature(signature)["outputs"]
        try:
            outputs = answer["outputs"]
            # Of a single output the value stands there without its name.
            outputs = dict(zip(specs, [outputs], strict=True)) if len(specs) == 1 else outputs
            return {
                name: np.asarray(_from_json(outputs[name]), dtype) for name, dtype in specs.items()
            }
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise self.foreign() from error

    def _call(self, method, what, body=None):
        import requests

        url = f"{self.server}/v1/models/{urllib.parse.quote(self.model, safe='')}"
        if self.version is not None:
            url += f"/versions/{self.version}"
        if self.label is not None:
            url += f"/labels/{urllib.parse.quote(self.label, safe='')}"
        try:
            answer = self._session.request(
                method,
                url + what,
                json=body,
                timeout=self.timeout_s,
                # Here, because the environment overrules what the session has.
                verify=self._ca_certificate or True,
            )
        except requests.Timeout:
            raise self._late() from None
        except requests.ConnectionError as error:
            root = _root(error)
            if isinstance(root, TimeoutError):  # In the middle of an answer.
                raise self._late() from error
            raise self._unreachable(getattr(root, "strerror", None) or flat(root)) from error
        except (requests.RequestException, ValueError) as error:
            raise ServerError(f"{self.server}: {one_line(error)}") from error
        try:
            content = answer.json()
        except ValueError:
            content = None
        if answer.ok and isinstance(content, dict):
            return content
        if answer.ok:
            raise self.foreign()
        message = content.get("error") if isinstance(content, dict) else None
        if message and answer.status_code == 404:
            raise self._missing(flat(message))
        message = flat(message or answer.reason or "no reason given")
        raise ServerError(f"{self.server}: HTTP {answer.status_code}: {message}")


def _to_json(value):
    """Bytes, however deep in lists, as JSON has them."""
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value


def _from_json(value):
    if isinstance(value, list):
        return [_from_json(each) for each in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"], validate=True)
    return value.encode() if isinstance(value, str) else value


def _root(error):
    """What a library wrapped in errors of its own."""
    while error.__context__ is not None:
        error = error.__context__
    return error
