"""The distributions of the model, as TFP objects.

    p(z)   = N(0, I)                                 the prior
    q(z|x) = N(mean(x), diag(stddev(x)^2))           the encoder's posterior
    p(x|z) = one of `LIKELIHOODS`, pixels independent

Networks return tensors; these functions build the distribution where it is used, so that gradients
reach the tensors (a distribution built once over a variable would be frozen).
"""

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def gaussian(mean, stddev):
    """N(mean, diag(stddev^2)) over the last axis: [..., Z] -> batch [...], event [Z]."""
    return tfd.Independent(tfd.Normal(mean, stddev), reinterpreted_batch_ndims=1)


def prior(like):
    """N(0, I) of the shape and type of the posterior `like`."""
    mean = like.mean()
    return gaussian(tf.zeros_like(mean), tf.ones_like(mean))


def bernoulli(outputs, scale):
    """p(x|z) with the decoder's outputs [..., H, W, C] as logits; `scale` is not used.

    For pixel values strictly between 0 and 1 its log_prob is the usual cross-entropy, which is not
    a normalised density: compare its ELBO only with other Bernoulli runs.
    """
    del scale
    return tfd.Independent(
        tfd.Bernoulli(logits=outputs, dtype=outputs.dtype), reinterpreted_batch_ndims=3
    )


def normal(outputs, scale):
    """p(x|z) with the decoder's outputs [..., H, W, C] as means and one shared `scale`."""
    return tfd.Independent(tfd.Normal(outputs, scale), reinterpreted_batch_ndims=3)


def categorical(outputs, scale):
    """p(x|z) of bytes: the decoder's outputs [..., L, 1, 256] are logits; `scale` is not used.

    Its event is [L, 1, 1], the values 0/255, 1/255, …, 1 of a frame of text: `log_prob` takes
    x = byte / 255, and `mean` returns, as a mean is no letter, the most likely byte / 255.
    """
    del scale
    values = _Bytes(logits=outputs[..., tf.newaxis, :], dtype=tf.float32)
    return tfd.Independent(values, reinterpreted_batch_ndims=3)


class _Bytes(tfd.Categorical):
    """Bytes, as floats in [0, 1]."""

    def _log_prob(self, x):
        return super()._log_prob(tf.round(255.0 * x))

    def _mean(self):
        return self._mode() / 255.0

    def _sample_n(self, n, seed=None):
        return super()._sample_n(n, seed) / 255.0


# `calibrated_normal` is `normal` whose scale the model sets to its optimum, the root of the mean
# squared error (Rybkin, Daniilidis, Levine, "Simple and Effective VAE Training with Calibrated
# Decoders", ICML 2021, section 3.2): the reconstruction and the KL balance without a weight.
LIKELIHOODS = {
    "bernoulli": bernoulli,
    "normal": normal,
    "calibrated_normal": normal,
    "categorical": categorical,
}
