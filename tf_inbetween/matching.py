"""Five readings of the paper's KL( q(x1) || (q(x0) + q(x2)) / 2 ).

Each takes three diagonal Gaussians q0, q1, q2 (`tfd.Independent` normals, batch [T], event [Z])
and the place t of x1 between x0 and x2 ([T], strictly between 0 and 1; 1/2 is the paper's case, and
in general q0 weighs 1 - t and q2 weighs t), and returns the divergence in nats, [T].

With all sigma = 1, ends at +-d and q1 at the midpoint (one dimension), in nats:

    reading           d = 1    d = 2    d = 3
    averaged          0        0        0
    moment_matched    0.097    0.405    0.701
    mixture           0.125    0.943    2.69
    upper_bound       0.5      2        4.5

`mixture` <= `upper_bound` always, by convexity (Hershey & Olsen, "Approximating the Kullback
Leibler Divergence Between Gaussian Mixture Models", ICASSP 2007).
"""

import tensorflow as tf
import tensorflow_probability as tfp

from tf_inbetween import distributions

tfd = tfp.distributions


def averaged(q0, q1, q2, t, **_):
    """KL(q1 || N(mean of the means, mean of the variances)): zero exactly at the middle."""
    s, t = _weights(t)
    variance = s * q0.variance() + t * q2.variance()
    return tfd.kl_divergence(q1, _gaussian(s * q0.mean() + t * q2.mean(), variance))


def mean_latent(q0, q1, q2, t, **_):
    """KL(q1 || law of (1-t) z0 + t z2): "the average of the first and third latent variables"."""
    s, t = _weights(t)
    variance = s**2 * q0.variance() + t**2 * q2.variance()
    return tfd.kl_divergence(q1, _gaussian(s * q0.mean() + t * q2.mean(), variance))


def moment_matched(q0, q1, q2, t, **_):
    """KL(q1 || the Gaussian with the mixture's mean and variance)."""
    s, t = _weights(t)
    spread = s * t * (q0.mean() - q2.mean()) ** 2
    variance = s * q0.variance() + t * q2.variance() + spread
    return tfd.kl_divergence(q1, _gaussian(s * q0.mean() + t * q2.mean(), variance))


def mixture(q0, q1, q2, t, samples=8, seed=None):
    """KL(q1 || (1-t) q0 + t q2), the formula as printed: Monte Carlo over draws of q1.

    The draws are reparameterised, so gradients reach all three posteriors. The estimate is
    unbiased; `samples` draws are averaged. `seed`: an integer or a stateless seed, [2].
    """
    s, t = _weights(t)
    p = tfd.MixtureSameFamily(
        tfd.Categorical(probs=tf.concat([s, t], axis=-1) * tf.ones_like(q0.mean()[..., :1])),
        distributions.gaussian(
            tf.stack([q0.mean(), q2.mean()], axis=-2),
            tf.stack([q0.stddev(), q2.stddev()], axis=-2),
        ),
    )
    z = q1.sample(samples, seed=seed)
    return tf.reduce_mean(q1.log_prob(z) - p.log_prob(z), axis=0)


def upper_bound(q0, q1, q2, t, **_):
    """(1-t) KL(q1 || q0) + t KL(q1 || q2), the convexity bound; also pulls the ends together."""
    t = tf.convert_to_tensor(t)
    return (1 - t) * tfd.kl_divergence(q1, q0) + t * tfd.kl_divergence(q1, q2)


MATCHINGS = {
    "averaged": averaged,
    "mean_latent": mean_latent,
    "moment_matched": moment_matched,
    "mixture": mixture,
    "upper_bound": upper_bound,
}


def _weights(t):
    """[T] -> the weights (1 - t, t) of q0 and q2, each [T, 1]."""
    t = tf.convert_to_tensor(t)[..., tf.newaxis]
    return 1 - t, t


def _gaussian(mean, variance):
    return distributions.gaussian(mean, tf.sqrt(variance))
