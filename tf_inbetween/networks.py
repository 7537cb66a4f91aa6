"""Encoders and decoders: frames [N, H, W, C] in [0, 1] <-> latents [N, Z].

They compute in the Keras dtype policy they were built under; what they return is float32. To add a
network, write two such classes and a function of the config, and give it a row in `NETWORKS`.
`PIXEL_NETWORKS` draw from the two frames without latents; `PATHS` are the ways from one latent to
another.
"""

import keras
import tensorflow as tf

from tf_inbetween.convolutions import Conv2D, Conv2DTranspose
from tf_inbetween.layers import LayersDecoder, LayersEncoder

_PACKAGE = "tf_inbetween"


@keras.saving.register_keras_serializable(_PACKAGE)
class ConvEncoder(keras.Model):
    """Frames [N, H, W, C] -> the mean and the stddev of q(z|x), each [N, latent_dim] float32.

    Every convolution halves the sides; `widths` are their channel counts. A `deterministic` one
    has no head for the stddev, which is 0.
    """

    def __init__(self, latent_dim, widths, hidden, deterministic=False, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim, self.widths, self.hidden = latent_dim, tuple(widths), hidden
        self.deterministic = deterministic
        self.trunk = _conv_trunk(self.widths, hidden)
        self.mean = keras.layers.Dense(latent_dim, dtype="float32")
        self.raw_stddev = None
        if not deterministic:
            self.raw_stddev = keras.layers.Dense(latent_dim, dtype="float32")

    def build(self, input_shape):
        """Builds every layer for frames of `input_shape` [N, H, W, C]."""
        shape = _build_in_order(self.trunk, input_shape)
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
            "widths": self.widths,
            "hidden": self.hidden,
            "deterministic": self.deterministic,
        }
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
                Conv2DTranspose(width, 4, strides=2, activation="silu")
                for width in reversed(doubling)
            ),
            Conv2DTranspose(channels, 4, strides=2, dtype="float32"),
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


def _conv_trunk(widths, hidden):
    return [
        *(Conv2D(width, 4, strides=2, activation="silu") for width in widths),
        keras.layers.Flatten(data_format="channels_last"),
        keras.layers.Dense(hidden, activation="silu"),
    ]


def _build_in_order(layers, shape):
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return shape


def conv(config, deterministic=False):
    """The DCGAN-like pair: 4x4 stride-2 convolutions down, their transposes up, SiLU between.

    `deterministic`: whether the encoder's stddev is 0, as autoencoders have it.
    """
    return (
        ConvEncoder(config.latent_dim, config.widths, config.hidden, deterministic, name="encoder"),
        ConvDecoder(
            config.image_size, config.channels, config.widths, config.hidden, name="decoder"
        ),
    )


def layers(config, deterministic=False):
    """`LayersEncoder` and `LayersDecoder`: things on a background, where apart from what."""
    own = {
        "layers": config.layers,
        "latent_dim": config.latent_dim,
        "crop_size": config.crop_size,
        "filters": config.widths,
        "hidden": config.hidden,
    }
    return (
        LayersEncoder(**own, deterministic=deterministic, name="encoder"),
        LayersDecoder(config.image_size, config.channels, **own, name="decoder"),
    )


NETWORKS = {"conv": conv, "layers": layers}


@keras.saving.register_keras_serializable(_PACKAGE)
class ConvCritic(keras.Model):
    """Frames [N, H, W, C] -> one number each, [N] float32; below it the layers of `ConvEncoder`."""

    def __init__(self, widths, hidden, **kwargs):
        super().__init__(**kwargs)
        self.widths, self.hidden = tuple(widths), hidden
        self.trunk = [*_conv_trunk(self.widths, hidden), keras.layers.Dense(1, dtype="float32")]

    def build(self, input_shape):
        """Builds every layer for frames of `input_shape` [N, H, W, C]."""
        _build_in_order(self.trunk, input_shape)
        self.built = True

    def call(self, frames):
        """Returns the numbers."""
        hidden = frames
        for layer in self.trunk:
            hidden = layer(hidden)
        return hidden[:, 0]

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "widths": self.widths, "hidden": self.hidden}


