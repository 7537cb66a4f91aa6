"""What tests send: bytes in JSON, requests of a signature, pictures that are none."""

import base64
import struct
import zlib

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2


def b64(value):
    """Bytes as JSON has them."""
    return {"b64": base64.b64encode(value).decode()}


def request_for(signature, inputs):
    """A PredictRequest for the model "tiny"."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "tiny", signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def png_of(width, height, rows=1):
    """A valid PNG header of any size before too few pixels."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(rows * (3 * min(width, 10**6) + 1)))
    ends = chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + ends
