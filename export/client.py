"""Draws the frames between pictures by asking a server: TF Serving, or this package's own.

    python -m export.client --first=a.png --second=b.png --frames=7 --output=between.gif

Over REST, or over gRPC with --server=grpc://127.0.0.1:8500; with TLS https:// and grpcs://. In
Python:

    client = connect("http://127.0.0.1:8501", "teapot")
    frames, confidence = draw(client, first_bytes, second_bytes, [0.25, 0.5, 0.75])

REST needs no TensorFlow here, and neither needs the code of the model.
"""

import base64
import io
import itertools
import os
import sys
import urllib.parse
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
from absl import flags

from export import credentials, picture_files
from frame_io import command_line, writing
from frame_io.errors import InputError, one_line

FLAGS = flags.FLAGS

_TIMEOUT_S = 30.0
_GRPC_PORT = 8500
_MAX_FRAMES = 256  # Of a request, so that no server finds it too large, nor takes too long.
_LOW_CONFIDENCE = 0.5
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ServerError(InputError):
    """The server could not be reached, did not answer in time, or answered with an error."""


def connect(
    server,
    model,
    timeout_s=_TIMEOUT_S,
    version=None,
    label=None,
    *,
    ca_certificate=None,
    token=None,
):
    """A client of one model on one server.

    Nothing is sent before the first call.

    Args:
        server: `http://HOST:PORT`, `grpc://HOST:PORT`, or with TLS `https://…`, `grpcs://…`.
        model: the name under which it is served.
        timeout_s: the longest wait for any one answer, in seconds.
        version: whole number of the version to ask; None for the newest.
        label: of the version to ask, such as "stable"; not both of them.
        ca_certificate: path of the PEM file of who signed the server's certificate; None for those
            that are trusted anyway.
        token: what the server wants to be shown; None for nothing.

    Returns:
        A `RestClient` or a `GrpcClient`. They answer alike.

    Raises:
        InputError: for another kind of address, both a version and a label, a certificate that
            cannot be read or is of no use, or a token that others could read on its way.
    """
    kinds = {"http": RestClient, "https": RestClient, "grpc": GrpcClient, "grpcs": GrpcClient}
    try:
        url = urllib.parse.urlsplit(server)
        valid = url.scheme in kinds and url.hostname and url.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"{server!r} is no server: http://HOST:PORT or grpc://HOST:PORT")
    if version is not None and label is not None:
        raise InputError("a version or a label, not both")
    encrypted = url.scheme in ("https", "grpcs")
    if ca_certificate is not None:
        if not encrypted:
            raise InputError(f"--ca_certificate: {server} has no TLS; use https:// or grpcs://")
        credentials.check_authority(ca_certificate)
    if token is not None and not encrypted and url.hostname not in _LOOPBACK:
        raise InputError(f"{server}: the token could be read on its way; use https:// or grpcs://")
    return kinds[url.scheme](server, model, timeout_s, version, label, ca_certificate, token)


def draw(client, first_bytes, second_bytes, t):
    """Draws frames between two pictures.

    Args:
        client: what `connect` returned.
        first_bytes, second_bytes: a PNG or a JPEG file, such as `picture_files.read` gives.
        t: a sequence of numbers in [0, 1].

    Returns:
        The frames, a list of PNG files as bytes, one for every t; and the confidence in (0, 1]:
        how near the pictures are to what the model was trained on.

    Raises:
        ServerError: if the server fails or refuses.
    """
    ends = {"first_bytes": [first_bytes], "second_bytes": [second_bytes]}
    found = client.predict({**ends, "t": [0.5]}, "inbetween_png").get("confidence")
    if found is None or found.shape != (1,) or found.dtype.kind != "f":
        raise client.foreign()
    frames = []
    for start in range(0, len(t), _MAX_FRAMES):
        times = t[start : start + _MAX_FRAMES]
        files = client.predict({**ends, "t": [times]}, "sequence_png").get("frame_bytes")
        if files is None or files.shape != (1, len(times)):
            raise client.foreign()
        if not all(isinstance(file, bytes) for file in files[0]):
            raise client.foreign()
        frames.extend(files[0])
    return frames, float(found[0])