@keras.saving.register_keras_serializable(_PACKAGE)
class UNet(keras.Model):
    """Pictures [N, H, W, I] -> outputs [N, H, W, channels] float32.

    Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    2015, of the convolutions of `ConvEncoder` and `ConvDecoder`: 4x4 stride-2 down, one 3x3 at the
    bottom, transposes up, each joined by what the way down had at that size, at last the input
    itself, so that pixels can be copied; a 3x3 convolution makes the outputs.
    """

    def __init__(self, channels, widths, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.widths = channels, tuple(widths)
        self.down = [Conv2D(width, 4, strides=2, activation="silu") for width in self.widths]
        self.bottom = Conv2D(self.widths[-1], 3, activation="silu")
        self.up = [
            Conv2DTranspose(width, 4, strides=2, activation="silu")
            for width in (*reversed(self.widths[:-1]), max(self.widths[0] // 2, 1))
        ]
        self.last = Conv2D(channels, 3, dtype="float32")

    def build(self, input_shape):
        """Builds every layer for pictures of `input_shape` [N, H, W, I]."""
        shape, sizes = tuple(input_shape), []
        for layer in self.down:
            sizes.append(shape)
            shape = _build_in_order([layer], shape)
        shape = _build_in_order([self.bottom], shape)
        for layer in self.up:
            shape, beside = _build_in_order([layer], shape), sizes.pop()
            shape = (*shape[:-1], shape[-1] + beside[-1])
        self.last.build(shape)
        self.built = True

    def call(self, pictures):
        """Returns the means or the logits of p(x1|x0, x2, t), by the likelihood in use."""
        hidden, seen = pictures, []
        for layer in self.down:
            seen.append(hidden)
            hidden = layer(hidden)
        hidden = self.bottom(hidden)
        for layer in self.up:
            hidden = layer(hidden)
            beside = keras.ops.cast(seen.pop(), hidden.dtype)
            hidden = keras.ops.concatenate([hidden, beside], axis=-1)
        return self.last(hidden)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "channels": self.channels, "widths": self.widths}


def pixel_unet(config):
    """A `UNet` of the same widths, from both frames and a plane of t to the frame between."""
    return UNet(config.channels, config.widths, name="unet")


PIXEL_NETWORKS = {"pixel_unet": pixel_unet}


@keras.saving.register_keras_serializable(_PACKAGE)
class Curve(keras.Model):
    """How far the way from one latent to another lies off the chord: t (1-t) g(z0, z2, t).

    g is a small perceptron, averaged over both directions: g(z0, z2, t) = g(z2, z0, 1-t), so that
    the way back is the way there. Its last layer starts at zero, so training starts on the chord,
    and the ends are exact whatever g is. In float32, as the latents are.

    Args:
        latent_dim: Z, divisible by `layers`.
        hidden: units of its two hidden layers.
        layers: things that a latent holds one after another, as in `tf_inbetween.layers`: each has
            its own way, by the same weights, which also see which one it is.
    """

    def __init__(self, latent_dim, hidden, layers=1, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.latent_dim, self.hidden, self.count = latent_dim, hidden, layers
        self.trunk = [
            keras.layers.Dense(hidden, activation="silu", dtype="float32"),
            keras.layers.Dense(hidden, activation="silu", dtype="float32"),
            keras.layers.Dense(latent_dim // layers, kernel_initializer="zeros", dtype="float32"),
        ]

    def build(self, input_shape=None):
        """Builds every layer; the shapes follow from the constructor's arguments."""
        which = self.count if self.count > 1 else 0
        _build_in_order(self.trunk, (None, 2 * self.latent_dim // self.count + 1 + which))
        self.built = True

    def call(self, z0, z2, t):
        """Latents [..., Z] and t [...], all broadcast together -> [..., Z]."""
        t = tf.expand_dims(tf.cast(t, tf.float32), -1)
        alike = tf.zeros_like(z0 + z2 + t)
        z0, z2, t = z0 + alike, z2 + alike, t + alike[..., :1]
        whole = tf.shape(z0)
        each = tf.concat([whole[:-1], [self.count, self.latent_dim // self.count]], axis=0)
        z0, z2 = tf.reshape(z0, each), tf.reshape(z2, each)
        t_each = t[..., tf.newaxis, :] + tf.zeros_like(z0[..., :1])
        which = []
        if self.count > 1:
            which = [tf.eye(self.count) + tf.zeros_like(t_each)]
        both = tf.stack(
            [tf.concat([z0, z2, t_each, *which], -1), tf.concat([z2, z0, 1 - t_each, *which], -1)]
        )
        for layer in self.trunk:
            both = layer(both)
        return t * (1 - t) * tf.reshape(tf.reduce_mean(both, axis=0), whole)

    def get_config(self):
        """The constructor's arguments."""
        own = {"latent_dim": self.latent_dim, "hidden": self.hidden, "layers": self.count}
        return {**super().get_config(), **own}


def straight(config):
    """The chord itself: no curve."""
    del config


def curved(config):
    """A learned `Curve`, with as many units a layer as the encoder's dense one."""
    layers = config.layers if config.network == "layers" else 1
    curve = Curve(config.latent_dim, config.hidden, layers, name="curve")
    curve.build()
    return curve


PATHS = {"straight": straight, "curved": curved}
