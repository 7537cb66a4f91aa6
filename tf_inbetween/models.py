"""What every model trained on triplets shares, and the VAE over triplets.

Frames are uint8 in 0..255 on the way in to training and floats in [0, 1] everywhere else; latents
are float32. To draw the in-between frame: encode both ends, go straight from one latent to the
other, decode. The models that this one is compared with are in `autoencoders` and `pixels`.
"""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tf_inbetween import distributions, images, interpolation, losses
from tf_inbetween.config import InputError, lookup
from tf_inbetween.matching import MATCHINGS
from tf_inbetween.networks import NETWORKS, PATHS

tfd = tfp.distributions


def to_float(frames):
    """uint8 frames in 0..255 -> float32 in [0, 1]."""
    return tf.cast(frames, tf.float32) / 255.0


def on_any_batch(network, *inputs):
    """`network(*inputs)`, of no rows too: a convolution on a CPU fails on an empty batch."""
    rows = tf.shape(inputs[0])[0]
    extra = tf.cast(rows == 0, tf.int32)
    padded = (tf.concat([x, tf.zeros([extra, *x.shape[1:]], x.dtype)], axis=0) for x in inputs)
    outputs = network(*padded)
    return tf.nest.map_structure(lambda output: output[:rows], outputs)


def finite_terms(terms, step, validating):
    """An operation that fails unless all scalars of `terms`, {name: float32 []}, are finite.

    Its message names the step, counted from 1, and those that are not: "step 14: matching_kl became
    NaN or infinite"; where `validating`, the steps that are done, and the names begin with "val_".
    """
    names = [f"val_{name}" if validating else name for name in terms]
    good = tf.math.is_finite(tf.stack(list(terms.values())))
    bad = tf.strings.reduce_join(tf.boolean_mask(names, ~good), separator=", ")
    number = tf.strings.as_string(step if validating else step + 1)
    said = tf.strings.join(["step ", number, ": ", bad, " became NaN or infinite"])
    return tf.debugging.Assert(tf.reduce_all(good), [said])


def _check_finite(what, values):
    """Raises `InputError` for NaN or infinity. In a graph, as that of an export, does nothing."""
    if tf.executing_eagerly() and not tf.reduce_all(tf.math.is_finite(values)):
        raise InputError(f"{what}: has values that are NaN or infinite")


def _replicas():
    """How many replicas share a batch."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def mean_of_all(values):
    """The mean over the batch of all replicas."""
    replica = tf.distribute.get_replica_context()
    return replica.all_reduce(tf.distribute.ReduceOp.MEAN, tf.reduce_mean(values))


def _replica():
    """Which of them this is, counted from 0."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