class _Client:
    """What both protocols share. `predict` is for any signature of any model."""

    def __init__(self, server, model, timeout_s, version, label, ca_certificate, token):
        self.server = server.rstrip("/")
        self.model = model
        self.timeout_s = timeout_s
        self.version = version
        self.label = label
        self._ca_certificate = ca_certificate
        self._authorization = token and f"Bearer {token}"
        self._signatures = None

    def predict(self, inputs, signature="serving_default"):
        """Runs the model.

        Args:
            inputs: a dict of names to arrays or nested lists of numbers, strings or bytes. They
                are cast to what the signature takes.
            signature: its name.

        Returns:
            A dict of names to NumPy arrays; strings are bytes in an array of objects.

        Raises:
            InputError: for a signature or an input that the model does not have.
            ServerError: if the server fails or refuses.
        """
        wanted = self._signature(signature)["inputs"]
        unknown = sorted(inputs.keys() - wanted.keys())
        if unknown:
            names = ", ".join(sorted(wanted))
            raise InputError(f"signature {signature} has no input {unknown[0]!r}; it has {names}")
        arrays = {}
        for name, value in inputs.items():
            try:
                arrays[name] = np.asarray(value, wanted[name])
            except (TypeError, ValueError, OverflowError) as error:
                raise InputError(f"input {name}: {error}") from error
        return self._predict(arrays, signature)

    def _signature(self, name):
        if self._signatures is None:
            try:
                found = self.metadata()["metadata"]["signature_def"]["signature_def"]
                self._signatures = {
                    name: {
                        part: {key: _dtype(info["dtype"]) for key, info in signature[part].items()}
                        for part in ("inputs", "outputs")
                    }
                    for name, signature in found.items()
                    if name[:2]
                    != "__"  # TensorFlow's own __saved_model_init_op is not for calling.
                }
            except (KeyError, TypeError, AttributeError) as error:
                raise self.foreign() from error
        if name not in self._signatures:
            names = ", ".join(sorted(self._signatures))
            raise InputError(f"model {self.model} has no signature {name!r}; it has {names}")
        return self._signatures[name]

    def _missing(self, message):
        which = f" version {self.version}" if self.version is not None else ""
        which = f" label {self.label}" if self.label is not None else which
        return ServerError(f"{self.server} has no model {self.model}{which}: {message}")

    def _late(self):
        return ServerError(f"{self.server}: no answer within {self.timeout_s:g} s")

    def _unreachable(self, reason):
        return ServerError(f"{self.server} cannot be reached: {reason}")

    def foreign(self):
        """The error of an answer that no model of this project's gives."""
        return ServerError(f"{self.server} answers, but not as TF Serving does")


class RestClient(_Client):
    """Speaks TF Serving's REST API, columns form."""

    def __init__(self, *args):
        super().__init__(*args)
        import requests

        self._session = requests.Session()
        # A proxy is for what is not on this machine.
        self._session.trust_env = urllib.parse.urlsplit(self.server).hostname not in _LOOPBACK
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
            raise self._unreachable(getattr(root, "strerror", None) or _flat(root)) from error
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
            raise self._missing(_flat(message))
        message = _flat(message or answer.reason or "no reason given")
        raise ServerError(f"{self.server}: HTTP {answer.status_code}: {message}")


