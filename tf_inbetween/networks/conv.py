"""Convolutions down to the latents, and their transposes up: the default networks.

They compute in the Keras dtype policy they were built under; what they return is float32.
"""

import keras

from tf_inbetween.networks.conv_layers import Conv2D, Conv2DTranspose, build_in_order

_PACKAGE = "tf_inbetween"


@keras.saving.register_keras_serializable(_PACKAGE)
class ConvEncoder(keras.Model):
    """Frames [N, H, W, C] -> the mean and the stddev of q(z|x), each [N, latent_dim] float32.

    Every convolution halves the sides; `filters` are their channel counts. A `deterministic` one
    has no head for the stddev, which is 0.
    """

    def __init__(self, latent_dim, filters, dense_units, deterministic=False, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim, self.filters, self.dense_units = latent_dim, tuple(filters), dense_units
        self.deterministic = deterministic
        self.trunk = _conv_trunk(self.filters, dense_units)
        self.mean = keras.layers.Dense(latent_dim, dtype="float32")
        self.raw_stddev = None
        if not deterministic:
            self.raw_stddev = keras.layers.Dense(latent_dim, dtype="float32")

    def build(self, input_shape):
        """Builds every layer for frames of `input_shape` [N, H, W, C]."""
        shape = build_in_order(self.trunk, input_shape)
        self.mean.build(shape)
        if not self.deterministic:
            self.raw_stddev.build(shape)
        self.built = True

    def call(self, frames):
        """Returns (mean, stddev)."""
        hidden = frames
        for layer in self.trunk:
            hidden = layer(hidden)
        if self.deterministic:
            mean = self.mean(hidden)
            return mean, keras.ops.zeros_like(mean)
        # The floor keeps the KLs finite; it is far below any posterior met in training.
        return self.mean(hidden), keras.ops.softplus(self.raw_stddev(hidden)) + 1e-5

    def get_config(self):
        """The constructor's arguments."""
        own = {
            "latent_dim": self.latent_dim,
            "filters": self.filters,
            "dense_units": self.dense_units,
            "deterministic": self.deterministic,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(_PACKAGE)
class ConvDecoder(keras.Model):
    """Latents [N, Z] -> the outputs [N, H, W, C] float32 that a likelihood turns into p(x|z).

    The mirror of `ConvEncoder`: transposed convolutions double the sides.
    """

    def __init__(self, image_size, channels, filters, dense_units, **kwargs):
        super().__init__(**kwargs)
        self.image_size, self.channels = image_size, channels
        self.filters, self.dense_units = tuple(filters), dense_units
        side = image_size // 2 ** len(self.filters)
        *doubling, innermost = self.filters
        self.trunk = [
            keras.layers.Dense(dense_units, activation="silu"),
            keras.layers.Dense(side * side * innermost, activation="silu"),
            keras.layers.Reshape((side, side, innermost)),
            *(
                Conv2DTranspose(width, 4, strides=2, activation="silu")
                for width in reversed(doubling)
            ),
            Conv2DTranspose(channels, 4, strides=2, dtype="float32"),
        ]

    @property
    def frame_shape(self):
        """(H, W, C) of the outputs."""
        return (self.image_size, self.image_size, self.channels)

    def build(self, input_shape):
        """Builds every layer for latents of `input_shape` [N, Z]."""
        build_in_order(self.trunk, input_shape)
        self.built = True

    def call(self, latents):
        """Returns the means or the logits of p(x|z), by the likelihood in use."""
        hidden = latents
        for layer in self.trunk:
            hidden = layer(hidden)
        return hidden

    def get_config(self):
        """The constructor's arguments."""
        own = {
            "image_size": self.image_size,
            "channels": self.channels,
            "filters": self.filters,
            "dense_units": self.dense_units,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(_PACKAGE)
class ConvCritic(keras.Model):
    """Frames [N, H, W, C] -> one number each, [N] float32; below it the layers of `ConvEncoder`."""

    def __init__(self, filters, dense_units, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.dense_units = tuple(filters), dense_units
        self.trunk = [
            *_conv_trunk(self.filters, dense_units),
            keras.layers.Dense(1, dtype="float32"),
        ]

    def build(self, input_shape):
        """Builds every layer for frames of `input_shape` [N, H, W, C]."""
        build_in_order(self.trunk, input_shape)
        self.built = True

    def call(self, frames):
        """Returns the numbers."""
        hidden = frames
        for layer in self.trunk:
            hidden = layer(hidden)
        return hidden[:, 0]

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "filters": self.filters, "dense_units": self.dense_units}


def conv(config, deterministic=False):
    """The DCGAN-like pair: 4x4 stride-2 convolutions down, their transposes up, SiLU between.

    `deterministic`: whether the encoder's stddev is 0, as autoencoders have it.
    """
    return (
        ConvEncoder(
            config.latent_dim, config.filters, config.dense_units, deterministic, name="encoder"
        ),
        ConvDecoder(
            config.image_size, config.channels, config.filters, config.dense_units, name="decoder"
        ),
    )


def _conv_trunk(filters, dense_units):
    return [
        *(Conv2D(width, 4, strides=2, activation="silu") for width in filters),
        keras.layers.Flatten(data_format="channels_last"),
        keras.layers.Dense(dense_units, activation="silu"),
    ]
