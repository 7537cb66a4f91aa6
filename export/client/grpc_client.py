"""A client of TensorFlow Serving's gRPC API."""

import urllib.parse
from pathlib import Path

from export.client.model_client import LOOPBACK, ModelClient, ServerError, flat

_PORT = 8500


class GrpcClient(ModelClient):
    """Speaks TF Serving's gRPC API. Imports TensorFlow, whose protocol buffers it is written in."""

    def __init__(self, *args):
        super().__init__(*args)
        import grpc

        url = urllib.parse.urlsplit(self.server)
        address = url.netloc if url.port else f"{url.netloc}:{_PORT}"
        options = {
            "grpc.max_receive_message_length": -1,
            "grpc.max_send_message_length": -1,
            "grpc.enable_http_proxy": int(url.hostname not in LOOPBACK),
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
            message = flat(error.details() or "no reason given")
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self._late() from error
            if error.code() == grpc.StatusCode.NOT_FOUND:
                raise self._missing(message) from error
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise self._unreachable(message) from error
            raise ServerError(f"{self.server}: {error.code().name}: {message}") from error


def _to_dict(message):
    from google.protobuf import json_format

    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