class GrpcClient(_Client):
    """Speaks TF Serving's gRPC API. Imports TensorFlow, whose protocol buffers it is written in."""

    def __init__(self, *args):
        super().__init__(*args)
        import grpc

        url = urllib.parse.urlsplit(self.server)
        address = url.netloc if url.port else f"{url.netloc}:{_GRPC_PORT}"
        options = {
            "grpc.max_receive_message_length": -1,
            "grpc.max_send_message_length": -1,
            "grpc.enable_http_proxy": int(url.hostname not in _LOOPBACK),
        }
        options = list(options.items())
        if url.scheme == "grpcs":
            path = self._ca_certificate
            trusted = grpc.ssl_channel_credentials(path and Path(path).read_bytes())
            self._channel = grpc.secure_channel(address, trusted, options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._headers = []
        if self._authorization:
            self._headers.append(("authorization", self._authorization))

    def status(self):
        """{"model_version_status": [{"version", "state", "status"}]}."""
        from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

        request = get_model_status_pb2.GetModelStatusRequest()
        stub = model_service_pb2_grpc.ModelServiceStub(self._channel)
        return _to_dict(self._call(stub.GetModelStatus, request))

    def metadata(self):
        """{"model_spec": …, "metadata": {"signature_def": {"signature_def": …}}}."""
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        return _to_dict(self._call(self._prediction().GetModelMetadata, request))

    def _predict(self, arrays, signature):
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.signature_name = signature
        for name, array in arrays.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        answer = self._call(self._prediction().Predict, request)
        return {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}

    def _prediction(self):
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        return prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def _call(self, method, request):
        import grpc

        request.model_spec.name = self.model
        if self.version is not None:
            request.model_spec.version.value = self.version
        if self.label is not None:
            request.model_spec.version_label = self.label
        try:
            return method(request, timeout=self.timeout_s, metadata=self._headers)
        except grpc.RpcError as error:
            message = _flat(error.details() or "no reason given")
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self._late() from error
            if error.code() == grpc.StatusCode.NOT_FOUND:
                raise self._missing(message) from error
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise self._unreachable(message) from error
            raise ServerError(f"{self.server}: {error.code().name}: {message}") from error


def _dtype(name):
    """The NumPy type of TensorFlow's, "DT_FLOAT" say; object where NumPy has none."""
    named = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_STRING": "object"}
    try:
        return np.dtype(named.get(name) or name.removeprefix("DT_").lower())
    except TypeError:
        return np.dtype(object)


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


def _to_dict(message):
    from google.protobuf import json_format

    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _root(error):
    """What a library wrapped in errors of its own."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def _flat(message):
    return " ".join(str(message).split())


def _open(client, file):
    """The picture in a frame's file."""
    try:
        with warnings.catch_warnings(action="error"), PIL.Image.open(io.BytesIO(file)) as frame:
            frame.load()
            return frame.copy()
    except Exception as error:  # Decoders raise of everything for a damaged file.
        raise client.foreign() from error


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "server",
        "http://127.0.0.1:8501",
        "http://… for REST, grpc://… for gRPC; https://… and grpcs://… with TLS.",
    )
    flags.DEFINE_string(
        "ca_certificate", None, "PEM file of who signed the server's certificate, if few know them."
    )
    flags.DEFINE_string("token_file", None, "A file with the token that the server wants.")
    flags.DEFINE_string("model", "teapot", "The name under which the model is served.")
    flags.DEFINE_integer("model_version", None, "The version to ask. Default: the newest.", 0)
    flags.DEFINE_string("label", None, "The label of the version to ask, such as stable.")
    flags.DEFINE_float("timeout_s", _TIMEOUT_S, "The longest wait for any one answer.", 0.001)
    flags.DEFINE_string("first", None, "The picture to start from.", required=True)
    flags.DEFINE_string("second", None, "The picture to go to.", required=True)
    flags.DEFINE_multi_string("then", [], "A picture to go on to; may be given again.")
    flags.DEFINE_integer("frames", 7, "In-betweens to draw from each to the next.", 1, 10_000)
    flags.DEFINE_string(
        "output",
        None,
        "Where to: .gif, .webp, .apng, .mp4, .png (a strip) or %04d.png.",
        required=True,
    )
    flags.DEFINE_float("seconds_per_frame", 0.1, "How long an animation shows a frame.", 0.01)
    flags.DEFINE_integer("scale", 1, "Pixels drawn for every pixel of a frame.", 1, 64)
    flags.DEFINE_bool("ends", True, "Put the pictures themselves where the path meets them.")


def main():
    """Reads the pictures, has the server draw between them, writes the result."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # gRPC's messages import TensorFlow.
    paths = [FLAGS.first, FLAGS.second, *FLAGS.then]
    writing.check_writable(FLAGS.output, paths)
    pictures = [picture_files.read(path) for path in paths]
    client = connect(
        FLAGS.server,
        FLAGS.model,
        FLAGS.timeout_s,
        FLAGS.model_version,
        FLAGS.label,
        ca_certificate=FLAGS.ca_certificate,
        token=credentials.read_token(FLAGS.token_file),
    )
    t = np.linspace(0, 1, FLAGS.frames + 2)[1:-1].tolist()
    parts = []
    for pair, ends in zip(itertools.pairwise(paths), itertools.pairwise(pictures), strict=True):
        files, confidence = draw(client, *ends, t)
        parts.append([_open(client, file) for file in files])
        if confidence < _LOW_CONFIDENCE:
            why = "at least one of them is unlike the training pictures, or they are too far apart"
            line = f"warning: {', '.join(pair)}: confidence {confidence:.2g}: {why}"
            print(line, file=sys.stderr)
    if FLAGS.ends:
        ends = [picture_files.fit(picture, parts[0][0]) for picture in pictures]
        parts = [ends[:1], *([*part, end] for part, end in zip(parts, ends[1:], strict=True))]
    frames = [frame for part in parts for frame in part]
    picture_files.write(FLAGS.output, frames, FLAGS.seconds_per_frame, FLAGS.scale)
    print(f"wrote {FLAGS.output}: {len(frames)} frames")


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
