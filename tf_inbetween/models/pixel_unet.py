"""A learned pixel method: a network from (x0, x2, t) to x1, trained on the same triplets.

A learned rival of the latent models, unlike the pixel methods of `baselines`. It has no latents, so
there is no reconstruction, prior, matching or encoder: --alpha, --matching, --matching_samples,
--prior_weight, --latent_dim and --dense_units do not apply.
"""

import keras
import tensorflow as tf

from tf_inbetween import losses
from tf_inbetween.config import InputError
from tf_inbetween.kinds import KINDS
from tf_inbetween.models.ops import call_allowing_empty, to_float
from tf_inbetween.models.triplet_model import TripletModel
from tf_inbetween.networks.unet import UNet


@keras.saving.register_keras_serializable("tf_inbetween")
class PixelUNet(TripletModel):
    """Draws the frame between two from their pixels.

    The network sees both frames and t as one more channel, the same in all pixels. That suffices:
    the first convolution makes of it a bias for each of its channels that is linear in t, and the
    layers above may depend on that as on anything else. (Only at the picture's border, where the
    padding is 0, is the bias another.)

    The loss is inbetween_weight times -log p(x1 | x0, x2, t), as in the latent models. At t = 0 and
    1 it does not return the ends themselves.

    Args:
        unet: [N, H, W, 2C+1] -> outputs [N, H, W, C].
        others: as for `TripletModel`.
    """

    networks = ("unet",)
    terms = ("inbetween_nll",)
    diagnostics = ("inbetween_mse",)
    distributable = False

    def __init__(
        self,
        unet,
        likelihood="calibrated_normal",
        normal_scale=0.02,
        inbetween_weight=1.0,
        inbetweens=36,
        frame_size=(64, 64),
        **kwargs,
    ):
        super().__init__(
            likelihood, normal_scale, inbetween_weight, inbetweens, frame_size, **kwargs
        )
        self.unet = unet

    @property
    def frame_shape(self):
        """(H, W, C) of the frames of the training."""
        return (*self.frame_size, self.unet.channels)

    @classmethod
    def build_from(cls, config, kind="pictures"):
        """The model, built, of a `Config` and a kind.

        Raises:
            InputError: for an unknown likelihood, and for settings that need latents or leave
                nothing to learn.
        """
        for name, needed in (("network", "conv"), ("latent_path", "straight")):
            if getattr(config, name) != needed:
                raise InputError(
                    f"--{name}={getattr(config, name)}: --model=pixel_unet has no latents; it "
                    f"needs --{name}={needed}"
                )
        if not config.inbetween_weight:
            raise InputError(
                "--inbetween_weight=0: --model=pixel_unet learns from the in-between likelihood "
                "alone; it must be above 0"
            )
        unet = UNet(config.channels, config.filters, name="unet")
        unet.build((None, None, None, 2 * config.channels + 1))
        model = cls(
            unet,
            likelihood=config.likelihood,
            normal_scale=config.normal_scale,
            inbetween_weight=config.inbetween_weight,
            inbetweens=config.clips_per_batch * config.inbetweens_per_clip,
            kind=kind,
            frame_size=KINDS[kind].frame_shape(config)[:2],
        )
        model.built = True
        return model

    def inbetween(self, first, second, t):
        """The frames at `t` [N] between `first` and `second` [N, H, W, C], all in [0, 1].

        With several times for each pair, t [N, K], the frames are [N, K, H, W, C].
        """
        first, second, t = (tf.cast(x, tf.float32) for x in (first, second, t))
        if t.shape.rank == 1:
            return self._draw(first, second, t)
        times = tf.shape(t)[1]
        pairs = (tf.repeat(frames, times, axis=0) for frames in (first, second))
        frames = self._draw(*pairs, tf.reshape(t, [-1]))
        return tf.reshape(frames, tf.concat([tf.shape(t), tf.shape(frames)[1:]], axis=0))

    def _draw(self, first, second, t):
        p = self._likelihood(self._run(_stacked(first, second, t)), self.scale)
        return tf.clip_by_value(p.mean(), 0.0, 1.0)

    @tf.function(reduce_retracing=True, autograph=False)
    def _run(self, stacked):
        return call_allowing_empty(self.unet, stacked)

    # ---- training -------------------------------------------------------------------------------

    def call(self, batch, training=False):
        """Draws the middle frames of the first `inbetweens` triplets of a batch.

        Args:
            batch: as for `TripletVAE.call`.
            training: not used; both modes are the same.

        Returns:
            "inbetween_outputs": the network's [D, H, W, C].
        """
        del training
        first, _, second = tf.unstack(batch["triplets"][: self._decoded()], axis=1)
        frames, t = to_float(batch["frames"]), batch["t"][: self._decoded()]
        stacked = _stacked(tf.gather(frames, first), tf.gather(frames, second), t)
        return {"inbetween_outputs": self.unet(stacked)}

    def loss_and_terms(self, x, y_pred, training):
        """The loss, and its term and the error by name, not yet averaged."""
        truth = to_float(tf.gather(x["frames"], x["triplets"][: self._decoded(), 1]))
        outputs = y_pred["inbetween_outputs"]
        p = self._likelihood(outputs, self._scale_for(truth, outputs, training))
        nll = losses.negative_log_likelihood(p, truth)
        shown = {"inbetween_nll": nll, "inbetween_mse": (p.mean() - truth) ** 2}
        return self.inbetween_weight * nll, shown


def _stacked(first, second, t):
    """Frames [N, H, W, C] and t [N] -> [N, H, W, 2C+1]."""
    t = tf.cast(t, first.dtype)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    plane = tf.zeros_like(first[..., :1]) + t
    return tf.concat([first, second, plane], axis=-1)
