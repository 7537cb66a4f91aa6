"""TensorFlow Serving's gRPC API: Predict, GetModelMetadata, GetModelStatus, and gRPC health.

The messages are those of `tensorflow-serving-api`. Classify, Regress, MultiInference and
HandleReloadConfigRequest are answered with UNIMPLEMENTED, and what to call instead. A bad tensor is
INVALID_ARGUMENT: `proto_tensors` finds it, `errors` names its status.
"""

import asyncio
import functools
import time
import urllib.parse

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from export.server import proto_tensors
from export.server.errors import CODES, ServingError, from_exception, invalid
from frame_io.errors import InputError

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
_PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
_MODEL_SERVICE = "tensorflow.serving.ModelService"
_HEALTH_SERVICE = "grpc.health.v1.Health"

# Limits for slow clients.
_HANDSHAKE_S = 20.0  # For TLS and HTTP/2 to be agreed on.
_REQUEST_S = 60.0  # For a whole request to arrive.
_WRITE_S = 60.0  # For the client to take the answer.
_MAX_STREAMS = 128  # Calls of one connection at a time.
_MAX_WATCHES = 32  # Calls of Health/Watch, which the client ends.


class RpcServer:
    """Answers gRPC requests.

    Args:
        predictor: a `predict.Predictor`.
        metrics: a `metrics.Metrics`.
        access: an `access.Access`. Only health answers without the token, because orchestrators
            have none.
        max_bytes: of a request.
        max_connections: that are open at a time.
        grace_s: seconds for running requests to finish when the server stops.
        tls: a `credentials.Tls`; None for none.
        healthcheck: whether to have the standard health service.
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
        healthcheck,
    ):
        options = {
            "grpc.max_receive_message_length": max_bytes,
            "grpc.max_send_message_length": -1,
            "grpc.so_reuseport": 0,  # Else a port in use is silently shared.
            "grpc.keepalive_time_ms": 60_000,  # Detects clients that disappeared.
            "grpc.http2.min_ping_interval_without_data_ms": 10_000,
            "grpc.max_allowed_incoming_connections": max_connections,
            "grpc.max_concurrent_streams": _MAX_STREAMS,
            "grpc.server_handshake_timeout_ms": int(_HANDSHAKE_S * 1000),
            # Clients reconnect; one that reads no answers does not stay forever.
            "grpc.max_connection_age_ms": 600_000,
            "grpc.max_connection_age_grace_ms": 120_000,
        }
        self._predictor = predictor
        self._metrics = metrics
        self._access = access
        self._grace_s = grace_s
        self._tls = tls
        self._watches = 0
        self._server = grpc.aio.server(options=list(options.items()))
        services = {
            _PREDICTION_SERVICE: {
                "Predict": (predict_pb2.PredictRequest, self._counted_predict),
                "GetModelMetadata": (
                    get_model_metadata_pb2.GetModelMetadataRequest,
                    self._metadata,
                ),
            },
            _MODEL_SERVICE: {
                "GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, self._status)
            },
        }
        self._health = health.aio.HealthServicer() if healthcheck else None
        if self._health:
            kind = health_pb2.HealthCheckRequest
            services[_HEALTH_SERVICE] = {
                "Check": (kind, self._health.Check),
                "Watch": (kind, self._watch),
            }
        for name in ("Classify", "Regress", "MultiInference"):
            services[_PREDICTION_SERVICE][name] = (None, _refuse(name, "use Predict"))
        reload = _refuse("HandleReloadConfigRequest", "restart it to serve other models")
        services[_MODEL_SERVICE]["HandleReloadConfigRequest"] = (None, reload)
        for service, methods in services.items():
            call = self._health_call if service == _HEALTH_SERVICE else self._call
            # As streams of bytes, which look the same on the wire: what is no message is to be
            # refused like all the rest, and who is slow to send or to take one as well.
            handlers = {
                name: grpc.stream_stream_rpc_method_handler(functools.partial(call, kind, method))
                for name, (kind, method) in methods.items()
            }
            generic = grpc.method_handlers_generic_handler(service, handlers)
            self._server.add_generic_rpc_handlers((generic,))

    async def start(self, host, port):
        """Listens; returns the port, a free one if `port` is 0.

        Raises:
            InputError: the port is not available.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._tls:
                pair = (self._tls.key, self._tls.certificate)
                credentials = grpc.ssl_server_credentials([pair])  # TLS 1.2 or newer.
                bound = self._server.add_secure_port(address, credentials)
            else:
                bound = self._server.add_insecure_port(address)
        except RuntimeError:
            bound = 0
        if not bound:
            raise InputError(f"--port={port} on {host}: is in use or not allowed")
        await self._server.start()
        if self._health:
            for service in ("", _PREDICTION_SERVICE, _MODEL_SERVICE):
                await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return bound

    async def say_stopping(self):
        """Sets the health to NOT_SERVING."""
        if self._health:
            await self._health.enter_graceful_shutdown()

    async def stop(self):
        """Stops listening, and waits for requests that run."""
        await self._server.stop(self._grace_s)

    async def _counted_predict(self, request):
        start = time.perf_counter()
        code = "CANCELLED"
        try:
            response = await self._predict(request)
            code = "OK"
            return response
        except Exception as error:
            failure = from_exception(error)
            code = failure.code
            raise failure from None
        finally:
            seconds = time.perf_counter() - start
            self._metrics.answered(request.model_spec.name, code, "Predict", "GRPC", seconds)

    async def _predict(self, request):
        async def read(signature):
            return proto_tensors.read_protos(
                request.inputs, signature.inputs, self._predictor.limits
            )

        spec = request.model_spec
        with self._access.work():
            version, signature, outputs = await self._predictor.predict(
                spec, read, list(request.output_filter)
            )
        response = predict_pb2.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version
        response.model_spec.signature_name = signature
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(proto_tensors.to_proto(array))
        return response

    async def _metadata(self, request):
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        return self._predictor.metadata(request.model_spec)

    async def _status(self, request):
        return self._predictor.status(request.model_spec)

    async def _call(self, kind, method, _, context):
        """Answers a call; what `method` raises ends it with its code."""
        try:
            self._access.pace(_address(context.peer()))
            headers = dict(context.invocation_metadata() or ())
            self._access.authenticate(headers.get("authorization"))
            with self._access.buffer() as hold:
                content = await _read(context)
                hold(len(content))
                request = kind and _parse(kind, content)
                if kind and not request.HasField("model_spec"):
                    raise invalid("Missing ModelSpec")
                answer = (await method(request)).SerializeToString()
                hold(len(answer))
                await _write(context, answer)
                return
        except Exception as error:
            failure = from_exception(error)
        await _abort(context, failure)

    async def _health_call(self, kind, method, _, context):
        try:
            request = _parse(kind, await _read(context))
        except ServingError as failure:
            await _abort(context, failure)
        response = await method(request, context)
        if response is not None:
            await _write(context, response.SerializeToString())

    async def _watch(self, request, context):
        if self._watches >= _MAX_WATCHES:
            message = f"{_MAX_WATCHES} clients watch already; use Check"
            await _abort(context, ServingError("RESOURCE_EXHAUSTED", message))
        self._watches += 1
        try:
            await self._health.Watch(request, _Writer(context))
        finally:
            self._watches -= 1


