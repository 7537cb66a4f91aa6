"""Networks that separate *where* from *what*: a frame is a few sprites over a background.

    frame = background + sprites,   sprite k = the picture decode(what_k), laid down at where_k

A latent is [where_1 (x, y), what_1, where_2, ...], `where` in half-widths from the middle of the
frame. So a straight line in latent space moves each object straight, whatever the weights, and the
networks see each object in the middle of a small crop: a pot that flies and rotates only rotates
there.

The place is the mean of a heat map (Jakab, Gupta, Bilen, Vedaldi, "Unsupervised Learning of Object
Landmarks through Conditional Image Generation", NeurIPS 2018). It starts as each pixel's distance
from the frame's mean colour; each of several sprites has its own colour, learned from evenly spread
hues. So the first crops already show one object each, and the same one in every frame. Crops and
their pasting are those of Jaderberg et al., "Spatial Transformer Networks", NeurIPS 2015, without
turn and scale; one encoder and one decoder for all sprites, as in Eslami et al., "Attend, Infer,
Repeat", NeurIPS 2016, with a fixed number of them.
"""

import keras
import numpy as np
import tensorflow as tf

from tf_inbetween.networks.conv_layers import Conv2D, Conv2DTranspose, build_in_order

_PACKAGE = "tf_inbetween"


def windows(pictures, offset, height, width):
    """Bilinear windows: out(y, x) = pictures(y + offset_y, x + offset_x), 0 outside.

    Args:
        pictures: [N, H, W, C].
        offset: [N, 2] float32, (x, y) in pixels of the window's first pixel.
        height, width: of the window.

    Returns:
        [N, height, width, C] of the type of `pictures`.
    """
    shape = tf.shape(pictures)
    rows, columns = shape[1], shape[2]
    padded = tf.pad(pictures, [[0, 0], [1, 1], [1, 1], [0, 0]])
    # One weight matrix for each axis: a window is two small matrix products, without a gather.
    down = _weights(offset[:, 1], height, rows)
    along = _weights(offset[:, 0], width, columns)
    wide = tf.einsum("nyr,nrxc->nyxc", tf.cast(down, padded.dtype), padded)
    return tf.einsum("nxs,nysc->nyxc", tf.cast(along, padded.dtype), wide)


def _weights(offset, places, cells):
    """Linear interpolation as a matrix [N, places, cells + 2] over cells with a border of zeros."""
    at = offset[:, tf.newaxis] + tf.range(tf.cast(places, tf.float32))[tf.newaxis, :] + 1.0
    cell = tf.range(tf.cast(cells + 2, tf.float32))
    return tf.maximum(1.0 - tf.abs(at[..., tf.newaxis] - cell), 0.0)


