"""Points on the straight line between two latents, which training makes the motion."""

import tensorflow as tf


def lerp(z0, z2, t):
    """z_t = (1-t) z0 + t z2: latents [B, Z] (or [1, Z], for all) and t [B] -> [B, Z]."""
    t = tf.expand_dims(tf.cast(t, z0.dtype), -1)
    return (1 - t) * z0 + t * z2


def sagitta(z0, z1, z2, stddev, t):
    """How far z1 lies from the chord's point z_t, in units of z1's posterior: [B, Z] -> [B].

    The root mean square over the latent dimensions of (z1 - z_t) / stddev. At 0 the chord passes
    through z1; at 1 it misses it by one posterior standard deviation.
    """
    return tf.sqrt(tf.reduce_mean(((z1 - lerp(z0, z2, t)) / stddev) ** 2, axis=-1))
