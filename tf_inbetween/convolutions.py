"""Keras's convolutions as all networks here have them: [N, H, W, C], whatever keras.json says."""

import functools

import keras

_SAME = {"padding": "same", "data_format": "channels_last"}

Conv2D = functools.partial(keras.layers.Conv2D, **_SAME)
Conv2DTranspose = functools.partial(keras.layers.Conv2DTranspose, **_SAME)