@keras.saving.register_keras_serializable(_PACKAGE)
class SpritesEncoder(keras.Model):
    """Frames [N, H, W, C] -> the mean and the stddev of q(z|x), each [N, sprites * (2 + what)].

    Args:
        sprites: how many things.
        latent_dim: of all of them together; divisible by `sprites`.
        crop_size: sides of a thing's crop, in pixels; a multiple of 8.
        filters: channels of the crop's convolutions.
        dense_units: units of its dense layer.
        deterministic: whether the stddev is 0.
    """

    def __init__(
        self, sprites, latent_dim, crop_size, filters, dense_units, deterministic=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.autocast = False  # Places are to stay float32.
        self.count, self.latent_dim, self.crop_size = sprites, latent_dim, crop_size
        self.filters, self.dense_units = tuple(filters), dense_units
        self.deterministic = deterministic
        self.finders = [Conv2D(n, 4, strides=2, activation="silu") for n in (32, 64)]
        self.heat = Conv2D(
            sprites,
            3,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1e-2),
            dtype="float32",
        )
        self.trunk = [
            *(Conv2D(n, 4, strides=2, activation="silu") for n in self.filters),
            keras.layers.Flatten(data_format="channels_last"),
        ]
        self.dense = keras.layers.Dense(dense_units, activation="silu")
        what = latent_dim // sprites - 2
        self.mean = keras.layers.Dense(what, dtype="float32")
        self.raw_stddev = None
        if not deterministic:
            self.raw_stddev = keras.layers.Dense(2 + what, dtype="float32")

    def build(self, input_shape):
        """Builds every layer for frames of `input_shape` [N, H, W, C]."""
        channels = input_shape[-1]
        shape = build_in_order(self.finders, (None, None, None, channels))
        self.heat.build(shape)
        self.palette = None
        if self.count > 1 and channels == 3:  # Nothing else tells sprites apart at the start.
            self.palette = self.add_weight(
                name="palette",
                shape=(3, self.count),
                initializer=_hues,
                dtype="float32",
                autocast=False,
            )
        shape = build_in_order(self.trunk, (None, self.crop_size, self.crop_size, channels))
        self.dense.build((None, shape[-1] + self.count))
        self.mean.build((None, self.dense_units))
        if not self.deterministic:
            self.raw_stddev.build((None, self.dense_units))
        self.built = True

    def call(self, frames):
        """Returns (mean, stddev)."""
        shape = tf.shape(frames)
        hidden = frames
        for layer in self.finders:
            hidden = layer(hidden)
        where = _centre(self.heat(hidden) + _log_contrast(frames, self.palette))
        size = tf.cast(tf.stack([shape[2], shape[1]]), tf.float32)
        offset = (where + 1) / 2 * size - self.crop_size / 2
        crops = windows(
            tf.repeat(tf.cast(frames, tf.float32), self.count, axis=0),
            tf.reshape(offset, [-1, 2]),
            self.crop_size,
            self.crop_size,
        )
        for layer in self.trunk:
            crops = layer(crops)
        which = tf.tile(tf.eye(self.count, dtype=crops.dtype), [shape[0], 1])
        hidden = self.dense(tf.concat([crops, which], axis=-1))
        mean = tf.concat([tf.reshape(where, [-1, 2]), self.mean(hidden)], axis=-1)
        mean = tf.reshape(mean, [-1, self.latent_dim])
        if self.deterministic:
            return mean, tf.zeros_like(mean)
        # Where starts sure to half a pixel or so: things laid down at random teach to draw nothing.
        raw = self.raw_stddev(hidden) - [4.0, 4.0, *[0.0] * self.mean.units]
        stddev = tf.math.softplus(raw) + 1e-5
        return mean, tf.reshape(stddev, [-1, self.latent_dim])

    def get_config(self):
        """The constructor's arguments."""
        own = {
            "sprites": self.count,
            "latent_dim": self.latent_dim,
            "crop_size": self.crop_size,
            "filters": self.filters,
            "dense_units": self.dense_units,
            "deterministic": self.deterministic,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(_PACKAGE)
class SpritesDecoder(keras.Model):
    """Latents [N, Z] -> the outputs [N, H, W, C] float32 that a likelihood turns into p(x|z).

    Each sprite is a crop of colours, an opacity and a nearness in every pixel. Where sprites cover
    each other the nearer one shows: with opacity a_k, nearness n_k and b = prod(1 - a_k),

        frame = b background + (1 - b) sum(a_k e^n_k colour_k) / sum(a_k e^n_k)

    Arguments as for `SpritesEncoder`; image_size, channels: of the frame.
    """

    def __init__(
        self, image_size, channels, sprites, latent_dim, crop_size, filters, dense_units, **kwargs
    ):
        super().__init__(**kwargs)
        self.autocast = False
        self.image_size, self.channels, self.count = image_size, channels, sprites
        self.latent_dim, self.crop_size = latent_dim, crop_size
        self.filters, self.dense_units = tuple(filters), dense_units
        side = crop_size // 2 ** len(self.filters)
        *doubling, innermost = self.filters
        self.trunk = [
            keras.layers.Dense(dense_units, activation="silu"),
            keras.layers.Dense(side * side * innermost, activation="silu"),
            keras.layers.Reshape((side, side, innermost)),
            *(Conv2DTranspose(n, 4, strides=2, activation="silu") for n in reversed(doubling)),
            Conv2DTranspose(channels + 2, 4, strides=2, dtype="float32"),
        ]

    @property
    def frame_shape(self):
        """(H, W, C) of the outputs."""
        return (self.image_size, self.image_size, self.channels)

    def build(self, input_shape=None):
        """Builds every layer; the shapes follow from the constructor's arguments."""
        build_in_order(self.trunk, (None, self.latent_dim // self.count - 2 + self.count))
        self.background = self.add_weight(
            name="background",
            shape=(self.image_size, self.image_size, self.channels),
            initializer=keras.initializers.Constant(0.1),
            dtype="float32",
            autocast=False,
        )
        self.built = True

    def call(self, latents):
        """Returns the means or the logits of p(x|z), by the likelihood in use."""
        count = tf.shape(latents)[0]
        each = tf.reshape(latents, [-1, self.latent_dim // self.count])
        where, what = each[:, :2], each[:, 2:]
        which = tf.tile(tf.eye(self.count, dtype=what.dtype), [count, 1])
        hidden = tf.concat([what, which], axis=-1)
        for layer in self.trunk:
            hidden = layer(hidden)
        offset = self.crop_size / 2 - (where + 1) / 2 * self.image_size
        colour, opacity, nearness = tf.split(hidden, [self.channels, 1, 1], axis=-1)
        opacity = tf.sigmoid(opacity)
        weight = opacity * tf.exp(tf.minimum(nearness, 8.0))
        patch = tf.concat([weight * colour, weight, tf.math.log1p(-0.999 * opacity)], -1)
        laid = windows(patch, offset, self.image_size, self.image_size)
        size = [count, self.count, self.image_size, self.image_size, self.channels + 2]
        laid = tf.reduce_sum(tf.reshape(laid, size), axis=1)
        colour, weight, log_through = tf.split(laid, [self.channels, 1, 1], axis=-1)
        through, colour = tf.exp(log_through), colour / (weight + 1e-6)
        return through * tf.convert_to_tensor(self.background) + (1 - through) * colour

    def get_config(self):
        """The constructor's arguments."""
        own = {
            "image_size": self.image_size,
            "channels": self.channels,
            "sprites": self.count,
            "latent_dim": self.latent_dim,
            "crop_size": self.crop_size,
            "filters": self.filters,
            "dense_units": self.dense_units,
        }
        return {**super().get_config(), **own}


def sprites(config, deterministic=False):
    """`SpritesEncoder` and `SpritesDecoder`: things on a background, where apart from what."""
    own = {
        "sprites": config.sprites,
        "latent_dim": config.latent_dim,
        "crop_size": config.crop_size,
        "filters": config.filters,
        "dense_units": config.dense_units,
    }
    return (
        SpritesEncoder(**own, deterministic=deterministic, name="encoder"),
        SpritesDecoder(config.coded_size, config.channels, **own, name="decoder"),
    )


def _log_contrast(frames, palette):
    """Where a sprite may be: log heat maps [N, H/4, W/4, sprites or 1].

    How far pixels are from the frame's mean colour, and how much towards the sprite's own colour of
    the `palette` [C, sprites] (None: any).
    """
    frames = tf.cast(frames, tf.float32)
    contrast = frames - tf.reduce_mean(frames, axis=[1, 2], keepdims=True)
    heat = tf.reduce_sum(contrast**2, axis=-1, keepdims=True)
    if palette is not None:
        hue = contrast - tf.reduce_mean(contrast, axis=-1, keepdims=True)
        hue = tf.math.l2_normalize(hue, axis=-1, epsilon=1e-4)
        cosine = tf.einsum("nhwc,ck->nhwk", hue, tf.math.l2_normalize(palette, axis=0))
        heat *= tf.exp(6 * (cosine - 1))
    # Squared once more, so that a wide background does not pull the mean to the middle.
    return 2 * tf.math.log(tf.nn.avg_pool2d(heat, 4, 4, "SAME") + 1e-4)


def _hues(shape, dtype=None):
    """Colours [3, sprites] evenly round the hue circle, red first; their channels sum to 0."""
    turn = 2 * np.pi * np.arange(shape[1]) / shape[1]
    across = np.array([[2, -1, -1], [0, 1, -1]]) / np.sqrt([[6], [2]])
    return tf.constant((np.stack([np.cos(turn), np.sin(turn)], axis=-1) @ across).T, dtype)


def _centre(heat):
    """The mean place, (x, y) in [-1, 1], of the softmax of heat maps [N, h, w, K]: [N, K, 2]."""
    height, width = heat.shape[1], heat.shape[2]
    flat = tf.nn.softmax(tf.reshape(heat, [-1, height * width, heat.shape[-1]]), axis=1)
    y, x = (2 * (tf.range(n, dtype=tf.float32) + 0.5) / n - 1 for n in (height, width))
    y, x = tf.meshgrid(y, x, indexing="ij")
    places = tf.stack([tf.reshape(x, [-1]), tf.reshape(y, [-1])], axis=-1)
    return tf.einsum("npk,pd->nkd", flat, places)
