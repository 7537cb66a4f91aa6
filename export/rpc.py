"""TensorFlow Serving's gRPC API: Predict, GetModelMetadata, GetModelStatus, and gRPC health.

The messages are those of `tensorflow-serving-api`. Classify, Regress, MultiInference and
HandleReloadConfigRequest are not there, and gRPC answers them with UNIMPLEMENTED.
"""

import functools
import time

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from export import tensors
from export.command_line import InputError
from export.errors import CODES, from_exception, invalid

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
_PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
_MODEL_SERVICE = "tensorflow.serving.ModelService"


class RpcServer:
    """Answers gRPC requests.

    Args:
        predictor: a `predict.Predictor`.
        metrics: a `metrics.Metrics`.
        max_bytes: of a request.
        grace_s: seconds that requests that run have to be answered when the server stops.
        healthcheck: whether to have the standard health service.
    """

    def __init__(self, predictor, metrics, max_bytes, grace_s, healthcheck):
        options = {
            "grpc.max_receive_message_length": max_bytes,
            "grpc.max_send_message_length": -1,
            "grpc.so_reuseport": 0,  # Else a port in use is silently shared.
            "grpc.keepalive_time_ms": 60_000,  # Finds clients that are gone without a word.
            "grpc.http2.min_ping_interval_without_data_ms": 10_000,
        }
        self._predictor = predictor
        self._metrics = metrics
        self._grace_s = grace_s
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
        for service, methods in services.items():
            # The bytes come as they are: what is no message is to be refused like all the rest.
            handlers = {
                name: grpc.unary_unary_rpc_method_handler(functools.partial(_answer, kind, method))
                for name, (kind, method) in methods.items()
            }
            generic = grpc.method_handlers_generic_handler(service, handlers)
            self._server.add_generic_rpc_handlers((generic,))
        self._health = health.aio.HealthServicer() if healthcheck else None
        if self._health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self, host, port):
        """Listens; returns the port, which is any free one if `port` is 0.

        Raises:
            InputError: the port cannot be had.
        """
        try:
            bound = self._server.add_insecure_port(
                f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            )
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
        """Turns the health to NOT_SERVING for good."""
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
            return tensors.read_protos(request.inputs, signature.inputs, self._predictor.limits)

        spec = request.model_spec
        version, signature, outputs = await self._predictor.predict(
            spec, read, list(request.output_filter)
        )
        response = predict_pb2.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version
        response.model_spec.signature_name = signature
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(tensors.to_proto(array))
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


async def _answer(kind, method, content, context):
    """Answers the bytes of a request; what `method` raises ends the call with its code."""
    try:
        request = kind.FromString(content)
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        response = await method(request)
        return response.SerializeToString()
    except DecodeError:
        failure = invalid(f"the request is not a {kind.__name__}")
    except Exception as error:
        failure = from_exception(error)
    await context.abort(_STATUS_CODES[CODES[failure.code][0]], failure.message)
