"""TensorFlow Serving's REST API over HTTP/1.1.

Paths, answers, errors and their statuses are those of
https://www.tensorflow.org/tfx/serving/api_rest, `http_rest_api_util.cc` and `http_server.cc`.
Whatever goes wrong is answered with {"error": "…"}.
"""

import asyncio
import contextlib
import errno
import json
import logging as logging_of_aiohttp
import os
import re
import time
import urllib.parse
from pathlib import Path

from absl import logging
from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from export import openapi, tensors
from export.errors import ServingError, from_exception, invalid
from export.servables import UnknownSignature, is_within
from frame_io.errors import InputError, one_line

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
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; connect-src 'self' http: https:;"
    " object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Slow clients hold their connection so long and no longer.
_HEADER_S = (
    20.0  # For TLS to be agreed on, for the first request's head to arrive, for any other's.
)
_BODY_S = 60.0  # For a whole body to arrive.
_WRITE_S = 60.0  # For the client to take a whole answer.
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

    It ends when the head of a request, or the taking of an answer, lasts too long.

    Attributes:
        ended: whether the client has said that it sends no more.
        body: the StreamReader of the body that is being read, or None.
    """

    __slots__ = ("_head_timer", "_max_connections", "_write_timer", "body", "ended")

    def __init__(self, server, max_connections, **kwargs):
        super().__init__(server, **kwargs)
        self._max_connections = max_connections
        self._head_timer = self._write_timer = None
        self.body = None
        self.ended = False

    def connection_made(self, transport):
        """Refuses one connection too many."""
        super().connection_made(transport)
        self._manager.transports[self] = transport
        self._head_timer = asyncio.get_running_loop().call_later(_HEADER_S, self.force_close)
        transport.set_write_buffer_limits(0)  # Any byte that waits starts the clock.
        if len(self._manager.connections) > self._max_connections:
            message = (
                f"more than {self._max_connections} connections, the server's --max_connections"
            )
            body = json.dumps({"error": message}).encode()
            head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
            head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            transport.write(head.encode() + body)
            self.force_close()

    def connection_lost(self, error):
        """Stops the clocks."""
        if self._manager:
            self._manager.transports.pop(self, None)
        super().connection_lost(error)
        for timer in (self._head_timer, self._write_timer):
            if timer:
                timer.cancel()

    def data_received(self, data):
        """Starts the clock with the first byte of a request's head, and stops it with the last."""
        super().data_received(data)
        self._time_head()

    def pause_writing(self):
        """Starts the clock when an answer waits for the client to take it."""
        super().pause_writing()
        if transport := self.transport:
            self._write_timer = asyncio.get_running_loop().call_later(_WRITE_S, transport.abort)

    def resume_writing(self):
        """Stops the clock when the client has taken all of it."""
        super().resume_writing()
        if self._write_timer:
            self._write_timer.cancel()

    def handle_error(self, request, status=500, exc=None, message=None):
        """The answer to what aiohttp cannot make a request of, or to a fault of this server."""
        if isinstance(exc, ContentEncodingError) and "Please install" in str(exc):
            # aiohttp's advice is for who runs a server, and not for who asks it.
            response = _error(415, "Content-Encoding: must be gzip, deflate or none")
        elif status < 500:
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
        if self.transport is None or self._awaits_head() or self.ssl_context:
            return None  # TLS has no half of a connection.
        asyncio.get_running_loop().call_later(_IDLE_S, self.transport.close)
        self.close()
        return True

    def _awaits_head(self):
        waiter = getattr(self, "_waiter", None)  # aiohttp's, pending while no request is there.
        return waiter is not None and not waiter.done()

    def _time_head(self):
        if not self._awaits_head():
            if self._head_timer:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None:
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(_HEADER_S, self.force_close)


def _ended_early():
    return invalid("the request's body ends early")


class _Connections(web.Server):
    """Makes the connections of a server."""

    def __init__(self, handler, max_connections, **kwargs):
        super().__init__(handler, **kwargs)
        self._max_connections = max_connections
        self.transports = {}

    async def abort(self):
        """Closes what is still open; what waits there for a client to take it is lost."""
        for transport in self.transports.values():
            transport.abort()
        while self.transports:
            await asyncio.sleep(0)

    def __call__(self):
        return _Connection(
            self,
            self._max_connections,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_IDLE_S,
            access_log=None,
        )


