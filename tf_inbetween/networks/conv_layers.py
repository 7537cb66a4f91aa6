"""Keras's convolutions as all networks here have them: [N, H, W, C], whatever keras.json says."""

import functools

import keras
import tensorflow as tf

_SAME = {"padding": "same", "data_format": "channels_last"}

Conv2D = functools.partial(keras.layers.Conv2D, **_SAME)
Conv2DTranspose = functools.partial(keras.layers.Conv2DTranspose, **_SAME)


def build_in_order(layers, shape):
    """Builds layers that follow one another, for inputs of a shape; returns the last one's."""
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return shape


def padded(frames, multiple):
    """Mirrors frames at two borders up to sides that are multiples.

    Args:
        frames: a list of [N, H, W, C], all of one size.
        multiple: of pixels; at most H and W.

    Returns:
        The list, and H and W as a tensor [2] to cut with, or None where nothing was added.
    """
    height, width = frames[0].shape[1:3]
    if height and width and not (height % multiple or width % multiple):
        return frames, None
    size = tf.shape(frames[0])[1:3]
    bottom, right = tf.unstack(-size % multiple)
    margins = [[0, 0], [0, bottom], [0, right], [0, 0]]
    return [tf.pad(each, margins, "SYMMETRIC") for each in frames], size
