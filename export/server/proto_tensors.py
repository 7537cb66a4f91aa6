"""TensorProtos of a PredictRequest to numpy arrays, and arrays to those of its answer."""

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from export.server.errors import invalid
from export.server.tensor_specs import type_name

# The field of a TensorProto that holds the values of a numpy type.
_PROTO_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int8": "int_val",
    "uint8": "int_val",
    "int16": "int_val",
    "uint16": "int_val",
    "int32": "int_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
}


def read_protos(protos, specs, limits):
    """The inputs of a PredictRequest.

    Args:
        protos: input name -> TensorProto, one for every spec.
        specs: input name -> `tensor_specs.Spec`.
        limits: a `tensor_specs.Limits`.

    Returns:
        Input name -> numpy array of the spec's type, of a shape that the spec and the limits allow.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if protos.keys() != specs.keys():
        extra, missing = sorted(protos.keys() - specs.keys()), sorted(specs.keys() - protos.keys())
        raise invalid(
            f"input size does not match signature: {len(protos)}!={len(specs)}"
            f" len({{{','.join(sorted(protos))}}}) != len({{{','.join(sorted(specs))}}})."
            f" Sent extra: {{{','.join(extra)}}}. Missing but required: {{{','.join(missing)}}}."
        )
    return {name: _from_proto(name, protos[name], spec, limits) for name, spec in specs.items()}


def _from_proto(name, proto, spec, limits):
    if proto.dtype != spec.kind:
        raise invalid(
            f"input {name!r} must be of type {type_name(spec.kind)},"
            f" got {type_name(proto.dtype) if proto.dtype in types_pb2.DataType.values() else '?'}"
        )
    if proto.tensor_shape.unknown_rank or any(dim.size < 0 for dim in proto.tensor_shape.dim):
        raise invalid(f"input {name!r} has no complete shape")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    # Before the values: a proto may have one value that stands for a million.
    limits.check(name, shape, spec)
    try:
        return tf.make_ndarray(proto)
    except (ValueError, TypeError, IndexError) as error:
        raise invalid(f"input {name!r} is not a valid TensorProto: {error}") from None


def to_proto(array):
    """The TensorProto of a numpy array, with its values in the field of its type.

    TensorFlow Serving answers so too unless --enable_serialization_as_tensor_content is set.
    """
    kind = types_pb2.DT_STRING
    if array.dtype != object:
        kind = tf.as_dtype(array.dtype).as_datatype_enum
    proto = tensor_pb2.TensorProto(dtype=kind)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        proto.string_val.extend(array.reshape(-1).tolist())
    elif array.dtype.name in _PROTO_FIELDS:
        field = getattr(proto, _PROTO_FIELDS[array.dtype.name])
        field.extend(array.reshape(-1).tolist())
    elif array.dtype.name in ("float16", "bfloat16"):
        proto.half_val.extend(array.reshape(-1).view(np.uint16).tolist())  # Their bits.
    else:
        proto.tensor_content = array.tobytes()
    return proto