def _refuse(name, instead):
    """A method that is not supported; the error names an alternative."""

    async def refuse(_):
        message = f"This server has no {name}: {instead}, or TensorFlow Serving"
        raise ServingError("UNIMPLEMENTED", message)

    return refuse


class _Writer:
    """A context that takes messages where that of a call takes bytes."""

    def __init__(self, context):
        self._context = context

    async def write(self, message):
        await _write(self._context, message.SerializeToString())


async def _read(context):
    """The bytes of the request, which must arrive in time."""
    try:
        content = await asyncio.wait_for(context.read(), _REQUEST_S)
    except TimeoutError:
        message = f"the request did not arrive within {_REQUEST_S:.0f} s"
        raise ServingError("DEADLINE_EXCEEDED", message) from None
    if content is grpc.aio.EOF:
        raise invalid("no request came")
    return content


async def _write(context, answer):
    try:
        await asyncio.wait_for(context.write(answer), _WRITE_S)
    except TimeoutError:
        message = f"the answer was not read within {_WRITE_S:.0f} s"
        raise ServingError("DEADLINE_EXCEEDED", message) from None


def _parse(kind, content):
    try:
        return kind.FromString(content)
    except DecodeError:
        raise invalid(f"the request is not a {kind.__name__}") from None


async def _abort(context, failure):
    await context.abort(_STATUS_CODES[CODES[failure.code][0]], failure.message)


def _address(peer):
    """The address in "ipv4:127.0.0.1:1234" or "ipv6:%5B::1%5D:1234"."""
    host = urllib.parse.unquote(peer).partition(":")[2].rpartition(":")[0]
    return host.removeprefix("[").removesuffix("]")
