"""TensorFlow Serving's REST API over HTTP/1.1.

Paths, answers, errors and their statuses are those of
https://www.tensorflow.org/tfx/serving/api_rest, `http_rest_api_util.cc` and `http_server.cc`.
Whatever goes wrong is answered with {"error": "…"}.
"""

import asyncio
import errno
import json
import logging as logging_of_aiohttp
import re
import time
import urllib.parse
from pathlib import Path

from absl import logging
from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from export import tensors
from export.command_line import InputError, one_line
from export.errors import ServingError, from_exception, invalid
from export.servables import UnknownSignature

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

_BODY_S = 60.0  # For a whole body to arrive.
_IDLE_S = 75.0  # Until a connection without a request is closed.
_LARGE = 1 << 16  # Bytes of a body, or values of an answer, that take long to read or write.

_DEMO = Path(__file__).parent / "demo"
_SAMPLES = Path("assets.extra") / "samples"
_CONTENT_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


class _Connection(web.RequestHandler):
    """A connection that answers in JSON also what is no proper HTTP, and one who only listens.

    Attributes:
        ended: whether the client has said that it sends no more.
        body: the StreamReader of the body that is being read, or None.
    """

    __slots__ = ("body", "ended")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.body = None
        self.ended = False

    def handle_error(self, request, status=500, exc=None, message=None):
        """The answer to what aiohttp cannot make a request of, or to a fault of this server."""
        if status < 500:
            response = _error(status, f"Malformed request: {one_line(message or exc or status)}")
        else:
            logging.error("internal error", exc_info=exc)
            response = _error(status, f"internal error: {one_line(exc or status)}")
        response.force_close()
        return response

    def eof_received(self):
        """Keeps the connection for the answer, if one is due."""
        self.ended = True
        if self.body is not None:
            self.body.set_exception(_ended_early())
        waiter = getattr(self, "_waiter", None)  # aiohttp's, pending while no request is there.
        if self.transport is None or (waiter is not None and not waiter.done()):
            return None
        asyncio.get_running_loop().call_later(_IDLE_S, self.transport.close)
        self.close()
        return True


def _ended_early():
    return invalid("the request's body ends early")


class _Connections(web.Server):
    """Makes the connections of a server."""

    def __call__(self):
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_IDLE_S,
            access_log=None,
        )


