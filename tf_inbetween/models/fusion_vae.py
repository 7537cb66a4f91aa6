"""The VAE over triplets whose in-between decoder also sees both ends: p(x1 | z_t, x0, x2)."""

import keras
import tensorflow as tf

from tf_inbetween import distributions, losses
from tf_inbetween.models.ops import (
    call_allowing_empty,
    replica_count,
    replica_number,
    scaled_part,
    to_float,
)
from tf_inbetween.models.vae import TripletVAE
from tf_inbetween.networks.fusion import fusion

_LEAST_SCALE = 0.01  # About two grey levels: smaller errors are not worth more.


@keras.saving.register_keras_serializable("tf_inbetween")
class FusionVAE(TripletVAE):
    """A `TripletVAE` whose drawings, with both ends, go through a `fusion.FusionDecoder`.

    The latent model is trained exactly as without it: the fusion decoder sees decode(z_t) and the
    reconstructions with their gradients stopped. Its own term is the in-between likelihood given
    the ends as well,

        -log p(x1 | z_t, x0, x2),    a normal around the fused frame, whose scale is this frame's
                                     optimum, its root mean square error

    (as in Rybkin et al., see `distributions`, but one scale a frame: so an error counts relative to
    the others of its frame, and large gaps do not outweigh small ones).

    Frames may be larger than those of the latent model: the fusion decoder works at their own size.
        In training it sees a `training_crop` of them, at a random place each step.

    A share of the training pairs is rotated and mirrored at random, as views that the latent model
    has not learned: half of them without a latent, to rely on pixels alone, half with the latent
    model's drawing of them, to learn when to distrust it. `encode`, `decode`, `reconstruct` and
    `sample_inbetween` are those of the latent model.

    Args:
        fusion: the `FusionDecoder`.
        latent_dropout: the share of the training pairs that are rotated; 1: never use a latent.
        clips_per_batch: of all replicas together, a multiple of their number.
        training_crop: height and width of that part; 0: the whole frames.
        others: as for `TripletVAE`.
    """

    networks = (*TripletVAE.networks, "fusion")
    settings = (*TripletVAE.settings, "latent_dropout", "clips_per_batch", "training_crop")
    terms = (*TripletVAE.terms, "fusion_nll")
    diagnostics = (*TripletVAE.diagnostics, "latent_inbetween_mse", "drawn_share")

    def __init__(
        self,
        encoder,
        decoder,
        fusion,
        latent_dropout=0.25,
        clips_per_batch=1,
        training_crop=0,
        **kwargs,
    ):
        super().__init__(encoder, decoder, **kwargs)
        self.fusion = fusion
        self.latent_dropout, self.clips_per_batch = latent_dropout, clips_per_batch
        self.training_crop = training_crop

    @classmethod
    def _arguments(cls, config, kind):
        arguments = super()._arguments(config, kind)
        return {
            **arguments,
            "fusion": fusion(config),
            "latent_dropout": config.latent_dropout,
            "clips_per_batch": config.clips_per_batch,
            "training_crop": config.training_crop,
        }

    # ---- drawing --------------------------------------------------------------------------------

    @tf.function(reduce_retracing=True, autograph=False)
    def fuse(self, first, second, z0, z2, z_t, t):
        """Runs the fusion decoder on frames, their latents, and the latents between.

        Args:
            first, second: [N, H, W, C] in [0, 1].
            z0, z2, z_t: [N, Z], the latents of both and of the frame between.
            t: [N] in [0, 1].

        Returns:
            As `FusionDecoder.call`, "frame" clipped to [0, 1].
        """
        z = tf.concat([z0, z2, z_t], axis=0)
        first_again, second_again, drawn = tf.split(self.decode(z, tf.shape(first)[1:3]), 3)
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
        """As `TripletVAE.call`; besides, what `loss_and_terms` needs of the decoded triplets.

        That is "fused_outputs" and "mask", [D, h, w, ...], "turned" [D] and "place", (top, left) of
        the part h x w of the frames that they are of.
        """
        outputs = super().call(batch, training)
        first, _, second = tf.unstack(batch["triplets"][: self._decoded()], axis=1)
        place = self._place(batch["frames"], training)
        frames = to_float(self._part(batch["frames"], place))
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
            small = self._small(batch["frames"])
            small_ends = [tf.gather(small, first), tf.gather(small, second)]
            latents = self._strange(latents, small_ends, t, turned, turned & (trust > 0))
        size, part = batch["frames"].shape[1:3], frames.shape[1:3]
        latents = [scaled_part(each, size, *tf.unstack(place), part) for each in latents]
        if training:
            ends, latents = self._turned(ends, turned), self._turned(latents, turned)
        parts = self.fusion(*ends, *latents, t, trust)
        fused = {"fused_outputs": parts["frame"], "mask": parts["mask"]}
        return {**outputs, **fused, "turned": turned, "place": place}

    def loss_and_terms(self, x, y_pred, training):
        """As `TripletVAE.loss_and_terms`, with -log p(x1 | z_t, x0, x2)."""
        loss, shown = super().loss_and_terms(x, y_pred, training)
        frames = self._part(x["frames"], y_pred["place"])
        truth = to_float(tf.gather(frames, x["triplets"][: self._decoded(), 1]))
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

    def _place(self, frames, training):
        """(top, left) of the part of a batch's frames to train on: anywhere, or in the middle."""
        if not self.training_crop:
            return tf.zeros([2], tf.int32)
        free = tf.shape(frames)[1:3] - self.training_crop
        if not training:
            return free // 2
        seed = tf.random.experimental.stateless_fold_in(self._seed_of_step(1), 2)
        u = tf.random.stateless_uniform([2], seed)
        return tf.cast(u * tf.cast(free + 1, tf.float32), tf.int32)

    def _part(self, frames, place):
        """The part at `place` of frames [N, H, W, C]: [N, training_crop, training_crop, C]."""
        if not self.training_crop:
            return frames
        size = [-1, self.training_crop, self.training_crop, -1]
        return tf.slice(frames, [0, place[0], place[1], 0], size)

    def _strange(self, latents, ends, t, turned, chosen):
        """`latents` as frames, in the `chosen` rows replaced by what the latent model makes there.

        The ends are rotated and mirrored, drawn by the latent model, and the drawing is rotated
        back. The latent model has not learned such views, so its drawing is often wrong, as on any
        unseen view, and the fusion decoder learns to notice.
        """
        rows = tf.where(chosen)
        first, second = (tf.gather_nd(frames, rows) for frames in self._turned(ends, turned))
        new = self._decode_between_small(first, second, tf.gather(t, rows))
        new = [
            tf.tensor_scatter_nd_update(old, rows, tf.stop_gradient(chosen_rows))
            for old, chosen_rows in zip(latents, new, strict=True)
        ]
        return self._turned(new, chosen, back=True)

    def _turned(self, frames, rows, back=False):
        """Frames [N, H, W, C] of a triplet, the chosen `rows` turned and mirrored alike; or back.

        Parts that are not square are only mirrored.
        """
        seed = tf.random.experimental.stateless_fold_in(self._seed_of_step(1), 1)
        chosen = (self._uniform(3, tf.shape(rows)[0], seed) < 0.5) & rows
        square = self.training_crop or self.frame_size[0] == self.frame_size[1]
        turns = list(zip(tf.unstack(chosen[..., None, None, None]), _TURNS, strict=True))
        turns = turns if square else turns[:2]
        turned = []
        for picture in frames:
            for flip, turn in reversed(turns) if back else turns:
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
