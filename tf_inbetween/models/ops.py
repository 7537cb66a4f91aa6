"""Shared by models: conversions, checks, and the part of a batch of a replica."""

import tensorflow as tf

from tf_inbetween.config import InputError


def to_float(frames):
    """uint8 frames in 0..255 -> float32 in [0, 1]."""
    return tf.cast(frames, tf.float32) / 255.0


def scaled(frames, size):
    """Frames [N, h, w, C] of any type, scaled to `size`, (H, W): float32 in the same range.

    Bilinearly, with antialiasing. A size that is the frames' own costs nothing, where it is known.
    """
    known = tf.get_static_value(tf.convert_to_tensor(size))
    if known is not None and tuple(frames.shape[1:3]) == tuple(known):
        return tf.cast(frames, tf.float32)
    return tf.image.resize(frames, size, antialias=True)


def scaled_part(frames, size, top, left, part):
    """Of frames [N, h, w, C] scaled up to `size`, (H, W), the `part`, (height, width), of them.

    `top` and `left` say where it lies, scalars; nothing else of the large frames is made.
    """
    if tuple(frames.shape[1:3]) == tuple(size) == tuple(part):
        return frames
    rows, columns = (
        _interpolation(small, large)[at : at + length]
        for small, large, at, length in zip(frames.shape[1:3], size, (top, left), part, strict=True)
    )
    return tf.einsum("yh,nhwc,xw->nyxc", rows, frames, columns)


def _interpolation(small, large):
    """The matrix [large, small] that scales a line of pixels bilinearly, as `tf.image.resize`."""
    identity = tf.eye(small)[tf.newaxis, :, :, tf.newaxis]
    return tf.image.resize(identity, [large, small])[0, :, :, 0]


def call_allowing_empty(network, *inputs):
    """`network(*inputs)`, also for no rows: a convolution on a CPU fails on an empty batch."""
    rows = tf.shape(inputs[0])[0]
    extra = tf.cast(rows == 0, tf.int32)
    padded = (tf.pad(x, [[0, extra]] + [[0, 0]] * (x.shape.rank - 1)) for x in inputs)
    outputs = network(*padded)
    return tf.nest.map_structure(lambda output: output[:rows], outputs)


def assert_finite(terms, step, validating):
    """An operation that fails unless all scalars of `terms`, {name: float32 []}, are finite.

    Its message names the step, counted from 1, and those that are not: "step 14: matching_kl became
    NaN or infinite"; where `validating`, the steps that are done, and the names begin with "val_".
    """
    names = [f"val_{name}" if validating else name for name in terms]
    good = tf.math.is_finite(tf.stack(list(terms.values())))
    bad = tf.strings.reduce_join(tf.boolean_mask(names, ~good), separator=", ")
    number = tf.strings.as_string(step if validating else step + 1)
    said = tf.strings.join(["step ", number, ": ", bad, " became NaN or infinite"])
    return tf.debugging.Assert(tf.reduce_all(good), [said])


def check_finite(what, values):
    """Raises `InputError` for NaN or infinity. Does nothing in a graph, such as an export."""
    if tf.executing_eagerly() and not tf.reduce_all(tf.math.is_finite(values)):
        raise InputError(f"{what}: has values that are NaN or infinite")


def replica_count():
    """How many replicas share a batch."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def mean_over_replicas(values):
    """The mean over the batch of all replicas."""
    replica = tf.distribute.get_replica_context()
    return replica.all_reduce(tf.distribute.ReduceOp.MEAN, tf.reduce_mean(values))


def replica_number():
    """Which of them this is, counted from 0."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group
