"""The VAE over triplets of the paper, with the in-between likelihood.

To draw the in-between frame: encode both ends, go from one latent to the other, decode.
"""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tf_inbetween import distributions, interpolation, losses
from tf_inbetween.config import lookup
from tf_inbetween.matching import MATCHINGS
from tf_inbetween.models.latent_model import LatentModel
from tf_inbetween.models.ops import replica_count, replica_number, scaled

tfd = tfp.distributions


@keras.saving.register_keras_serializable("tf_inbetween")
class TripletVAE(LatentModel):
    """A VAE trained so that the straight line between two latents is the motion between the frames.

    Train it with `fit` on batches from `tf_inbetween.data`; then `encode`, `decode`, `reconstruct`
    and `inbetween` work on floats in [0, 1]. Saves and loads as `.keras`.

    Args:
        encoder, decoder: as for `LatentModel`.
        others: as for `LatentModel`, and as the fields of the same name in
            `tf_inbetween.config.Config`.

    Raises:
        InputError: for an unknown likelihood or matching.
    """

    settings = (
        *LatentModel.settings,
        "matching",
        "matching_samples",
        "alpha",
        "alpha_warmup_steps",
        "prior_weight",
    )
    terms = ("reconstruction_nll", "prior_kl", "matching_kl", "inbetween_nll")
    diagnostics = ("reconstruction_mse", "inbetween_mse", "chord_deviation", "alpha")

    def __init__(
        self,
        encoder,
        decoder,
        matching="averaged",
        matching_samples=8,
        alpha=1.0,
        alpha_warmup_steps=0,
        prior_weight=1.0,
        **kwargs,
    ):
        super().__init__(encoder, decoder, **kwargs)
        self.matching, self.matching_samples = matching, matching_samples
        self.alpha, self.alpha_warmup_steps = alpha, alpha_warmup_steps
        self.prior_weight = prior_weight
        self._matching = lookup(MATCHINGS, matching, "matching")

    @classmethod
    def _arguments(cls, config, kind):
        return {
            **super()._arguments(config, kind),
            "matching": config.matching,
            "matching_samples": config.matching_samples,
            "alpha": config.alpha,
            "alpha_warmup_steps": config.alpha_warmup_steps,
            "prior_weight": config.prior_weight,
        }

    def elbo(self, frames, seed):
        """One draw's estimate of the ELBO of frames [N, H, W, C] in [0, 1], in nats: [N].

        Of frames in the size that the networks have, S x S.

        `seed`: a stateless seed, [2].
        """
        q = self.encode(frames)
        p = self._likelihood(self._run_decoder(q.sample(seed=seed)), self.scale)
        log_prob = p.log_prob(scaled(frames, self.coded_size))
        return log_prob - tfd.kl_divergence(q, distributions.prior(q))

    # ---- training -------------------------------------------------------------------------------

    def loss_and_terms(self, x, y_pred, training):
        """The loss of a batch in nats, and its terms and diagnostics, not yet averaged.

        Per triplet, with the three frames' VAE losses summed (see `losses.triplet_loss`):

            sum over x0, x1, x2 of  -log p(x|z) + prior_weight KL( q(x) || N(0, I) )
            + alpha             KL( q(x1) || (1-t) q(x0) + t q(x2) )
            + inbetween_weight  -log p(x1|z_t)
        """
        (frames, p), (truth, p_inbetween) = self._drawn(x, y_pred, training)
        q = distributions.gaussian(y_pred["mean"], y_pred["stddev"])
        q0, q1, q2 = self._posteriors(x, y_pred)
        alpha = self._alpha_of_step() if training else tf.constant(self.alpha)
        terms = {}
        with tf.name_scope("likelihood"):
            terms["reconstruction_nll"] = losses.negative_log_likelihood(p, frames)
            terms["inbetween_nll"] = losses.negative_log_likelihood(p_inbetween, truth)
        with tf.name_scope("prior"):
            terms["prior_kl"] = losses.prior_kl(q, distributions.prior(q))
        with tf.name_scope("matching"):
            random = {"samples": self.matching_samples, "seed": self._seed_of_matching()}
            terms["matching_kl"] = tf.reduce_mean(self._matching(q0, q1, q2, x["t"], **random))
        with tf.name_scope("triplet_loss"):
            loss = losses.triplet_loss(terms, alpha, self.prior_weight, self.inbetween_weight)
        diagnostics = {
            "reconstruction_mse": (p.mean() - frames) ** 2,
            "inbetween_mse": (p_inbetween.mean() - truth) ** 2,
            "chord_deviation": interpolation.chord_deviation(
                q0.mean(), q1.mean(), q2.mean(), q1.stddev(), x["t"]
            ),
            "alpha": alpha,
        }
        return loss, {**terms, **diagnostics}

    def _posteriors(self, x, y_pred):
        """q(x0), q(x1), q(x2) of the triplets, as the matching takes them.

        On a curved path, q(x0) and q(x2) are shifted by the curve's offset from the chord at t, so
        that the matching pulls q(x1) to the path.
        """
        q0, q1, q2 = (
            distributions.gaussian(tf.gather(y_pred["mean"], i), tf.gather(y_pred["stddev"], i))
            for i in tf.unstack(x["triplets"], axis=1)
        )
        if self.curve is not None:
            off_chord = self.curve(q0.mean(), q2.mean(), x["t"])
            q0, q2 = (distributions.gaussian(q.mean() + off_chord, q.stddev()) for q in (q0, q2))
        return q0, q1, q2

    def _seed_of_matching(self):
        seed = self._seed_of_step(1)
        if replica_count() > 1:
            seed = tf.random.experimental.stateless_fold_in(seed, replica_number())
        return seed

    def _alpha_of_step(self):
        if not self.alpha_warmup_steps:
            return tf.constant(self.alpha)
        progress = tf.cast(self._step(), tf.float32) / self.alpha_warmup_steps
        return self.alpha * tf.minimum(progress, 1.0)