class TripletModel(keras.Model):
    """A model that `fit` trains on batches of triplets from `tf_inbetween.data`.

    It has a likelihood p(x|.) of the frames that it draws, whose scale a calibrated one follows in
    training. A subclass has `call`, `loss_and_terms`, and `inbetween`, and says in attributes:

        networks: the constructor's arguments that are networks.
        terms: what `loss_and_terms` returns by name of what the loss is made of, scalars.
        diagnostics: what else it returns; `fit` and TensorBoard show the means of both.
        has_latents: whether it has `encode`, `decode`, `reconstruct`, `join`.
        has_posteriors: whether its latents are distributions, so that there is an ELBO.
        distributable: whether several replicas train it to the same result as one device.

    Args:
        likelihood, normal_scale, inbetween_weight: as the fields of the same name in
            `tf_inbetween.config.Config`.
        inbetweens: how many triplets of a batch, the first ones, are decoded and compared.

    Raises:
        InputError: for an unknown likelihood.
    """

    networks = ()
    terms = ()
    diagnostics = ()
    has_latents = True
    has_posteriors = True
    distributable = True

    def __init__(self, likelihood, normal_scale, inbetween_weight, inbetweens, **kwargs):
        super().__init__(**kwargs)
        self.autocast = False  # Or Keras would round the batch's t to bfloat16; networks cast.
        self._settings = {}
        self._set(
            likelihood=likelihood,
            normal_scale=normal_scale,
            inbetween_weight=inbetween_weight,
            inbetweens=inbetweens,
        )
        self._likelihood = lookup(distributions.LIKELIHOODS, likelihood, "likelihood")
        self._calibrated = likelihood == "calibrated_normal"
        self.scale = self.add_weight(
            name="scale",
            initializer=keras.initializers.Constant(0.2 if self._calibrated else normal_scale),
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )
        self._means = {name: keras.metrics.Mean(name) for name in self.terms + self.diagnostics}

    def _set(self, **settings):
        """Keeps arguments of the constructor as attributes and for `get_config`."""
        self._settings.update(settings)
        for name, value in settings.items():
            setattr(self, name, value)

    @property
    def frame_shape(self):
        """(H, W, C) of the frames; None where the networks take any size."""
        return None

    def path(self, first, second, t):
        """The frames between two frames, of whatever you have.

        Args:
            first, second: each a path, a PIL picture, or an array [H, W, C] of uint8 in 0..255 or
                floats in [0, 1]. Pictures are cut to a square and resized, arrays are not.
            t: [K] numbers from 0 (the first) to 1 (the second), or one.

        Returns:
            float32 array [K, H, W, C] in [0, 1].

        Raises:
            InputError: for frames or times that do not fit; one line says what would be right.
        """
        return images.path(self, first, second, t)

    def __call__(self, batch, *args, **kwargs):
        """As `call`. Raises `InputError` for frames: it names the methods that draw."""
        if not isinstance(batch, dict):
            raise InputError(
                "model(...): takes a batch of triplets, a dict; to draw use path, inbetween, "
                "reconstruct, encode or decode"
            )
        return super().__call__(batch, *args, **kwargs)

    def export(self, filepath, *args, **kwargs):
        """Raises `InputError`: `export.saved_model` exports what this cannot, and proves it."""
        raise InputError(
            f"export({str(filepath)!r}): use python -m export.saved_model --run_dir=... "
            "--model_dir=..., or export.saved_model.export(run_dir, model_dir)"
        )

    def predict(self, x, *args, **kwargs):
        """Raises `InputError`: it names the methods that draw."""
        raise InputError("predict: use path, inbetween, reconstruct, encode or decode")

    # ---- training -------------------------------------------------------------------------------

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of the batch `x` and what `call` made of it; fails if a term is not finite."""
        del y, sample_weight
        loss, shown = self.loss_and_terms(x, y_pred, training)
        judged = {name: shown[name] for name in self.terms}
        if self.has_latents:  # What the terms are made of: where this broke, the weights did.
            judged = {"latents": tf.reduce_sum(y_pred["mean"] + y_pred["stddev"]), **judged}
        with tf.control_dependencies([finite_terms(judged, self._step(), not training)]):
            loss = tf.identity(loss)
        for name, value in shown.items():
            self._means[name].update_state(value)
        return loss / _replicas()  # Keras sums the gradients of the replicas.

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing to do, as for `build`; Keras would average a batch, a dict, over the workers."""

    def _make_function(self, step_function):
        """As in Keras; replicas run all of their steps, of data without end.

        Keras runs several steps in conditions, in which replicas fail (as in keras issue 19246),
        and takes the mean of workers' metrics over axis 0, which a scalar has not (20585).
        """
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return super()._make_function(step_function)
        step = tf.function(lambda batch: strategy.run(step_function, args=(batch,)))

        @tf.function
        def steps(iterator):
            for _ in tf.range(self.steps_per_execution - 1):
                step(next(iterator))
            metrics = step(next(iterator))
            return {
                name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
                for name, value in metrics.items()
            }

        return steps

    def _scale_for(self, frames, outputs, training):
        """The likelihood's scale. A calibrated one: this batch's optimum, at least 1e-3.

        `scale` keeps a moving mean of the optima.
        """
        if not (training and self._calibrated):
            return tf.convert_to_tensor(self.scale)
        optimum = tf.sqrt(mean_of_all((outputs - frames) ** 2))
        optimum = tf.maximum(tf.stop_gradient(optimum), 1e-3)
        self.scale.assign(0.99 * self.scale + 0.01 * optimum)
        return optimum

    def _decoded(self):
        """How many triplets of this replica's batch are decoded."""
        return self.inbetweens // _replicas()

    def _step(self):
        return self.optimizer.iterations if self.compiled else tf.constant(0)

    # ---- saving ---------------------------------------------------------------------------------

    def get_config(self):
        """The constructor's arguments."""
        networks = {
            name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.networks
        }
        return {**super().get_config(), **networks, **self._settings}

    @classmethod
    def from_config(cls, config):
        """The model of what `get_config` returned, here or in a version with fewer networks."""
        for name in cls.networks:
            if name in config:
                config[name] = keras.saving.deserialize_keras_object(config[name])
        model = cls(**config)
        model.built = True
        return model

    def build(self, input_shape=None):
        """Nothing to do: the networks carry their own shapes."""
        self.built = True


