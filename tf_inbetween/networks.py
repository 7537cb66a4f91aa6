"""Encoders and decoders: frames [N, H, W, C] in [0, 1] <-> latents [N, Z].

They compute in the Keras dtype policy they were built under; what they return is float32. To add a
network, write two such classes and a function of the config, and give it a row in `NETWORKS`.
"""

import keras

_PACKAGE = "tf_inbetween"


@keras.saving.register_keras_serializable(_PACKAGE)
class ConvEncoder(keras.Model):
    """Frames [N, H, W, C] -> the mean and the stddev of q(z|x), each [N, latent_dim] float32.

    Every convolution halves the sides; `widths` are their channel counts.
    """

    def __init__(self, latent_dim, widths, hidden, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim, self.widths, self.hidden = latent_dim, tuple(widths), hidden
        self.trunk = [
            *(
                keras.layers.Conv2D(width, 4, strides=2, padding="same", activation="silu")
                for width in self.widths
            ),
            keras.layers.Flatten(),
            keras.layers.Dense(hidden, activation="silu"),
        ]
        self.mean = keras.layers.Dense(latent_dim, dtype="float32")
        self.raw_stddev = keras.layers.Dense(latent_dim, dtype="float32")

    def build(self, input_shape):
        """Builds every layer for frames of `input_shape` [N, H, W, C]."""
        shape = _build_in_order(self.trunk, input_shape)
        self.mean.build(shape)
        self.raw_stddev.build(shape)
        self.built = True

    def call(self, frames):
        """Returns (mean, stddev)."""
        hidden = frames
        for layer in self.trunk:
            hidden = layer(hidden)
        # The floor keeps the KLs finite; it is far below any posterior met in training.
        return self.mean(hidden), keras.ops.softplus(self.raw_stddev(hidden)) + 1e-5

    def get_config(self):
        """The constructor's arguments."""
        own = {"latent_dim": self.latent_dim, "widths": self.widths, "hidden": self.hidden}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(_PACKAGE)
class ConvDecoder(keras.Model):
    """Latents [N, Z] -> the outputs [N, H, W, C] float32 that a likelihood turns into p(x|z).

    The mirror of `ConvEncoder`: transposed convolutions double the sides.
    """

    def __init__(self, image_size, channels, widths, hidden, **kwargs):
        super().__init__(**kwargs)
        self.image_size, self.channels = image_size, channels
        self.widths, self.hidden = tuple(widths), hidden
        side = image_size // 2 ** len(self.widths)
        *doubling, innermost = self.widths
        self.trunk = [
            keras.layers.Dense(hidden, activation="silu"),
            keras.layers.Dense(side * side * innermost, activation="silu"),
            keras.layers.Reshape((side, side, innermost)),
            *(
                keras.layers.Conv2DTranspose(width, 4, strides=2, padding="same", activation="silu")
                for width in reversed(doubling)
            ),
            keras.layers.Conv2DTranspose(channels, 4, strides=2, padding="same", dtype="float32"),
        ]

    def build(self, input_shape):
        """Builds every layer for latents of `input_shape` [N, Z]."""
        _build_in_order(self.trunk, input_shape)
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
            "widths": self.widths,
            "hidden": self.hidden,
        }
        return {**super().get_config(), **own}


def _build_in_order(layers, shape):
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return shape


def conv(config):
    """The DCGAN-like pair: 4x4 stride-2 convolutions down, their transposes up, SiLU between."""
    return (
        ConvEncoder(config.latent_dim, config.widths, config.hidden, name="encoder"),
        ConvDecoder(
            config.image_size, config.channels, config.widths, config.hidden, name="decoder"
        ),
    )


NETWORKS = {"conv": conv}
