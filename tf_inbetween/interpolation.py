"""Points on paths through latents: straight lines, which training makes the motion, or a spline.

Paths through many latents z_0 … z_{M-1} have a time t in [0, M-1] that is i at z_i.
"""

import tensorflow as tf

_FLAT = 1e-4  # Sines of angles that slerp takes for 0 or for 180 degrees.


def lerp(z0, z2, t):
    """z_t = (1-t) z0 + t z2: latents [B, Z] (or [1, Z], for all) and t [B] -> [B, Z]."""
    t = tf.expand_dims(tf.cast(t, z0.dtype), -1)
    return (1 - t) * z0 + t * z2


def slerp(z0, z2, t):
    """Along the great circle from z0 to z2 about the origin: shapes as of `lerp`.

    Shoemake, "Animating Rotation with Quaternion Curves", SIGGRAPH 1985; for latents of a Gaussian
    prior, whose norms are nearly one and which differ, White, "Sampling Generative Networks", 2016:

        z_t = sin((1-t) w) / sin(w) z0 + sin(t w) / sin(w) z2,    w the angle between z0 and z2.

    Equal norms are kept. Where the circle is not defined, that is for parallel, for opposite and
    for zero latents, it is `lerp`.
    """
    t = tf.expand_dims(tf.cast(t, z0.dtype), -1)
    norm0, norm2 = (tf.norm(z, axis=-1, keepdims=True) for z in (z0, z2))
    # Unlike the arc cosine of the scalar product this is accurate for small angles (Kahan).
    one, other = z0 * norm2, z2 * norm0
    apart, along = (tf.norm(z, axis=-1, keepdims=True) for z in (one - other, one + other))
    angle = 2 * tf.atan2(apart, along)
    sine = tf.sin(angle)
    flat = sine < _FLAT
    sine = tf.where(flat, tf.ones_like(sine), sine)
    circle = tf.sin((1 - t) * angle) / sine * z0 + tf.sin(t * angle) / sine * z2
    return tf.where(flat, (1 - t) * z0 + t * z2, circle)


def piecewise_linear(z, t, interpolate=lerp):
    """Straight lines from each latent to the next: z [M, Z] and t [K] in [0, M-1] -> [K, Z].

    Another `interpolate` goes from each latent to the next in another way.
    """
    i, u = _place(z, t)
    return interpolate(tf.gather(z, i), tf.gather(z, i + 1), u)


def catmull_rom(z, t):
    """A smooth curve through all latents: z [M, Z], M at least 2, and t [K] in [0, M-1] -> [K, Z].

    The cubic spline of Catmull and Rom (1974): between z_i and z_{i+1} the cubic whose ends are
    these and whose slopes there are (z_{i+1} - z_{i-1}) / 2 and (z_{i+2} - z_i) / 2. Its slope is
    continuous, it repeats straight lines and (off its ends) parabolas exactly, and a point depends
    on four latents alone. At the ends the latents are continued by z_{-1} = 2 z_0 - z_1, so that
    through two it is the straight line.
    """
    i, u = _place(z, t)
    padded = tf.concat([2 * z[:1] - z[1:2], z, 2 * z[-1:] - z[-2:-1]], axis=0)
    before, begin, end, after = (tf.gather(padded, i + k) for k in range(4))
    slope_begin, slope_end = (end - before) / 2, (after - begin) / 2
    u = tf.expand_dims(u, -1)
    return (
        (1 + 2 * u) * (1 - u) ** 2 * begin
        + u * (1 - u) ** 2 * slope_begin
        + u**2 * (3 - 2 * u) * end
        - u**2 * (1 - u) * slope_end
    )


PATHS = {"linear": piecewise_linear, "spline": catmull_rom}


def _place(z, t):
    """t [K] in [0, M-1] as the number of the gap, int32 [K], and the place in it, [K] in [0, 1]."""
    t = tf.convert_to_tensor(t)
    i = tf.clip_by_value(tf.cast(tf.floor(t), tf.int32), 0, tf.shape(z)[0] - 2)
    return i, tf.cast(t - tf.cast(i, t.dtype), z.dtype)


def chord_deviation(z0, z1, z2, stddev, t):
    """How far z1 lies from the chord's point z_t, in units of z1's posterior: [B, Z] -> [B].

    The root mean square over the latent dimensions of (z1 - z_t) / stddev. At 0 the chord passes
    through z1; at 1 it misses it by one posterior standard deviation.
    """
    return tf.sqrt(tf.reduce_mean(((z1 - lerp(z0, z2, t)) / stddev) ** 2, axis=-1))
