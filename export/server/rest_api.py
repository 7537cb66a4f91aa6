"""TensorFlow Serving's REST API: paths and answers.

Paths, answers, errors and their statuses are those of
https://www.tensorflow.org/tfx/serving/api_rest, `http_rest_api_util.cc` and `http_server.cc`.
"""

import asyncio
import contextlib
import json
import os
import re
import time
import urllib.parse

from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from export.server import demo_page, json_tensors, openapi
from export.server.errors import ServingError, from_exception, invalid
from export.server.http_connections import HttpServer, error_response
from export.server.servable import UnknownSignature

_PREDICTION = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?:(classify|regress|predict)",
    re.IGNORECASE,
)
_STATUS = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:/versions/([0-9]+)|/labels/([^/:]+))?(?:/(metadata))?",
    re.IGNORECASE,
)
_API = re.compile("/v1/.*", re.IGNORECASE | re.DOTALL)
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}

# What is answered is what it says that it is, and never a page of this server inside another.
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_LARGE = 1 << 16  # Bytes of a body, or values of an answer, that take long to read or write.


class RestServer:
    """Answers REST requests.

    Args:
        predictor: a `predict.Predictor`.
        metrics: a `metrics.Metrics`.
        access: an `access.Access`.
        max_bytes: of a request's body.
        max_connections: that are open at a time.
        grace_s: seconds for running requests to finish when the server stops.
        tls: a `credentials.Tls`; None for plain HTTP.
        metrics_path: where the page of metrics is; None for no page.
        cors: whether other origins may call.
        demo: whether to serve the demo page and the newest version's samples.
    """

    def __init__(
        self,
        predictor,
        metrics,
        access,
        *,
        max_bytes,
        max_connections,
        grace_s,
        tls,
        metrics_path,
        cors,
        demo,
    ):
        self._predictor = predictor
        self._metrics = metrics
        self._access = access
        self._metrics_path = metrics_path
        self._cors = cors
        self._demo = demo
        # A document in Python is some twenty times as large as in JSON: not many at a time.
        self._parsing = asyncio.Semaphore(os.cpu_count() or 1)
        self._http = HttpServer(
            self._handle,
            max_bytes=max_bytes,
            max_connections=max_connections,
            grace_s=grace_s,
            tls=tls,
        )

    async def start(self, host, port):
        """Listens; returns the port, which is any free one if `port` is 0.

        Raises:
            InputError: the port cannot be had.
        """
        return await self._http.start(host, port)

    async def stop(self):
        """Stops listening, and waits for requests that run."""
        await self._http.stop()

    async def _handle(self, request):
        with self._access.buffer() as hold:
            response = await self._respond(request, hold)
            # Here, and not in aiohttp, so that the answer counts until the client has taken it.
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                await response.write_eof()
        return response

    async def _respond(self, request, hold):
        start = time.perf_counter()
        path = request.rel_url.raw_path
        api = _API.fullmatch(path)
        names = {}
        code = "OK"
        try:
            response = await self._answer(request, path, names, hold)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            error = from_exception(error)
            code = error.code
            response = error_response(error.http_status, error.message)
            if error.http_status == 401:
                response.headers["WWW-Authenticate"] = "Bearer"
            if error.http_status == 405:
                response.headers["Allow"] = "GET, HEAD"
            if code == "RESOURCE_EXHAUSTED" and error.http_status in (429, 503):
                response.headers["Retry-After"] = "1"
            if error.http_status in (408, 413, 503):
                response.force_close()  # The rest of the body is not waited for.
        if api:
            if self._cors:
                response.headers.update(_CORS)
                if self._access.wants_token:
                    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            seconds = time.perf_counter() - start
            method = names.get("method")
            timing = (method, "REST", seconds) if method else ()
            self._metrics.answered(names.get("model", ""), code, *timing)
        for name, value in _SECURITY.items():
            response.headers.setdefault(name, value)
        if self._http.stopping:
            response.force_close()  # So that the client does not ask again here.
        return response

    async def _answer(self, request, path, names, hold):
        self._access.pace(request.remote or "")
        api = _API.fullmatch(path)
        page = demo_page.page_file(path) if self._demo and not api else None
        # The page has no secrets and asks for the token; a browser shows none before it calls.
        if not (page or (api and request.method == "OPTIONS")):
            self._access.authenticate(request.headers.get("Authorization"))
        if api:
            if request.method == "OPTIONS":
                if not re.search("https?://", request.headers.get("Origin", "")):
                    raise ServingError(
                        "FAILED_PRECONDITION", "Origin header is missing in CORS preflight"
                    )
                return web.Response()
            return await self._answer_api(request, path, names, hold)
        content = page or self._document(path)
        if content is None:
            hint = "; --demo serves a page there" if path == "/" and not self._demo else ""
            raise ServingError("NOT_FOUND", f"Not found: {path}{hint}")
        if request.method not in ("GET", "HEAD"):
            raise ServingError("UNIMPLEMENTED", f"{request.method} is not allowed here", 405)
        body, content_type = content
        response = web.Response(
            body=body,
            content_type=content_type,
            charset=None if content_type == "image/png" else "utf-8",
            headers={"Cache-Control": "no-cache"},
        )
        if page:
            response.headers["Content-Security-Policy"] = demo_page.PAGE_POLICY
        return response

    async def _answer_api(self, request, path, names, hold):
        malformed = invalid(f"Malformed request: {request.method} {path}")
        if request.method == "POST":
            match = _PREDICTION.fullmatch(path)
            if not match:
                raise malformed
            spec = _model_spec(*match.groups()[:3])
            names.update(model=spec.name, method=match[4].lower())
            if names["method"] != "predict":
                raise ServingError(
                    "UNIMPLEMENTED",
                    f"This server has no {names['method']} API: use predict, or TensorFlow Serving",
                )
            body = await self._http.read_body(request, hold)
            with self._access.work():
                answer = await self._predict(spec, body)
            hold(len(answer))
            return _json(answer)
        match = _STATUS.fullmatch(path) if request.method == "GET" else None
        if not match:
            raise malformed
        if match[1] is None:
            raise invalid("Missing model name in request.")
        spec = _model_spec(*match.groups()[:3])
        names.update(model=spec.name)
        if match[4]:
            return _json(_metadata_json(self._predictor.metadata(spec)))
        return _json(_message_json(self._predictor.status(spec)))

    async def _predict(self, spec, body):
        async with contextlib.AsyncExitStack() as parsing:
            large = len(body) >= _LARGE
            if large:
                await parsing.enter_async_context(self._parsing)
                document = await asyncio.to_thread(json_tensors.read_document, body)
            else:
                document = json_tensors.read_document(body)
            spec.signature_name = json_tensors.read_signature_name(document)
            rows = "instances" in document

            async def read(signature):
                nonlocal document
                arguments = (document, signature.inputs, self._predictor.limits)
                if not large:
                    return json_tensors.read_json(*arguments)
                inputs = await asyncio.to_thread(json_tensors.read_json, *arguments)
                del arguments, document
                await parsing.aclose()
                return inputs

            try:
                _, _, outputs = await self._predictor.predict(spec, read)
            except UnknownSignature as error:
                raise invalid(
                    f'Serving signature name: "{error.name}" not found in signature def'
                ) from None
        if sum(array.size for array in outputs.values()) < _LARGE >> 3:
            return json_tensors.write_json(outputs, rows)
        return await asyncio.to_thread(json_tensors.write_json, outputs, rows)

    def _document(self, path):
        """The content and its type at another path outside the API; None if there is nothing."""
        if path == self._metrics_path:
            return self._metrics.page(), "text/plain"
        if path == "/openapi.json":
            description = openapi.describe(
                self._predictor,
                metrics_path=self._metrics_path,
                demo=self._demo,
                wants_token=self._access.wants_token,
            )
            return json.dumps(description).encode(), "application/json"
        if self._demo and path == "/samples.json":
            names = demo_page.sample_names(self._predictor.newest().path)
            listed = {"model": self._predictor.name, "samples": names}
            return json.dumps(listed).encode(), "application/json"
        if self._demo and path.startswith("/samples/"):
            name = path.removeprefix("/samples/")
            return demo_page.sample(self._predictor.newest().path, name)
        return None


def _model_spec(name, version, label):
    spec = model_pb2.ModelSpec(name=_unquoted(name, "model name"))
    if version is not None:
        if int(version[:20]) >= 1 << 63:
            raise invalid(f"Failed to convert version: {version} to numeric.")
        spec.version.value = int(version[:20])
    if label is not None:
        spec.version_label = _unquoted(label, "model version label")
    return spec


def _unquoted(text, what):
    try:
        return urllib.parse.unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise invalid(f"Failed to decode {what}:{text}") from None


def _message_json(message):
    return json_format.MessageToJson(
        message, indent=1, always_print_fields_with_no_presence=True
    ).encode()


def _metadata_json(response):
    """The JSON of a GetModelMetadataResponse, its map of signatures unpacked."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    spec, definitions = (
        json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for message in (response.model_spec, signatures)
    )
    content = {"model_spec": spec, "metadata": {"signature_def": definitions}}
    return json.dumps(content, indent=1).encode()


def _json(body):
    return web.Response(body=body, content_type="application/json")
