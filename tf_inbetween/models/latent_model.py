"""The base of models with latents: encode both ends, interpolate, decode."""

import tensorflow as tf

from tf_inbetween import distributions, interpolation
from tf_inbetween.config import lookup
from tf_inbetween.kinds import KINDS
from tf_inbetween.models.ops import (
    call_allowing_empty,
    check_finite,
    replica_count,
    replica_number,
    scaled,
    to_float,
)
from tf_inbetween.models.triplet_model import TripletModel
from tf_inbetween.networks import LATENT_PATHS, NETWORKS


class LatentModel(TripletModel):
    """A `TripletModel` that encodes frames and decodes latents, and points between latents.

    Latents are distributions q(z|x), Gaussians of diagonal covariance; points have a stddev of 0. A
    subclass has `loss_and_terms`.

    Frames of any size are scaled to the S x S that the networks have, and what is decoded is scaled
    back.

    Args:
        encoder: frames [N, S, S, C] -> mean and stddev of q(z|x), each [N, Z].
        decoder: latents [N, Z] -> outputs [N, S, S, C].
        frame_size: (height, width) of the frames of the training; None: (S, S).
        curve: the `networks.Curve` that bends the way from one latent to another, or None.
        inbetweens: how many triplets of a batch, the first ones, are decoded and compared.
        others: as the fields of the same name in `tf_inbetween.config.Config`.
    """

    networks = ("encoder", "decoder", "curve")
    settings = (*TripletModel.settings, "seed")

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="calibrated_normal",
        normal_scale=0.02,
        inbetween_weight=1.0,
        inbetweens=36,
        seed=0,
        curve=None,
        frame_size=None,
        **kwargs,
    ):
        size = tuple(decoder.frame_shape[:2])
        super().__init__(
            likelihood, normal_scale, inbetween_weight, inbetweens, frame_size or size, **kwargs
        )
        self.encoder, self.decoder, self.curve = encoder, decoder, curve
        self.seed = seed
        self.coded_size = size

    @property
    def frame_shape(self):
        """(H, W, C) of the frames of the training."""
        return (*self.frame_size, self.decoder.frame_shape[-1])

    @classmethod
    def build_from(cls, config, kind="pictures"):
        """The model, built, of a `Config` and a kind. Raises `InputError` for an unknown name."""
        model = cls(**cls._arguments(config, kind))
        model.built = True
        return model

    @classmethod
    def _networks_of(cls, config):
        return lookup(NETWORKS, config.network, "network")(config)

    @classmethod
    def _arguments(cls, config, kind):
        """The constructor's arguments for a `Config`, the networks built."""
        encoder, decoder = cls._networks_of(config)
        encoder.build((None, *decoder.frame_shape))
        decoder.build((None, config.latent_dim))
        return {
            "encoder": encoder,
            "decoder": decoder,
            "curve": lookup(LATENT_PATHS, config.latent_path, "latent path")(config),
            "likelihood": config.likelihood,
            "normal_scale": config.normal_scale,
            "inbetween_weight": config.inbetween_weight,
            "inbetweens": config.clips_per_batch * config.inbetweens_per_clip,
            "kind": kind,
            "seed": config.seed,
            "frame_size": KINDS[kind].frame_shape(config)[:2],
        }

    # ---- drawing --------------------------------------------------------------------------------

    def encode(self, frames):
        """The posteriors q(z|x) of frames [N, H, W, C] in [0, 1]: a distribution, event [Z].

        Raises `InputError` for frames with NaN or infinity in them, if called eagerly.
        """
        check_finite("frames", frames)
        return distributions.gaussian(*self._run_encoder(frames))

    def decode(self, latents, size=None):
        """The means of p(x|z) for latents [N, Z]: frames [N, H, W, C], clipped to [0, 1].

        `size`: the H and W that they are scaled to; None: that of the training's frames. Raises
        `InputError` for latents with NaN or infinity in them, if called eagerly.
        """
        return scaled(self.decode_small(latents), self.frame_size if size is None else size)

    def _size_of(self, frames):
        """The (H, W) to scale decoded frames to, beside `frames`."""
        return tf.shape(frames)[1:3] if self.any_size else self.frame_size

    def decode_small(self, latents):
        """As `decode`, in the size that the decoder draws: [N, S, S, C]."""
        check_finite("latents", latents)
        p = self._likelihood(self._run_decoder(latents), self.scale)
        return tf.clip_by_value(p.mean(), 0.0, 1.0)

    # Graphs take half the time for a few frames. One is traced for the first batch size and one for
    # all others.
    @tf.function(reduce_retracing=True, autograph=False)
    def _run_encoder(self, frames):
        return call_allowing_empty(self.encoder, scaled(frames, self.coded_size))

    @tf.function(reduce_retracing=True, autograph=False)
    def _run_decoder(self, latents):
        return call_allowing_empty(self.decoder, latents)

    def reconstruct(self, frames):
        """Frames [N, H, W, C] in [0, 1] through the posterior mean and back."""
        return self.decode(self.encode(frames).mean(), self._size_of(frames))

    def interpolate_latents(self, z0, z2, t):
        """The latents at `t` [...] on the way from `z0` to `z2`, [..., Z] or broadcast to that.

        A straight line, bent by the `curve` if there is one; z0 at t = 0 and z2 at t = 1.
        """
        t = tf.convert_to_tensor(t)
        z_t = interpolation.lerp(z0, z2, t)
        return z_t if self.curve is None else z_t + self.curve(z0, z2, t)

    def inbetween(self, first, second, t):
        """The frames at `t` [N] between `first` and `second` [N, H, W, C], all in [0, 1].

        From one posterior mean to the other by `interpolate_latents`; t = 0 reconstructs `first`
        and t = 1 `second`. With several times for each pair, t [N, K], the frames are
        [N, K, H, W, C].
        """
        first, second, t = (tf.cast(x, tf.float32) for x in (first, second, t))
        for what, values in (("frames", first), ("frames", second), ("t", t)):
            check_finite(what, values)
        if t.shape.rank == 1:
            return self._run_inbetween(first, second, t[:, tf.newaxis])[:, 0]
        return self._run_inbetween(first, second, t)

    @tf.function(reduce_retracing=True, autograph=False)
    def _run_inbetween(self, first, second, t):
        z0, z2 = tf.split(self.encode(tf.concat([first, second], axis=0)).mean(), 2)
        z_t = self.interpolate_latents(tf.expand_dims(z0, 1), tf.expand_dims(z2, 1), t)
        frames = self.decode(tf.reshape(z_t, [-1, z_t.shape[-1]]), self._size_of(first))
        return tf.reshape(frames, tf.concat([tf.shape(t), tf.shape(first)[1:]], axis=0))

    def decode_between(self, first, second, t):
        """Decodes two ends and the path between them in one call of the decoder.

        Args:
            first, second: [N, H, W, C] in [0, 1].
            t: [N, K] in [0, 1].

        Returns:
            The reconstructions of `first` and of `second`, each [N, H, W, C], and the frames at t,
            [N K, H, W, C], those of a pair one after the other.
        """
        size = self._size_of(first)
        small = self._decode_between_small(first, second, t)
        return tuple(scaled(frames, size) for frames in small)

    def _decode_between_small(self, first, second, t):
        """As `decode_between`, in the size that the decoder draws."""
        z0, z2 = tf.split(self.encode(tf.concat([first, second], axis=0)).mean(), 2)
        z_t = self.interpolate_latents(tf.expand_dims(z0, 1), tf.expand_dims(z2, 1), t)
        z = tf.concat([z0, z2, tf.reshape(z_t, [-1, z_t.shape[-1]])], axis=0)
        frames, rows = self.decode_small(z), tf.shape(first)[0]
        return frames[:rows], frames[rows : 2 * rows], frames[2 * rows :]

    def sample_inbetween(self, first, second, t, seed):
        """One draw for each row from the posterior between two, decoded: [N, H, W, C] in [0, 1].

        The latent is drawn from N(mean_t, (1-t) var0 + t var2) with mean_t from
        `interpolate_latents`, on a straight line (1-t) mean0 + t mean2: the reading `averaged` of
        the mixture. `inbetween` takes its mean.

        Args:
            first, second: [N, H, W, C] in [0, 1].
            t: [N] in [0, 1].
            seed: [N, 2] integers; a row's draw depends on its own seed alone.
        """
        q0, q2 = self.encode(first), self.encode(second)
        mean = self.interpolate_latents(q0.mean(), q2.mean(), t)
        variance = interpolation.lerp(q0.variance(), q2.variance(), t)
        noise = tf.map_fn(
            lambda row: tf.random.stateless_normal(q0.event_shape, row),
            seed,
            fn_output_signature=tf.TensorSpec(q0.event_shape, tf.float32),
        )
        return self.decode(mean + tf.sqrt(variance) * noise, self._size_of(first))

    # ---- training -------------------------------------------------------------------------------

    def call(self, batch, training=False):
        """Encodes and decodes one batch with one draw from every posterior.

        Args:
            batch: "frames" [N, H, W, C] uint8, "triplets" [T, 3] int32 indices of frames, "t" [T].
            training: not used; both modes draw.

        Returns:
            "mean", "stddev" [N, Z]; the decoder's "outputs" [N, S, S, C] of the frames and
            "inbetween_outputs" [D, S, S, C] of the first D = `inbetweens` triplets.
        """
        del training
        first, _, second = tf.unstack(batch["triplets"][: self._decoded()], axis=1)
        mean, stddev = self.encoder(self._small(batch["frames"]))
        with tf.name_scope("latents"):
            z = self._draw(mean, stddev)
            z_t = self.interpolate_latents(
                tf.gather(z, first), tf.gather(z, second), batch["t"][: self._decoded()]
            )
        return {
            "mean": mean,
            "stddev": stddev,
            "outputs": self.decoder(z),
            "inbetween_outputs": self.decoder(z_t),
        }

    def _drawn(self, x, y_pred, training):
        """The batch's frames and p(x|z) of them; the true middle frames and p(x1|z_t) of them."""
        frames = self._small(x["frames"])
        truth = tf.gather(frames, x["triplets"][: self._decoded(), 1])
        scale = self._scale_for(frames, y_pred["outputs"], training)
        p, p_inbetween = (
            self._likelihood(y_pred[name], scale) for name in ("outputs", "inbetween_outputs")
        )
        return (frames, p), (truth, p_inbetween)

    def _small(self, frames):
        """uint8 frames of a batch as floats in [0, 1], in the encoder's size: [N, S, S, C]."""
        return to_float(scaled(frames, self.coded_size))

    def checked_terms(self, shown, y_pred):
        """The latents, then the terms: if latents are not finite, the weights are not."""
        latents = tf.reduce_sum(y_pred["mean"] + y_pred["stddev"])
        return {"latents": latents, **super().checked_terms(shown, y_pred)}

    def _draw(self, mean, stddev):
        """One draw from every posterior: its rows of what a single device draws of the batch."""
        seed, replicas = self._seed_of_step(0), replica_count()
        if replicas == 1:
            return distributions.gaussian(mean, stddev).sample(seed=seed)
        count = tf.shape(mean)[0]
        whole = (tf.tile(parameter, [replicas, 1]) for parameter in (mean, stddev))
        return distributions.gaussian(*whole).sample(seed=seed)[replica_number() * count :][:count]

    def _seed_of_step(self, use):
        """A stateless seed for each step and `use`: a resumed run draws the same numbers."""
        step = tf.cast(self._step(), tf.int32)
        return tf.stack([tf.constant(2 * self.seed + use, tf.int32), step])
