"""Keras's convolutions as all networks here have them: [N, H, W, C], whatever keras.json says."""

import functools

import keras

_SAME = {"padding": "same", "data_format": "channels_last"}

Conv2D = functools.partial(keras.layers.Conv2D, **_SAME)
Conv2DTranspose = functools.partial(keras.layers.Conv2DTranspose, **_SAME)


def build_in_order(layers, shape):
    """Builds layers that follow one another, for inputs of a shape; returns the last one's."""
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return shape
