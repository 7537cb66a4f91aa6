"""ACAI: an autoencoder with a critic of its interpolants."""

import keras
import tensorflow as tf

from tf_inbetween.kinds import KINDS
from tf_inbetween.models.autoencoder import Autoencoder
from tf_inbetween.models.ops import to_float
from tf_inbetween.networks.conv import ConvCritic

_CRITIC_BLEND = 0.2  # The paper's gamma.


@keras.saving.register_keras_serializable("tf_inbetween")
class ACAI(Autoencoder):
    """An autoencoder whose interpolants a critic cannot tell from reconstructions.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and Improving Interpolation in Autoencoders
    via an Adversarial Regularizer", 2018, equations 1 and 2. A frame's latent is mixed with that of
    another frame of the batch, z_a = (1-a) z + a z_other, a uniform in [0, 1/2], and decoded to
    x_a. The critic d is to tell a from x_a, and 0 from a frame that is not mixed; the autoencoder
    is to make it say 0:

        critic:       (d(x_a) - a)^2 + d(g x + (1-g) x')^2           g = 0.2
        autoencoder:  |x - x'|^2 / values + critic_weight d(x_a)^2     critic_weight = 0.5

    One loss holds both. The critic sees x_a and x' with their gradients stopped; the autoencoder
    is judged by a critic whose weights are. All is times the values of a frame (so that errors are
    those of a whole frame), the autoencoder's three times as in `Autoencoder`.

    Args:
        critic: frames [N, H, W, C] -> [N].
        critic_weight: the paper's lambda.
        others: as for `Autoencoder`.
    """

    networks = (*Autoencoder.networks, "critic")
    settings = (*Autoencoder.settings, "critic_weight")
    terms = (*Autoencoder.terms, "critic_error", "adversarial_loss")

    def __init__(self, encoder, decoder, critic, critic_weight=0.5, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        self.critic = critic
        self.critic_weight = critic_weight

    @classmethod
    def _arguments(cls, config, kind):
        critic = ConvCritic(config.filters, config.dense_units, name="critic")
        arguments = super()._arguments(config, kind)
        critic.build((None, *KINDS[kind].frame_shape(config)))
        return {**arguments, "critic": critic, "critic_weight": config.critic_weight}

    def call(self, batch, training=False):
        """As `TripletVAE.call`, and "mixed" [N], the a of every frame, and its "mixed_outputs"."""
        outputs = super().call(batch, training)
        z = outputs["mean"]
        seeds = tf.random.experimental.stateless_split(self._seed_of_step(1))
        mixed = tf.random.stateless_uniform(tf.shape(z)[:1], seeds[0], maxval=0.5)
        other = tf.random.experimental.stateless_shuffle(tf.range(tf.shape(z)[0]), seeds[1])
        z_mixed = self.interpolate_latents(z, tf.gather(z, other), mixed)
        return {**outputs, "mixed": mixed, "mixed_outputs": self.decoder(z_mixed)}

    def loss_and_terms(self, x, y_pred, training):
        """The loss, and its terms and diagnostics by name, not yet averaged."""
        error, shown = super().loss_and_terms(x, y_pred, training)
        values = float(y_pred["outputs"].shape[1:].num_elements())
        drawn, mixed = (
            self._likelihood(y_pred[name], self.scale).mean()
            for name in ("outputs", "mixed_outputs")
        )
        real = to_float(x["frames"])
        blended = _CRITIC_BLEND * real + (1 - _CRITIC_BLEND) * tf.stop_gradient(drawn)
        shown["critic_error"] = tf.reduce_mean(
            (self.critic(tf.stop_gradient(mixed)) - y_pred["mixed"]) ** 2
        ) + tf.reduce_mean(self.critic(blended) ** 2)
        judged, _ = self.critic.stateless_call(
            [tf.stop_gradient(weight.value) for weight in self.critic.trainable_variables],
            [weight.value for weight in self.critic.non_trainable_variables],
            mixed,
        )
        shown["adversarial_loss"] = tf.reduce_mean(judged**2)
        adversarial = shown["critic_error"] + 3 * self.critic_weight * shown["adversarial_loss"]
        return error + values * adversarial, shown