class RestServer:
    """Answers REST requests.

    Args:
        predictor: a `predict.Predictor`.
        metrics: a `metrics.Metrics`.
        admission: an `admission.Admission`.
        max_bytes: of a request's body.
        max_connections: that are open at a time.
        grace_s: seconds that requests that run have to be answered when the server stops.
        tls: a `credentials.Tls`; None for plain HTTP.
        metrics_path: where the page of metrics is; None for no page.
        cors: whether pages from elsewhere may call.
        demo: whether to serve the page to play with and the newest version's sample pictures.
    """

    def __init__(
        self,
        predictor,
        metrics,
        admission,
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
        self._admission = admission
        self._max_bytes = max_bytes
        self._max_connections = max_connections
        self._grace_s = grace_s
        self._tls = tls
        self._metrics_path = metrics_path
        self._cors = cors
        self._demo = demo
        # A document in Python is some twenty times as large as in JSON: not many at a time.
        self._parsing = asyncio.Semaphore(os.cpu_count() or 1)
        self._server = self._runner = self._connections = None
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

        connections = self._connections = _Connections(
            self._handle, self._max_connections, request_factory=request_factory
        )
        self._runner = web.ServerRunner(connections, shutdown_timeout=self._grace_s)
        await self._runner.setup()
        try:
            # A site of aiohttp's has no limit for the handshake.
            self._server = await loop.create_server(
                connections,
                host,
                port,
                ssl=self._tls and self._tls.context,
                ssl_handshake_timeout=_HEADER_S if self._tls else None,
            )
        except OSError as error:
            await self._runner.cleanup()
            reason = "is in use" if error.errno == errno.EADDRINUSE else one_line(error)
            raise InputError(f"--rest_api_port={port} on {host}: {reason}") from None
        return self._server.sockets[0].getsockname()[1]

    async def stop(self):
        """Stops listening, and waits for requests that run."""
        self._stopping = True
        if self._server:
            # What has been accepted becomes a connection first: Python 3.11's server, once it is
            # closed, would drop it unclosed.
            for listening in self._server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
            for _ in range(3):
                await asyncio.sleep(0)
            self._server.close()
        if self._runner:
            await self._runner.cleanup()
            await self._connections.abort()

    async def _handle(self, request):
        with self._admission.buffer() as hold:
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
            response = _error(error.http_status, error.message)
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
                if self._admission.wants_token:
                    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            seconds = time.perf_counter() - start
            method = names.get("method")
            timing = (method, "REST", seconds) if method else ()
            self._metrics.answered(names.get("model", ""), code, *timing)
        for name, value in _SECURITY.items():
            response.headers.setdefault(name, value)
        if self._stopping:
            response.force_close()  # So that the client does not ask again here.
        return response

    async def _answer(self, request, path, names, hold):
        self._admission.pace(request.remote or "")
        api = _API.fullmatch(path)
        file = None if api else self._page_file(path)
        # The page has no secrets and asks for the token; a browser shows none before it calls.
        if not (file or (api and request.method == "OPTIONS")):
            self._admission.authenticate(request.headers.get("Authorization"))
        if api:
            if request.method == "OPTIONS":
                if not re.search("https?://", request.headers.get("Origin", "")):
                    raise ServingError(
                        "FAILED_PRECONDITION", "Origin header is missing in CORS preflight"
                    )
                return web.Response()
            return await self._answer_api(request, path, names, hold)
        content = _content(file) if file else self._document(path)
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
        if file:
            response.headers["Content-Security-Policy"] = _PAGE_POLICY
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
            body = await self._body(request, hold)
            with self._admission.work():
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
                document = await asyncio.to_thread(tensors.read_document, body)
            else:
                document = tensors.read_document(body)
            spec.signature_name = tensors.read_signature_name(document)
            rows = "instances" in document

            async def read(signature):
                nonlocal document
                arguments = (document, signature.inputs, self._predictor.limits)
                if not large:
                    return tensors.read_json(*arguments)
                inputs = await asyncio.to_thread(tensors.read_json, *arguments)
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
            return tensors.write_json(outputs, rows)
        return await asyncio.to_thread(tensors.write_json, outputs, rows)

    async def _body(self, request, hold):
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
        body = bytearray()
        try:
            if connection.ended and not request.content.is_eof():
                raise _ended_early()
            connection.body = request.content
            async with asyncio.timeout(_BODY_S):
                # Held is what has come, not what is announced: who is slow takes no one's place.
                while chunk := await request.content.readany():
                    hold(len(chunk))
                    body += chunk
                    if len(body) > self._max_bytes:
                        raise too_large
            return body
        except ServingError:
            request.content.feed_eof()  # Else aiohttp would linger for the rest.
            raise
        except TimeoutError:
            request.content.feed_eof()
            message = f"the request did not arrive within {_BODY_S:.0f} s"
            raise ServingError("DEADLINE_EXCEEDED", message, 408) from None
        except (web.RequestPayloadError, ConnectionError, ValueError) as error:
            raise invalid(f"the request's body cannot be read: {one_line(error)}") from None
        finally:
            connection.body = None

    def _page_file(self, path):
        """The file of the page to play with at a path; None if there is none."""
        if not self._demo:
            return None
        # By name from a list: nothing outside the folder can be asked for.
        files = {file.name: file for file in _DEMO.iterdir() if file.suffix in _CONTENT_TYPES}
        return files.get(urllib.parse.unquote(path[1:]) or "index.html")

    def _document(self, path):
        """The content and its type at another path outside the API; None if there is nothing."""
        if path == self._metrics_path:
            return self._metrics.page(), "text/plain"
        if path == "/openapi.json":
            description = openapi.describe(
                self._predictor,
                metrics_path=self._metrics_path,
                demo=self._demo,
                wants_token=self._admission.wants_token,
            )
            return json.dumps(description).encode(), "application/json"
        if self._demo and path == "/samples.json":
            listed = {"model": self._predictor.name, "samples": sorted(self._samples())}
            return json.dumps(listed).encode(), "application/json"
        if self._demo and path.startswith("/samples/"):
            file = self._samples().get(urllib.parse.unquote(path.removeprefix("/samples/")))
            return file and _content(file)
        return None

    def _samples(self):
        version = self._predictor.newest().path
        files = (version / _SAMPLES).glob("*.png")
        return {f.name: f for f in files if f.is_file() and is_within(version, f)}


def _content(file):
    return file.read_bytes(), _CONTENT_TYPES[file.suffix]


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
