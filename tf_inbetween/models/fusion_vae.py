"""The VAE over triplets whose in-between decoder also sees both ends: p(x1 | z_t, x0, x2)."""

import keras
import tensorflow as tf

from tf_inbetween import distributions, losses
from tf_inbetween.models.ops import call_allowing_empty, replica_count, replica_number, to_float
from tf_inbetween.models.vae import TripletVAE
from tf_inbetween.networks.fusion import fusion

_LEAST_SCALE = 0.01  # About two grey levels: what is as near as that is not worth more.


@keras.saving.register_keras_serializable("tf_inbetween")
class FusionVAE(TripletVAE):
    """A `TripletVAE` that hands what it draws to a `fusion.FusionDecoder`, with both ends.

    The latent model is trained exactly as without it: the fusion decoder sees decode(z_t) and the
    reconstructions with their gradients stopped. Its own term is the in-between likelihood given
    the ends as well,

        -log p(x1 | z_t, x0, x2),    a normal around the fused frame, whose scale is this frame's
                                     optimum, its root mean square error

    (as in Rybkin et al., see `distributions`, but one scale a frame: so an error counts by how
    large it is beside the others of its frame, and large gaps do not outweigh small ones).

    A share of the training pairs are turned and mirrored at random, as views that the latent model
    has not learned: half of them without a latent, so that pixels alone suffice, half with what the
    latent model makes of them, so that the fusion decoder learns when to distrust it. `encode`,
    `decode`, `reconstruct` and `sample_inbetween` are those of the latent model.

    Args:
        fusion: the `FusionDecoder`.
        latent_dropout: the share of the training pairs that are turned; 1: there is never a latent.
        clips_per_batch: of all replicas together, a multiple of their number.
        others: as for `TripletVAE`.
    """

    networks = (*TripletVAE.networks, "fusion")
    settings = (*TripletVAE.settings, "latent_dropout", "clips_per_batch")
    terms = (*TripletVAE.terms, "fusion_nll")
    diagnostics = (*TripletVAE.diagnostics, "latent_inbetween_mse", "drawn_share")

    def __init__(self, encoder, decoder, fusion, latent_dropout=0.25, clips_per_batch=1, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        self.fusion = fusion
        self.latent_dropout, self.clips_per_batch = latent_dropout, clips_per_batch

    @classmethod
    def _arguments(cls, config, kind):
        arguments = super()._arguments(config, kind)
        return {
            **arguments,
            "fusion": fusion(config),
            "latent_dropout": config.latent_dropout,
            "clips_per_batch": config.clips_per_batch,
        }

    # ---- drawing --------------------------------------------------------------------------------

    @tf.function(reduce_retracing=True, autograph=False)
    def fuse(self, first, second, z0, z2, z_t, t):
        """What the fusion decoder makes of frames, their latents, and the latents between.

        Args:
            first, second: [N, H, W, C] in [0, 1].
            z0, z2, z_t: [N, Z], the latents of both and of the frame between.
            t: [N] in [0, 1].

        Returns:
            As `FusionDecoder.call`, "frame" clipped to [0, 1].
        """
        first_again, second_again, drawn = tf.split(self.decode(tf.concat([z0, z2, z_t], 0)), 3)
        return self.fuse_decoded(first, second, first_again, second_again, drawn, t)

    @tf.function(reduce_retracing=True, autograph=False)
    def fuse_decoded(self, first, second, first_again, second_again, drawn, t):
        """As `fuse`, of what `decode` made of z0, z2 and z_t already: [N, H, W, C] in [0, 1]."""
        trust = tf.zeros_like(t) if self.latent_dropout == 1 else tf.ones_like(t)
        inputs = (first, second, first_again, second_again, drawn, t, trust)
        parts = call_allowing_empty(self.fusion, *inputs)
        return {**parts, "frame": tf.clip_by_value(parts["frame"], 0.0, 1.0)}

    def parts(self, first, second, t):
        """As `fuse`, for frames [N, H, W, C] in [0, 1] and t [N], or [N, K]: N K rows then.

        Besides, "first_again" and "second_again" [N, H, W, C], the ends' reconstructions.
        """
        t = tf.convert_to_tensor(t)
        t = t if t.shape.rank == 2 else tf.expand_dims(t, 1)
        first_again, second_again, drawn = self.decode_between(first, second, t)
        ends = (first, second, first_again, second_again)
        ends = (tf.repeat(end, tf.shape(t)[1], axis=0) for end in ends)
        parts = self.fuse_decoded(*ends, drawn, tf.reshape(t, [-1]))
        return {**parts, "first_again": first_again, "second_again": second_again}

    @tf.function(reduce_retracing=True, autograph=False)
    def _run_inbetween(self, first, second, t):
        frames = self.parts(first, second, t)["frame"]
        return tf.reshape(frames, tf.concat([tf.shape(t), tf.shape(frames)[1:]], axis=0))

    # ---- training -------------------------------------------------------------------------------

    def call(self, batch, training=False):
        """As `TripletVAE.call`; besides, "fused_outputs" and "mask" of the decoded triplets."""
        outputs = super().call(batch, training)
        first, _, second = tf.unstack(batch["triplets"][: self._decoded()], axis=1)
        frames = to_float(batch["frames"])
        again = self._means_of(outputs["outputs"])
        ends = [tf.gather(frames, first), tf.gather(frames, second)]
        latents = [tf.gather(again, first), tf.gather(again, second)]
        latents.append(self._means_of(outputs["inbetween_outputs"]))
        t = batch["t"][: self._decoded()]
        turned = tf.zeros_like(t, tf.bool)
        trust = tf.zeros_like(t) if self.latent_dropout == 1 else tf.ones_like(t)
        if training:
            u = self._uniform(2, tf.shape(t)[0], self._seed_of_step(1))
            turned = u[0] < self.latent_dropout
            trust *= tf.cast(~turned | (u[1] < 0.5), tf.float32)
            ends = self._turned(ends, turned)
            latents = self._strange(latents, ends, t, turned & (trust > 0))
        parts = self.fusion(*ends, *latents, t, trust)
        return {**outputs, "fused_outputs": parts["frame"], "mask": parts["mask"], "turned": turned}

    def loss_and_terms(self, x, y_pred, training):
        """As `TripletVAE.loss_and_terms`, with -log p(x1 | z_t, x0, x2)."""
        loss, shown = super().loss_and_terms(x, y_pred, training)
        truth = to_float(tf.gather(x["frames"], x["triplets"][: self._decoded(), 1]))
        outputs = y_pred["fused_outputs"]
        if training:
            (truth,) = self._turned([truth], y_pred["turned"])
        variance = tf.reduce_mean((outputs - truth) ** 2, axis=[1, 2, 3], keepdims=True)
        scale = tf.sqrt(tf.maximum(tf.stop_gradient(variance), _LEAST_SCALE**2))
        p = distributions.normal(outputs, scale)
        shown["fusion_nll"] = losses.negative_log_likelihood(p, truth)
        shown["latent_inbetween_mse"] = shown["inbetween_mse"]
        shown["inbetween_mse"] = (outputs - truth) ** 2
        shown["drawn_share"] = y_pred["mask"][..., 2]
        return loss + self.inbetween_weight * shown["fusion_nll"], shown

    def _means_of(self, outputs):
        """The decoder's outputs as frames in [0, 1], their gradients stopped."""
        mean = self._likelihood(outputs, self.scale).mean()
        return tf.clip_by_value(tf.stop_gradient(mean), 0.0, 1.0)

    def _strange(self, latents, ends, t, chosen):
        """`latents` as frames, in the `chosen` rows replaced by what the latent model makes there.

        It has not learned the views that turning and mirroring make, so what it draws is often
        wrong, as on any view that no clip shows, and the fusion decoder learns to see that.
        """
        rows = tf.where(chosen)
        first, second = (tf.gather_nd(frames, rows) for frames in ends)
        new = self.decode_between(first, second, tf.gather(t, rows))
        return [
            tf.tensor_scatter_nd_update(old, rows, tf.stop_gradient(chosen_rows))
            for old, chosen_rows in zip(latents, new, strict=True)
        ]

    def _turned(self, frames, rows):
        """Frames [N, H, W, C] of a triplet, the chosen `rows` turned and mirrored alike."""
        seed = tf.random.experimental.stateless_fold_in(self._seed_of_step(1), 1)
        chosen = (self._uniform(3, tf.shape(rows)[0], seed) < 0.5) & rows
        turned = []
        for picture in frames:
            for flip, turn in zip(tf.unstack(chosen[..., None, None, None]), _TURNS, strict=True):
                picture = tf.where(flip, turn(picture), picture)
            turned.append(picture)
        return turned

    def _uniform(self, count, triplets, seed):
        """Numbers in [0, 1) for this replica's triplets: its part of what a single device draws.

        Triplets go round the clips of a batch in turn, and a replica has whole clips.
        """
        replicas = replica_count()
        u = tf.random.stateless_uniform([count, triplets * replicas], seed)
        if replicas == 1:
            return u
        by_replica = tf.reshape(u, [count, -1, replicas, self.clips_per_batch // replicas])
        return tf.reshape(by_replica[:, :, replica_number()], [count, triplets])


# Together: the eight ways to lay a square picture down.
_TURNS = (
    lambda frames: frames[:, ::-1],
    lambda frames: frames[:, :, ::-1],
    lambda frames: tf.transpose(frames, [0, 2, 1, 3]),
)
