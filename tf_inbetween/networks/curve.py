"""Paths from one latent to another: the chord, or a learned curve."""

import keras
import tensorflow as tf

from tf_inbetween.networks.conv_layers import build_in_order


@keras.saving.register_keras_serializable("tf_inbetween")
class Curve(keras.Model):
    """The offset of a path between latents from the chord: t (1-t) g(z0, z2, t).

    g is a small perceptron, averaged over both directions: g(z0, z2, t) = g(z2, z0, 1-t), so that
    the path is the same in both directions. Its last layer starts at zero, so training starts on
    the chord, and the ends are exact whatever g is. In float32, as the latents are.

    Args:
        latent_dim: Z, divisible by `sprites`.
        dense_units: units of its two hidden layers.
        sprites: objects that a latent holds one after another, as in `networks.sprites`: each has
            its own way, by the same weights, which also see which one it is, and a mean over all
            of them (as in Zaheer et al., "Deep Sets", NeurIPS 2017): how far the others moved says
            how much time passed.
    """

    def __init__(self, latent_dim, dense_units, sprites=1, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.latent_dim, self.dense_units, self.count = latent_dim, dense_units, sprites
        self.trunk = [
            keras.layers.Dense(dense_units, activation="silu", dtype="float32"),
            keras.layers.Dense(dense_units, activation="silu", dtype="float32"),
            keras.layers.Dense(latent_dim // sprites, kernel_initializer="zeros", dtype="float32"),
        ]

    def build(self, input_shape=None):
        """Builds every layer; the shapes follow from the constructor's arguments."""
        which = self.count if self.count > 1 else 0
        first, *others = self.trunk
        first.build((None, 2 * self.latent_dim // self.count + 1 + which))
        build_in_order(others, (None, (2 if which else 1) * first.units))
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
        first, *others = self.trunk
        both = first(both)
        if self.count > 1:
            of_all = tf.reduce_mean(both, axis=-2, keepdims=True)
            both = tf.concat([both, of_all + tf.zeros_like(both)], axis=-1)
        for layer in others:
            both = layer(both)
        return t * (1 - t) * tf.reshape(tf.reduce_mean(both, axis=0), whole)

    def get_config(self):
        """The constructor's arguments."""
        own = {
            "latent_dim": self.latent_dim,
            "dense_units": self.dense_units,
            "sprites": self.count,
        }
        return {**super().get_config(), **own}


def straight(config):
    """The chord itself: no curve."""
    del config


def curved(config):
    """A learned `Curve`, with as many units a layer as the encoder's dense one."""
    sprites = config.sprites if config.network == "sprites" else 1
    curve = Curve(config.latent_dim, config.dense_units, sprites, name="curve")
    curve.build()
    return curve
