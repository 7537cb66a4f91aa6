"""The base of all models trained on triplets.

Frames are uint8 in 0..255 on the way in to training and floats in [0, 1] everywhere else; latents
are float32.
"""

import keras
import tensorflow as tf

from tf_inbetween import distributions
from tf_inbetween.config import InputError, lookup
from tf_inbetween.keras_hooks import ReplicatedModel
from tf_inbetween.kinds import KINDS
from tf_inbetween.models.ops import assert_finite, mean_over_replicas, replica_count


class TripletModel(ReplicatedModel):
    """A model that `fit` trains on batches of triplets from `tf_inbetween.data`.

    It has a likelihood p(x|.) of its frames; the scale of a calibrated one is updated in training.
    A subclass has `call`, `loss_and_terms`, `inbetween`, and the attributes

        networks: the constructor's arguments that are networks.
        settings: its other arguments, which are attributes of the same names.
        terms: the names of the scalars that `loss_and_terms` returns and the loss is made of.
        diagnostics: the names of its other scalars; `fit` and TensorBoard show the means of both.
        distributable: whether several replicas train it to the same result as one device.

    Args:
        likelihood, normal_scale, inbetween_weight: as the fields of the same name in
            `tf_inbetween.config.Config`.
        inbetweens: how many triplets of a batch, the first ones, are decoded and compared.
        frame_size: (height, width) of the frames of the training.
        kind: what its frames are, a row of `kinds.KINDS`.

    Raises:
        InputError: for an unknown likelihood or kind.
    """

    networks = ()
    settings = (
        *("likelihood", "normal_scale", "inbetween_weight", "inbetweens"),
        *("frame_size", "kind"),
    )
    terms = ()
    diagnostics = ()
    distributable = True

    def __init__(
        self,
        likelihood,
        normal_scale,
        inbetween_weight,
        inbetweens,
        frame_size,
        kind="pictures",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.autocast = False  # Or Keras would round the batch's t to bfloat16; networks cast.
        self.likelihood, self.normal_scale = likelihood, normal_scale
        self.inbetween_weight, self.inbetweens = inbetween_weight, inbetweens
        self.frame_size = tuple(frame_size)
        self.kind, self._kind = kind, lookup(KINDS, kind, "kind of frames")
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

    @property
    def frame_shape(self):
        """(H, W, C) of the frames of the training; a subclass says which C."""
        raise NotImplementedError

    @property
    def any_size(self):
        """Whether `inbetween` takes frames of other sizes than `frame_shape` too."""
        return self._kind.any_size

    def path(self, first, second, t):
        """The frames between two frames.

        Args:
            first, second: each a path, a PIL picture, or an array [H, W, C] of uint8 in 0..255 or
                floats in [0, 1]. Pictures are cropped to the shape of `frame_shape` and resized;
                arrays are drawn at their own size. For a model of text, a line (str), a `Path`, or
                an array.
            t: [K] numbers from 0 (the first) to 1 (the second), or one.

        Returns:
            float32 array [K, H, W, C] in [0, 1].

        Raises:
            InputError: for frames or times that do not fit; the message says what would.
        """
        return self._kind.path(self, first, second, t)

    def __call__(self, batch, *args, **kwargs):
        """As `call`. Raises `InputError` for frames: it names the methods that draw."""
        if not isinstance(batch, dict):
            raise InputError(
                "model(...): takes a batch of triplets, a dict; to draw use path, inbetween, "
                "reconstruct, encode or decode"
            )
        return super().__call__(batch, *args, **kwargs)

    def export(self, filepath, *args, **kwargs):
        """Raises `InputError`: use `export.exporter`, which also checks the export."""
        raise InputError(
            f"export({str(filepath)!r}): use python -m export.saved_model --run_dir=... "
            "--model_dir=..., or export.exporter.export(run_dir, model_dir)"
        )

    def predict(self, x, *args, **kwargs):
        """Raises `InputError`: it names the methods that draw."""
        raise InputError("predict: use path, inbetween, reconstruct, encode or decode")

    # ---- training -------------------------------------------------------------------------------

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of the batch `x` and what `call` made of it; fails if a term is not finite."""
        del y, sample_weight
        loss, shown = self.loss_and_terms(x, y_pred, training)
        checked = self.checked_terms(shown, y_pred)
        with tf.control_dependencies([assert_finite(checked, self._step(), not training)]):
            loss = tf.identity(loss)
        for name, value in shown.items():
            self._means[name].update_state(value)
        return loss / replica_count()  # Keras sums the gradients of the replicas.

    def checked_terms(self, shown, y_pred):
        """What must be finite in a step, by name: the terms from `loss_and_terms`."""
        del y_pred
        return {name: shown[name] for name in self.terms}

    def _scale_for(self, frames, outputs, training):
        """The likelihood's scale. A calibrated one: this batch's optimum, at least 1e-3.

        `scale` keeps a moving mean of the optima.
        """
        if not (training and self._calibrated):
            return tf.convert_to_tensor(self.scale)
        optimum = tf.sqrt(mean_over_replicas((outputs - frames) ** 2))
        optimum = tf.maximum(tf.stop_gradient(optimum), 1e-3)
        self.scale.assign(0.99 * self.scale + 0.01 * optimum)
        return optimum

    def _decoded(self):
        """How many triplets of this replica's batch are decoded."""
        return self.inbetweens // replica_count()

    def _step(self):
        return self.optimizer.iterations if self.compiled else tf.constant(0)

    # ---- saving ---------------------------------------------------------------------------------

    def get_config(self):
        """The constructor's arguments."""
        networks = {
            name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.networks
        }
        settings = {name: getattr(self, name) for name in self.settings}
        return {**super().get_config(), **networks, **settings}

    @classmethod
    def from_config(cls, config):
        """The model of what `get_config` returned."""
        for name in cls.networks:
            config[name] = keras.saving.deserialize_keras_object(config[name])
        model = cls(**config)
        model.built = True
        return model

    def build(self, input_shape=None):
        """Nothing to do: the networks carry their own shapes."""
        self.built = True
