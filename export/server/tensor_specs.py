"""The tensors of a signature, and the limits on their sizes.

What a TensorInfo says of type and shape holds for both APIs. The wording of errors is TensorFlow
Serving's.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from export.server.errors import invalid


@dataclasses.dataclass(frozen=True)
class Spec:
    """One input or output of a signature.

    Attributes:
        tensor: the name of the tensor in the graph.
        kind: its DataType, a number.
        dtype: the numpy type of its values.
        shape: sizes of its dimensions, None where any will do; None if the rank is open too.
    """

    tensor: str
    kind: int
    dtype: np.dtype
    shape: tuple | None

    @property
    def batched(self):
        """Whether the first dimension is there and open."""
        return bool(self.shape) and self.shape[0] is None


@dataclasses.dataclass(frozen=True)
class Limits:
    """How large the open dimensions of one input may be.

    Attributes:
        max_batch: the first dimension, if it is open.
        max_sequence: any other open dimension.
        max_items: the product of all open dimensions: rows times frames of a sequence.
    """

    max_batch: float = math.inf
    max_sequence: float = math.inf
    max_items: float = math.inf

    def check(self, name, shape, spec):
        """Raises INVALID_ARGUMENT unless `shape` is one that `spec` and the limits allow."""
        wanted = (None,) * len(shape) if spec.shape is None else spec.shape
        fits = len(wanted) == len(shape) and all(
            want in (None, size) for want, size in zip(wanted, shape, strict=True)
        )
        if not fits:
            raise invalid(
                f"input {name!r} must have shape {shape_text(wanted)}, got {shape_text(shape)}"
            )
        sizes = [size for want, size in zip(wanted, shape, strict=True) if want is None]
        if wanted and wanted[0] is None:
            self.check_rows(shape[0])
        if max(sizes[1:] if wanted and wanted[0] is None else sizes, default=0) > self.max_sequence:
            raise invalid(
                f"input {name!r} of shape {shape_text(shape)} has a dimension of more than"
                f" {self.max_sequence}, the server's --max_sequence"
            )
        if math.prod(sizes) > self.max_items:
            raise invalid(
                f"input {name!r} of shape {shape_text(shape)} has {math.prod(sizes)} items, more"
                f" than {self.max_items}, the server's --max_items"
            )

    def check_rows(self, rows):
        """Raises INVALID_ARGUMENT if a request has more rows than one may have."""
        if rows > self.max_batch:
            raise invalid(
                f"Task size {rows} is larger than maximum input batch size {self.max_batch}"
            )


def spec_of(info):
    """The `Spec` of a TensorInfo; None for a sparse or composite tensor, or no tensor at all."""
    if info.WhichOneof("encoding") != "name" or info.dtype == types_pb2.DT_INVALID:
        return None
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    dtype = tf.as_dtype(info.dtype).as_numpy_dtype
    return Spec(info.name, info.dtype, np.dtype(dtype), shape)


def type_name(kind):
    """How error messages name a DataType: float, double, half, int32, string, …"""
    return types_pb2.DataType.Name(kind).removeprefix("DT_").lower()


def shape_text(shape):
    """How error messages write a shape, a tuple of sizes and None: [-1,64,64,3]."""
    return "[" + ",".join("-1" if size is None else str(size) for size in shape) + "]"
