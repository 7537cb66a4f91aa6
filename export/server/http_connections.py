"""HTTP/1.1 for slow, invalid or many clients: connections, timeouts, bodies.

Errors are answered with {"error": "…"}, as in TensorFlow Serving.
"""

import asyncio
import errno
import json
import logging as logging_of_aiohttp

from absl import logging
from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from export.server.errors import ServingError, invalid
from frame_io.errors import InputError, one_line

# Limits for slow clients.
_HEADER_S = 20.0  # For TLS to be agreed on; for the head of a request to arrive.
_BODY_S = 60.0  # For a whole body to arrive.
_WRITE_S = 60.0  # For the client to take a whole answer.
_IDLE_S = 75.0  # Until a connection without a request is closed.


class HttpServer:
    """Listens, and has every request answered.

    Attributes:
        stopping: whether it was told to stop.

    Args:
        handle: an async function of an aiohttp request that prepares, writes and returns its
            response.
        max_bytes: of a request's body.
        max_connections: that are open at a time.
        grace_s: seconds for running requests to finish when the server stops.
        tls: a `credentials.Tls`; None for plain HTTP.
    """

    def __init__(self, handle, *, max_bytes, max_connections, grace_s, tls):
        self._handle = handle
        self._max_bytes = max_bytes
        self._max_connections = max_connections
        self._grace_s = grace_s
        self._tls = tls
        self._server = self._runner = self._connections = None
        self.stopping = False

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
        self.stopping = True
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

    async def read_body(self, request, hold):
        """The bytes of a request's body; `hold` is told the size of every part that comes.

        Raises:
            ServingError: for a body that is too large, too late, cut short or badly encoded, and
                what `hold` raises.
        """
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
                # Counts the bytes received, not announced: a slow client takes nobody's place.
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


def error_response(status, message):
    """The aiohttp response of an error: a status of HTTP, and one line."""
    body = json.dumps({"error": message}, ensure_ascii=False).encode(errors="replace")
    return web.Response(status=status, body=body, content_type="application/json")


def _ended_early():
    return invalid("the request's body ends early")


class _Connection(web.RequestHandler):
    """A connection that also answers invalid HTTP in JSON, even if the client has stopped sending.

    It is closed if request headers, or reading an answer, take too long.

    Attributes:
        ended: whether the client has said that it sends no more.
        body: the StreamReader of the body that is being read, or None.
    """

    __slots__ = ("_head_timer", "_max_connections", "_server", "_write_timer", "body", "ended")

    def __init__(self, server, max_connections, **kwargs):
        super().__init__(server, **kwargs)
        self._server = server
        self._max_connections = max_connections
        self._head_timer = self._write_timer = None
        self.body = None
        self.ended = False

    def connection_made(self, transport):
        """Rejects a connection over the limit."""
        super().connection_made(transport)
        self._server.transports[self] = transport
        self._head_timer = asyncio.get_running_loop().call_later(_HEADER_S, self.force_close)
        transport.set_write_buffer_limits(0)  # Any byte that waits starts the clock.
        if len(self._server.connections) > self._max_connections:
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
        self._server.transports.pop(self, None)
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
        """The answer to invalid HTTP, or to an error of this server."""
        if isinstance(exc, ContentEncodingError) and "Please install" in str(exc):
            # aiohttp's advice is for who runs a server, and not for who asks it.
            response = error_response(415, "Content-Encoding: must be gzip, deflate or none")
        elif status < 500:
            response = error_response(
                status, f"Malformed request: {one_line(message or exc or status)}"
            )
        else:
            logging.error("internal error", exc_info=exc)
            response = error_response(status, f"internal error: {one_line(exc or status)}")
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
        # The one private name of aiohttp here, pending while no request is there: no public one
        # tells a connection that rests from one whose request is being answered.
        waiter = self._waiter
        return waiter is not None and not waiter.done()

    def _time_head(self):
        if not self._awaits_head():
            if self._head_timer:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None:
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(_HEADER_S, self.force_close)


class _Connections(web.Server):
    """Makes the connections of a server."""

    def __init__(self, handler, max_connections, **kwargs):
        super().__init__(handler, **kwargs)
        self._max_connections = max_connections
        self.transports = {}

    async def abort(self):
        """Closes open connections; unread answers are lost."""
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
