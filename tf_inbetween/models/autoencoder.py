"""A plain autoencoder, to compare the VAE with.

The networks, the batches and the drawing are those of `TripletVAE`, whose latents are
distributions; here they are points. There is no prior, matching or ELBO, so --alpha, --matching,
--matching_samples and --prior_weight have no effect. The likelihood only interprets the decoder's
outputs and reports their quality; the losses are squared errors.
"""

import keras
import tensorflow as tf

from tf_inbetween import losses
from tf_inbetween.config import lookup
from tf_inbetween.models.latent_model import LatentModel
from tf_inbetween.networks import NETWORKS


@keras.saving.register_keras_serializable("tf_inbetween")
class Autoencoder(LatentModel):
    """Encodes a frame to a point, its stddev 0, and decodes that.

    The loss is, for a triplet, in squared errors of whole frames,

        3 |x - x'|^2 + inbetween_weight |x1 - x_t'|^2

    with x' the reconstruction and x_t' the frame decoded between x0 and x2 at t. With
    inbetween_weight 0 it is the plain autoencoder. Arguments as for `LatentModel`.
    """

    terms = ("reconstruction_mse", "inbetween_mse")
    diagnostics = ("reconstruction_nll", "inbetween_nll")
    distributable = False

    @classmethod
    def _networks_of(cls, config):
        return lookup(NETWORKS, config.network, "network")(config, deterministic=True)

    def loss_and_terms(self, x, y_pred, training):
        """The loss, and its terms and diagnostics by name, not yet averaged."""
        shown, values = self._errors(x, y_pred, training)
        error = 3 * shown["reconstruction_mse"] + self.inbetween_weight * shown["inbetween_mse"]
        return values * error, shown

    def _errors(self, x, y_pred, training):
        """The errors by name, and how many values a frame has."""
        (frames, p), (truth, p_inbetween) = self._drawn(x, y_pred, training)
        shown = {
            "reconstruction_nll": losses.negative_log_likelihood(p, frames),
            "inbetween_nll": losses.negative_log_likelihood(p_inbetween, truth),
            "reconstruction_mse": tf.reduce_mean((p.mean() - frames) ** 2),
            "inbetween_mse": tf.reduce_mean((p_inbetween.mean() - truth) ** 2),
        }
        return shown, float(frames.shape[1:].num_elements())
