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


def ctc(outputs, scale):
    """p(x|z) of lines: the decoder's outputs [..., 2 L, 1, 256] are logits; `scale` is not used.

    As `categorical`, but a byte has no place of its own: the decoder writes on twice as many places
    as a line has bytes, byte 0 is a blank, and the line is what is left without blanks. So a word
    stays where it is when the word before it gets longer. `log_prob` sums over all ways to write
    the line (Graves et al., "Connectionist Temporal Classification", ICML 2006, equation 3), and
    `mean` returns the line of the most likely way / 255 (their "best path").
    """
    del scale
    return _Lines(outputs[..., 0, :])


class _Lines(tfd.Distribution):
    """Lines [L, 1, 1], bytes / 255 padded with zeros, of independent bytes at 2 L places.

    Equal bytes side by side count once unless a blank stands between: L bytes need 2 L - 1 places.
    Lines of more than L bytes are possible too: `mean` and `sample` cut them.
    """

    def __init__(self, logits, name="Lines"):
        parameters = dict(locals())
        self.logits = logits
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def _batch_shape_tensor(self):
        return tf.shape(self.logits)[:-2]

    def _batch_shape(self):
        return self.logits.shape[:-2]

    def _event_shape_tensor(self):
        return tf.constant(self._event_shape().as_list())

    def _event_shape(self):
        return tf.TensorShape([self.logits.shape[-2] // 2, 1, 1])

    def _log_prob(self, x):
        places, values = self.logits.shape[-2:]
        logits = tf.reshape(self.logits, [-1, places, values])
        content = tf.reshape(tf.cast(tf.round(255.0 * x), tf.int32), [-1, places // 2])
        is_empty = tf.reduce_all(content == 0, axis=1)
        # The loss refuses empty lines: they get some byte here, and their own value below.
        content += tf.cast(is_empty[:, tf.newaxis], tf.int32) * tf.one_hot(0, places // 2, 1)
        rows = tf.shape(content)[0]
        loss = tf.nn.ctc_loss(
            tf.sparse.from_dense(content),
            tf.transpose(logits, [1, 0, 2]),
            label_length=None,
            logit_length=tf.fill([rows], places),
            blank_index=0,
        )
        log_prob = tf.cond(
            tf.reduce_any(is_empty),
            lambda: tf.where(is_empty, _log_prob_of_blanks(logits), -loss),
            lambda: -loss,
        )
        return tf.reshape(log_prob, tf.shape(self.logits)[:-2])

    def _mean(self):
        return _without_blanks(tf.argmax(self.logits, axis=-1, output_type=tf.int32))

    def _sample_n(self, n, seed=None):
        return _without_blanks(tfd.Categorical(logits=self.logits).sample(n, seed=seed))


def _log_prob_of_blanks(logits):
    """The log-probability that all places are blank: [N, P, 256] -> [N]."""
    return tf.reduce_sum(logits[..., 0] - tf.reduce_logsumexp(logits, axis=-1), axis=-1)


def _without_blanks(content):
    """What is left of bytes [..., 2 L], repeated ones once, blanks not: [..., L, 1, 1] / 255."""
    before = tf.concat([tf.zeros_like(content[..., :1]), content[..., :-1]], axis=-1)
    is_blank = (content == 0) | (content == before)
    order = tf.argsort(tf.cast(is_blank, tf.int32), axis=-1, stable=True)
    kept = tf.where(is_blank, 0, content)
    line = tf.gather(kept, order, batch_dims=-1)[..., : content.shape[-1] // 2]
    return tf.cast(line, tf.float32)[..., tf.newaxis, tf.newaxis] / 255.0


# `calibrated_normal` is `normal` whose scale the model sets to its optimum, the root of the mean
# squared error (Rybkin, Daniilidis, Levine, "Simple and Effective VAE Training with Calibrated
# Decoders", ICML 2021, section 3.2): the reconstruction and the KL balance without a weight.
LIKELIHOODS = {
    "bernoulli": bernoulli,
    "normal": normal,
    "calibrated_normal": normal,
    "categorical": categorical,
    "ctc": ctc,
}