class RestServer:
    """Answers REST requests.

    Args:
        predictor: a `predict.Predictor`.
        metrics: a `metrics.Metrics`.
        metrics_path: where its page is; None for no page.
        max_bytes: of a request's body.
        grace_s: seconds that requests that run have to be answered when the server stops.
        cors: whether pages from elsewhere may call.
        demo: whether to serve the page to play with and the newest version's sample pictures.
    """

    def __init__(self, predictor, metrics, metrics_path, max_bytes, grace_s, cors, demo):
        self._predictor = predictor
        self._metrics = metrics
        self._metrics_path = metrics_path
        self._max_bytes = max_bytes
        self._grace_s = grace_s
        self._cors = cors
        self._demo = demo
        self._runner = None
        self._stopping = False

    async def start(self, host, port):
        """Listens; returns the port, which is any free one if `port` is 0.

        Raises:
            InputError: the port cannot be had.
        """
        loop = asyncio.get_running_loop()
        # It logs a traceback of whatever a client does wrong; what the server does is logged here.
        logging_of_aiohttp.getLogger("aiohttp.server").setLevel(logging_of_aiohttp.CRITICAL)

        def request_factory(message, payload, protocol, writer, task):
            return web.BaseRequest(
                message, payload, protocol, writer, task, loop, client_max_size=self._max_bytes
            )

        connections = _Connections(self._handle, request_factory=request_factory)
        self._runner = web.ServerRunner(connections, shutdown_timeout=self._grace_s)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            reason = "is in use" if error.errno == errno.EADDRINUSE else one_line(error)
            raise InputError(f"--rest_api_port={port} on {host}: {reason}") from None
        return self._runner.addresses[0][1]

    async def stop(self):
        """Stops listening, and waits for requests that run."""
        self._stopping = True
        if self._runner:
            await self._runner.cleanup()

    async def _handle(self, request):
        start = time.perf_counter()
        path = request.rel_url.raw_path
        api = _API.fullmatch(path)
        names = {}
        code = "OK"
        try:
            response = await self._answer(request, path, names)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            error = from_exception(error)
            code = error.code
            response = _error(error.http_status, error.message)
            if error.http_status == 405:
                response.headers["Allow"] = "GET, HEAD"
            if error.http_status in (408, 413):
                response.force_close()  # The rest of the body is not waited for.
        if api:
            if self._cors:
                response.headers.update(_CORS)
            seconds = time.perf_counter() - start
            method = names.get("method")
            timing = (method, "REST", seconds) if method else ()
            self._metrics.answered(names.get("model", ""), code, *timing)
        if self._stopping:
            response.force_close()  # So that the client does not ask again here.
        return response

    async def _answer(self, request, path, names):
        if _API.fullmatch(path):
            if request.method == "OPTIONS":
                if not re.search("https?://", request.headers.get("Origin", "")):
                    raise ServingError(
                        "FAILED_PRECONDITION", "Origin header is missing in CORS preflight"
                    )
                return web.Response()
            return await self._answer_api(request, path, names)
        content = self._page(path)
        if content is None:
            hint = "; --demo serves a page there" if path == "/" and not self._demo else ""
            raise ServingError("NOT_FOUND", f"Not found: {path}{hint}")
        if request.method not in ("GET", "HEAD"):
            raise ServingError("UNIMPLEMENTED", f"{request.method} is not allowed here", 405)
        body, content_type = content
        return web.Response(
            body=body,
            content_type=content_type,
            charset=None if content_type == "image/png" else "utf-8",
            headers={
                "Cache-Control": "no-cache",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "frame-ancestors 'none'",
            },
        )

    async def _answer_api(self, request, path, names):
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
            return _json(await self._predict(spec, await self._body(request)))
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
        if len(body) < _LARGE:
            document = tensors.read_document(body)
        else:
            document = await asyncio.to_thread(tensors.read_document, body)
        spec.signature_name = tensors.read_signature_name(document)

        async def read(signature):
            limits = self._predictor.limits
            if len(body) < _LARGE:
                return tensors.read_json(document, signature.inputs, limits)
            return await asyncio.to_thread(tensors.read_json, document, signature.inputs, limits)

        try:
            _, _, outputs = await self._predictor.predict(spec, read)
        except UnknownSignature as error:
            raise invalid(
                f'Serving signature name: "{error.name}" not found in signature def'
            ) from None
        rows = tensors.in_rows(document)
        if sum(array.size for array in outputs.values()) < _LARGE >> 3:
            return tensors.write_json(outputs, rows)
        return await asyncio.to_thread(tensors.write_json, outputs, rows)

    async def _body(self, request):
        too_large = ServingError(
            "RESOURCE_EXHAUSTED",
            f"the request has more than {self._max_bytes >> 20} MB, the server's --max_request_mb",
            413,
        )
        if (request.content_length or 0) > self._max_bytes:
            raise too_large
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        connection = request.protocol
        try:
            if connection.ended and not request.content.is_eof():
                raise _ended_early()
            connection.body = request.content
            async with asyncio.timeout(_BODY_S):
                return await request.read()
        except ServingError:
            request.content.feed_eof()  # Else aiohttp would linger for the rest.
            raise
        except TimeoutError:
            request.content.feed_eof()
            message = f"the request did not arrive within {_BODY_S:.0f} s"
            raise ServingError("DEADLINE_EXCEEDED", message, 408) from None
        except web.HTTPRequestEntityTooLarge:
            raise too_large from None
        except (web.RequestPayloadError, ConnectionError, ValueError) as error:
            raise invalid(f"the request's body cannot be read: {one_line(error)}") from None
        finally:
            connection.body = None

    def _page(self, path):
        """The content and its type at a path outside the API; None if there is nothing."""
        if path == self._metrics_path:
            return self._metrics.page(), "text/plain"
        if not self._demo:
            return None
        if path == "/samples.json":
            listed = {"model": self._predictor.name, "samples": sorted(self._samples())}
            return json.dumps(listed).encode(), "application/json"
        if path.startswith("/samples/"):
            file = self._samples().get(urllib.parse.unquote(path.removeprefix("/samples/")))
        else:
            # By name from a list: nothing outside the folder can be asked for.
            files = {file.name: file for file in _DEMO.iterdir() if file.is_file()}
            file = files.get(urllib.parse.unquote(path[1:]) or "index.html")
        if file is None or file.suffix not in _CONTENT_TYPES:
            return None
        return file.read_bytes(), _CONTENT_TYPES[file.suffix]

    def _samples(self):
        folder = self._predictor.newest().path / _SAMPLES
        return {file.name: file for file in folder.glob("*.png") if file.is_file()}


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


def _error(status, message):
    body = json.dumps({"error": message}, ensure_ascii=False).encode(errors="replace")
    return web.Response(status=status, body=body, content_type="application/json")