@keras.saving.register_keras_serializable("tf_inbetween")
class TripletVAE(TripletModel):
    """A VAE trained so that the straight line between two latents is the motion between the frames.

    Train it with `fit` on batches from `tf_inbetween.data`; then `encode`, `decode`, `reconstruct`
    and `inbetween` work on floats in [0, 1]. Saves and loads as `.keras`.

    Args:
        encoder: frames [N, H, W, C] -> mean and stddev of q(z|x), each [N, Z].
        decoder: latents [N, Z] -> outputs [N, H, W, C].
        curve: the `networks.Curve` that bends the way from one latent to another, or None.
        inbetweens: how many triplets of a batch, the first ones, are decoded and compared.
        others: as the fields of the same name in `tf_inbetween.config.Config`.

    Raises:
        InputError: for an unknown likelihood or matching.
    """

    networks = ("encoder", "decoder", "curve")
    terms = ("reconstruction_nll", "prior_kl", "matching_kl", "inbetween_nll")
    diagnostics = ("reconstruction_mse", "inbetween_mse", "sagitta", "alpha")

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="calibrated_normal",
        normal_scale=0.02,
        matching="averaged",
        matching_samples=8,
        alpha=1.0,
        alpha_warmup_steps=0,
        prior_weight=1.0,
        inbetween_weight=1.0,
        inbetweens=36,
        seed=0,
        curve=None,
        **kwargs,
    ):
        super().__init__(likelihood, normal_scale, inbetween_weight, inbetweens, **kwargs)
        self.encoder, self.decoder, self.curve = encoder, decoder, curve
        self._set(
            matching=matching,
            matching_samples=matching_samples,
            alpha=alpha,
            alpha_warmup_steps=alpha_warmup_steps,
            prior_weight=prior_weight,
            seed=seed,
        )
        self._matching = lookup(MATCHINGS, matching, "matching")

    @property
    def frame_shape(self):
        """(H, W, C) of the frames."""
        return (self.decoder.image_size, self.decoder.image_size, self.decoder.channels)

    @classmethod
    def build_from(cls, config):
        """The model, built, of a `Config`. Raises `InputError` for an unknown name."""
        model = cls(**cls._arguments(config))
        model.built = True
        return model

    @classmethod
    def _networks_of(cls, config):
        return lookup(NETWORKS, config.network, "network")(config)

    @classmethod
    def _arguments(cls, config):
        """The constructor's arguments for a `Config`, the networks built."""
        encoder, decoder = cls._networks_of(config)
        encoder.build((None, config.image_size, config.image_size, config.channels))
        decoder.build((None, config.latent_dim))
        return {
            "encoder": encoder,
            "decoder": decoder,
            "curve": lookup(PATHS, config.path, "path")(config),
            "likelihood": config.likelihood,
            "normal_scale": config.normal_scale,
            "matching": config.matching,
            "matching_samples": config.matching_samples,
            "alpha": config.alpha,
            "alpha_warmup_steps": config.alpha_warmup_steps,
            "prior_weight": config.prior_weight,
            "inbetween_weight": config.inbetween_weight,
            "inbetweens": config.clips_per_batch * config.inbetweens_per_clip,
            "seed": config.seed,
        }

    # ---- drawing --------------------------------------------------------------------------------

    def encode(self, frames):
        """The posteriors q(z|x) of frames [N, H, W, C] in [0, 1]: a distribution, event [Z].

        Raises `InputError` for frames with NaN or infinity in them, if called eagerly.
        """
        _check_finite("frames", frames)
        return distributions.gaussian(*self._run_encoder(frames))

    def decode(self, latents):
        """The means of p(x|z) for latents [N, Z]: frames [N, H, W, C], clipped to [0, 1].

        Raises `InputError` for latents with NaN or infinity in them, if called eagerly.
        """
        _check_finite("latents", latents)
        p = self._likelihood(self._run_decoder(latents), self.scale)
        return tf.clip_by_value(p.mean(), 0.0, 1.0)

    # As graphs they take half of the time for a few frames. One is traced for the first batch size
    # and one for all others.
    @tf.function(reduce_retracing=True, autograph=False)
    def _run_encoder(self, frames):
        return on_any_batch(self.encoder, frames)

    @tf.function(reduce_retracing=True, autograph=False)
    def _run_decoder(self, latents):
        return on_any_batch(self.decoder, latents)

    def reconstruct(self, frames):
        """Frames [N, H, W, C] in [0, 1] through the posterior mean and back."""
        return self.decode(self.encode(frames).mean())

    def join(self, z0, z2, t):
        """The latents at `t` [...] on the way from `z0` to `z2`, [..., Z] or broadcast to that.

        A straight line, bent by the `curve` if there is one; z0 at t = 0 and z2 at t = 1.
        """
        t = tf.convert_to_tensor(t)
        z_t = interpolation.lerp(z0, z2, t)
        return z_t if self.curve is None else z_t + self.curve(z0, z2, t)

    def inbetween(self, first, second, t):
        """The frames at `t` [N] between `first` and `second` [N, H, W, C], all in [0, 1].

        The two posterior means are joined by `join`; t = 0 reconstructs `first` and t = 1
        `second`. With several times for each pair, t [N, K], the frames are [N, K, H, W, C].
        """
        first, second, t = (tf.cast(x, tf.float32) for x in (first, second, t))
        for what, values in (("frames", first), ("frames", second), ("t", t)):
            _check_finite(what, values)
        if t.shape.rank == 1:
            return self._run_inbetween(first, second, t[:, tf.newaxis])[:, 0]
        return self._run_inbetween(first, second, t)

    @tf.function(reduce_retracing=True, autograph=False)
    def _run_inbetween(self, first, second, t):
        z0, z2 = tf.split(self.encode(tf.concat([first, second], axis=0)).mean(), 2)
        z_t = self.join(tf.expand_dims(z0, 1), tf.expand_dims(z2, 1), t)
        frames = self.decode(tf.reshape(z_t, [-1, z_t.shape[-1]]))
        return tf.reshape(frames, tf.concat([tf.shape(t), tf.shape(frames)[1:]], axis=0))

    def decode_between(self, first, second, t):
        """What is decoded of two ends and of the way between, in one call of the decoder.

        Args:
            first, second: [N, H, W, C] in [0, 1].
            t: [N, K] in [0, 1].

        Returns:
            The reconstructions of `first` and of `second`, each [N, H, W, C], and the frames at t,
            [N K, H, W, C], those of a pair one after the other.
        """
        z0, z2 = tf.split(self.encode(tf.concat([first, second], axis=0)).mean(), 2)
        z_t = self.join(tf.expand_dims(z0, 1), tf.expand_dims(z2, 1), t)
        frames = self.decode(tf.concat([z0, z2, tf.reshape(z_t, [-1, z_t.shape[-1]])], axis=0))
        rows = tf.shape(first)[0]
        return frames[:rows], frames[rows : 2 * rows], frames[2 * rows :]

    def sample_inbetween(self, first, second, t, seed):
        """One draw for each row from the posterior between two, decoded: [N, H, W, C] in [0, 1].

        The latent is drawn from N(mean_t, (1-t) var0 + t var2), where `join` has mean_t, on a
        straight line (1-t) mean0 + t mean2: the reading `averaged` of the mixture. `inbetween`
        takes its mean.

        Args:
            first, second: [N, H, W, C] in [0, 1].
            t: [N] in [0, 1].
            seed: [N, 2] integers; a row's draw depends on its own seed alone.
        """
        q0, q2 = self.encode(first), self.encode(second)
        mean = self.join(q0.mean(), q2.mean(), t)
        variance = interpolation.lerp(q0.variance(), q2.variance(), t)
        noise = tf.map_fn(
            lambda row: tf.random.stateless_normal(q0.event_shape, row),
            seed,
            fn_output_signature=tf.TensorSpec(q0.event_shape, tf.float32),
        )
        return self.decode(mean + tf.sqrt(variance) * noise)

    def elbo(self, frames, seed):
        """One draw's estimate of the ELBO of frames [N, H, W, C] in [0, 1], in nats: [N].

        `seed`: a stateless seed, [2].
        """
        q = self.encode(frames)
        p = self._likelihood(self._run_decoder(q.sample(seed=seed)), self.scale)
        return p.log_prob(frames) - tfd.kl_divergence(q, distributions.prior(q))

    # ---- training -------------------------------------------------------------------------------

    def call(self, batch, training=False):
        """Encodes and decodes one batch with one draw from every posterior.

        Args:
            batch: "frames" [N, H, W, C] uint8, "triplets" [T, 3] int32 indices of frames, "t" [T].
            training: not used; both modes draw.

        Returns:
            "mean", "stddev" [N, Z]; the decoder's "outputs" [N, H, W, C] of the frames and
            "inbetween_outputs" [D, H, W, C] of the first D = `inbetweens` triplets.
        """
        del training
        first, _, second = tf.unstack(batch["triplets"][: self._decoded()], axis=1)
        mean, stddev = self.encoder(to_float(batch["frames"]))
        with tf.name_scope("latents"):
            z = self._draw(mean, stddev)
            z_t = self.join(
                tf.gather(z, first), tf.gather(z, second), batch["t"][: self._decoded()]
            )
        return {
            "mean": mean,
            "stddev": stddev,
            "outputs": self.decoder(z),
            "inbetween_outputs": self.decoder(z_t),
        }

    def loss_and_terms(self, x, y_pred, training):
        """The loss of `losses.triplet_loss`, and its terms and diagnostics, not yet averaged.

        Where the way is bent, so is the matching: q(x0) and q(x2) are moved by as much as the
        curve lies off the chord at t, so that q(x1) is asked to lie where the way passes.
        """
        first, middle, second = tf.unstack(x["triplets"], axis=1)
        with tf.name_scope("likelihood"):
            (frames, p), (truth, p_inbetween) = self._drawn(x, y_pred, training)
            terms = {
                "reconstruction_nll": losses.negative_log_likelihood(p, frames),
                "inbetween_nll": losses.negative_log_likelihood(p_inbetween, truth),
            }
        with tf.name_scope("prior"):
            q = distributions.gaussian(y_pred["mean"], y_pred["stddev"])
            terms["prior_kl"] = losses.prior_kl(q, distributions.prior(q))
        with tf.name_scope("matching"):
            q0, q1, q2 = (
                distributions.gaussian(tf.gather(y_pred["mean"], i), tf.gather(y_pred["stddev"], i))
                for i in (first, middle, second)
            )
            if self.curve is not None:
                off_chord = self.curve(q0.mean(), q2.mean(), x["t"])
                q0, q2 = (
                    distributions.gaussian(q.mean() + off_chord, q.stddev()) for q in (q0, q2)
                )
            seed = self._seed_of_step(1)
            if _replicas() > 1:
                seed = tf.random.experimental.stateless_fold_in(seed, _replica())
            kl = self._matching(q0, q1, q2, x["t"], samples=self.matching_samples, seed=seed)
            terms["matching_kl"] = tf.reduce_mean(kl)
            alpha = self._alpha_of_step() if training else tf.constant(self.alpha)
        with tf.name_scope("triplet_loss"):
            loss = losses.triplet_loss(terms, alpha, self.prior_weight, self.inbetween_weight)
        with tf.name_scope("diagnostics"):
            diagnostics = {
                "reconstruction_mse": (p.mean() - frames) ** 2,
                "inbetween_mse": (p_inbetween.mean() - truth) ** 2,
                "sagitta": interpolation.sagitta(
                    q0.mean(), q1.mean(), q2.mean(), q1.stddev(), x["t"]
                ),
                "alpha": alpha,
            }
        return loss, {**terms, **diagnostics}

    def _drawn(self, x, y_pred, training):
        """The batch's frames and p(x|z) of them; the true middle frames and p(x1|z_t) of them."""
        frames = to_float(x["frames"])
        truth = tf.gather(frames, x["triplets"][: self._decoded(), 1])
        scale = self._scale_for(frames, y_pred["outputs"], training)
        p, p_inbetween = (
            self._likelihood(y_pred[name], scale) for name in ("outputs", "inbetween_outputs")
        )
        return (frames, p), (truth, p_inbetween)

    def _alpha_of_step(self):
        if not self.alpha_warmup_steps:
            return tf.constant(self.alpha)
        progress = tf.cast(self._step(), tf.float32) / self.alpha_warmup_steps
        return self.alpha * tf.minimum(progress, 1.0)

    def _draw(self, mean, stddev):
        """One draw from every posterior: its rows of what a single device draws of the batch."""
        seed, replicas = self._seed_of_step(0), _replicas()
        if replicas == 1:
            return distributions.gaussian(mean, stddev).sample(seed=seed)
        count = tf.shape(mean)[0]
        whole = (tf.tile(parameter, [replicas, 1]) for parameter in (mean, stddev))
        return distributions.gaussian(*whole).sample(seed=seed)[_replica() * count :][:count]

    def _seed_of_step(self, use):
        """A stateless seed for each step and `use`: a resumed run draws the same numbers."""
        step = tf.cast(self._step(), tf.int32)
        return tf.stack([tf.constant(2 * self.seed + use, tf.int32), step])
