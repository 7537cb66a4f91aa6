"""Lines of text to latents and back: embedded bytes, convolutions along the line.

They compute in the Keras dtype policy they were built under; what they return is float32.
"""

import functools
import math

import keras
import tensorflow as tf

from tf_inbetween.networks.conv_layers import build_in_order

_PACKAGE = "tf_inbetween"
_BYTES = 256
_BLOCKS = 2
_SINES = 96
_Conv1D = functools.partial(keras.layers.Conv1D, padding="same", data_format="channels_last")


@keras.saving.register_keras_serializable(_PACKAGE)
class TextEncoder(keras.Model):
    """Lines [N, L, 1, 1] in [0, 1] -> the mean and the stddev of q(z|x), each [N, latent_dim].

    The bytes 255 x are embedded in `filters[0]` numbers. After the convolutions the maximum over
    the line is taken, so that a word counts wherever it stands. A `deterministic` encoder has no
    head for the stddev, which is 0.
    """

    def __init__(self, latent_dim, filters, dense_units, deterministic=False, **kwargs):
        super().__init__(**kwargs)
        self.latent_dim, self.filters, self.dense_units = latent_dim, tuple(filters), dense_units
        self.deterministic = deterministic
        self.embedding = keras.layers.Embedding(_BYTES, self.filters[0])
        self.trunk = [
            *(_Conv1D(width, 5, activation="silu") for width in self.filters),
            keras.layers.GlobalMaxPooling1D(data_format="channels_last"),
            keras.layers.Dense(dense_units, activation="silu"),
        ]
        self.mean = keras.layers.Dense(latent_dim, dtype="float32")
        self.raw_stddev = None
        if not deterministic:
            self.raw_stddev = keras.layers.Dense(latent_dim, dtype="float32")

    def build(self, input_shape):
        """Builds every layer for frames of `input_shape` [N, L, 1, 1]."""
        length = input_shape[1]
        self.embedding.build((None, length))
        shape = build_in_order(self.trunk, (None, length, self.filters[0]))
        self.mean.build(shape)
        if not self.deterministic:
            self.raw_stddev.build(shape)
        self.built = True

    def call(self, frames):
        """Returns (mean, stddev)."""
        hidden = self.embedding(tf.cast(tf.round(255.0 * frames[:, :, 0, 0]), tf.int32))
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
class Sines(keras.layers.Layer):
    """Latents [N, Z] -> [N, Z + 96]: the latents, and sines along 96 learned directions.

    All letters of a line may change from one minute to the next, and a perceptron of the latent
    alone learns such steep functions slowly: Tancik et al., "Fourier Features Let Networks Learn
    High Frequency Functions in Low Dimensional Domains", NeurIPS 2020. Every sine has a gain that
    starts at 0, as in Bachlechner et al., "ReZero is All You Need", UAI 2021: steep functions would
    keep the latents from finding their order.
    """

    def build(self, input_shape):
        """Directions of normal length, phases all round, gains of 0."""
        self.directions = self.add_weight(
            name="directions",
            shape=(input_shape[-1], _SINES),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        self.phases = self.add_weight(
            name="phases",
            shape=(_SINES,),
            initializer=keras.initializers.RandomUniform(-math.pi, math.pi),
        )
        self.gains = self.add_weight(name="gains", shape=(_SINES,), initializer="zeros")

    def call(self, latents):
        """See the class."""
        waves = self.gains * keras.ops.sin(latents @ self.directions + self.phases)
        return keras.ops.concatenate([latents, waves], axis=-1)

    def compute_output_shape(self, input_shape):
        """[N, Z + 96]."""
        return (*input_shape[:-1], input_shape[-1] + _SINES)


@keras.saving.register_keras_serializable(_PACKAGE)
class TextDecoder(keras.Model):
    """Latents [N, Z] -> the logits [N, P, 1, 256] float32 of the bytes, all places at once.

    What a latent and sines of it say becomes features of each place. Residual convolutions along
    the line make the letters of a word agree. `places` is P; None for L, one for each byte.
    """

    def __init__(self, length, filters, dense_units, places=None, **kwargs):
        super().__init__(**kwargs)
        self.length, self.filters, self.dense_units = length, tuple(filters), dense_units
        self.places = length if places is None else places
        width = self.filters[-1]
        self.trunk = [
            Sines(dtype="float32"),
            keras.layers.Dense(dense_units, activation="silu"),
            keras.layers.Dense(dense_units, activation="silu"),
            keras.layers.Dense(self.places * self.filters[0]),
            keras.layers.Reshape((self.places, self.filters[0])),
        ]
        self.blocks = [_Conv1D(width, 5, activation="silu") for _ in range(1 + _BLOCKS)]
        self.logits = keras.layers.Dense(_BYTES, dtype="float32")

    @property
    def frame_shape(self):
        """(H, W, C) of the frames."""
        return (self.length, 1, 1)

    def build(self, input_shape):
        """Builds every layer for latents of `input_shape` [N, Z]."""
        shape = build_in_order(self.trunk, input_shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.logits.build(shape)
        self.built = True

    def call(self, latents):
        """Returns the logits of p(x|z)."""
        hidden = latents
        for layer in self.trunk:
            hidden = layer(hidden)
        first, *others = self.blocks
        hidden = first(hidden)
        for block in others:
            hidden = hidden + block(hidden)
        return self.logits(hidden)[:, :, tf.newaxis]

    def get_config(self):
        """The constructor's arguments."""
        own = {
            "length": self.length,
            "filters": self.filters,
            "dense_units": self.dense_units,
            "places": self.places,
        }
        return {**super().get_config(), **own}


def text(config, deterministic=False):
    """Convolutions along a line of `image_size` bytes.

    `deterministic`: whether the encoder's stddev is 0, as autoencoders have it.
    """
    length = config.image_size.width
    places = 2 * length if config.likelihood == "ctc" else length
    return (
        TextEncoder(
            config.latent_dim, config.filters, config.dense_units, deterministic, name="encoder"
        ),
        TextDecoder(length, config.filters, config.dense_units, places, name="decoder"),
    )
