"""The base class of the kinds of frames."""

import abc

import numpy as np

from data_gen import kinds as frame_kinds
from tf_inbetween.config import InputError
from tf_inbetween.evaluation import metrics


class Kind(abc.ABC):
    """What frames of one kind are, and how to measure, show, read and write them.

    In a batch frames are uint8 [N, H, W, C], and floats in [0, 1], uint8 / 255, elsewhere.

    Attributes:
        name: the key in `KINDS`, of data sets and of saved models.
        networks: the rows of `networks.NETWORKS` that fit.
        likelihoods: the rows of `distributions.LIKELIHOODS` that fit.
        models: the rows of `training.MODELS` that fit.
        inbetween_decoders: the rows of `training.INBETWEEN_DECODERS` that fit.
        methods: the rivals that need no model, {name: function of (first, second, t)} as in
            `evaluation.baselines`.
        default_methods: names of those and of `evaluation.methods.MODEL_METHODS` that an evaluation
            uses by default.
        compared: the methods that a comparison shows beside runs, the strongest first.
        labels: of the methods in figures and tables, {name: label}.
        shown: the measures in figures and reports, {key: (label, factor, digits)}; the first one is
            the main error.
        summarized: the measures of in-betweens that TensorBoard shows.
        medians: the measures that metrics.json averages by median over pairs, not by mean.
        measure_names, likelihood_names: of what `measures` and `of_likelihood` return.
        signature: the one of an export that only models of this kind have.
        cell: width and height of a frame in a figure, in inches.
        any_size: whether a model draws frames of other sizes than its training's.
    """

    name = ""
    networks = ()
    likelihoods = ()
    models = ()
    inbetween_decoders = ("latent",)
    methods = {}  # noqa: RUF012
    default_methods = ()
    compared = ()
    labels = {}  # noqa: RUF012
    shown = {}  # noqa: RUF012
    summarized = ()
    medians = ()
    measure_names = ()
    likelihood_names = ("elbo",)
    signature = ""
    cell = (1.0, 1.02)
    any_size = False

    def frame_shape(self, config):
        """(H, W, C) of the frames that a `Config` asks for."""
        return frame_kinds.KINDS[self.name].shape(config.image_size, config.channels)

    def check(self, config):
        """Raises `InputError` for settings of a `Config` that do not fit frames of this kind."""
        for name, valid in (
            ("network", self.networks),
            ("likelihood", self.likelihoods),
            ("model", self.models),
            ("inbetween_decoder", self.inbetween_decoders),
            ("channels", frame_kinds.KINDS[self.name].channels),
        ):
            value = getattr(config, name)
            if value not in valid:
                raise InputError(
                    f"--{name}={value}: is not for {self.name}; "
                    f"must be {' or '.join(map(str, valid))}"
                )

    def available_methods(self):
        """The `methods` that can run here."""
        return self.methods

    def missing(self, method):
        """What an unavailable method needs, and the command that installs it."""
        raise NotImplementedError(method)

    @abc.abstractmethod
    def measures(self, frames, truth):
        """How far drawn `frames` are from the true ones: {measure: [N]}.

        Both are floats [N, H, W, C] in [0, 1].
        """

    def of_pose(self, frames, pose, names):
        """How well drawn frames show the pose of the true ones: {measure: [N]}, or {}.

        Args:
            frames: floats [N, H, W, C] in [0, 1].
            pose: [N, P].
            names: of the pose's P numbers.
        """
        del frames, pose, names
        return {}

    def of_likelihood(self, elbo, truth):
        """What follows from ELBOs in nats [N] of frames [N, H, W, C]: {measure: [N]}."""
        del truth
        return {"elbo": elbo}

    @abc.abstractmethod
    def nearest_times(self, frames, clip):
        """The index of the frame of `clip` [K, H, W, C] nearest to each of `frames`: [N]."""

    def timing_error(self, frames, clip, wanted, cyclic):
        """The timing error of each frame, in frames: [N].

        Args:
            frames: [N, H, W, C], drawn.
            clip: [K, H, W, C], true.
            wanted: [N], indices into the clip, possibly fractional.
            cyclic: whether the clip is.
        """
        nearest = self.nearest_times(frames, clip)
        return np.abs(metrics.signed_steps(wanted, nearest, len(clip), cyclic))

    @abc.abstractmethod
    def mean_distance(self, path, clip):
        """How far frames [N, H, W, C] are from the nearest of a true clip's, on average; 0 best."""

    def validation_error(self, inbetween_weight):
        """The name of the metric whose least value on the validation split marks the best weights.

        The error of in-betweens, or of reconstructions if the loss has no in-between likelihood.
        """
        return "inbetween_mse" if inbetween_weight > 0 else "reconstruction_mse"

    @abc.abstractmethod
    def as_frame(self, name, value, shape=None, any_size=False, notify=print):
        """Converts a value to a frame; see `images.as_frame`."""

    def path(self, model, first, second, t, notify=print):
        """The frames that a model draws between two frames.

        Args:
            model: with `frame_shape`, `any_size` and `inbetween`.
            first, second: as for `as_frame`.
            t: [K] numbers from 0 to 1, or one.
            notify: as for `as_frame`.

        Returns:
            float32 [K, H, W, C] in [0, 1].

        Raises:
            InputError: for frames or times that do not fit; the message says what would.
        """
        ends = [
            self.as_frame(name, frame, model.frame_shape, model.any_size, notify)[np.newaxis]
            for name, frame in (("first", first), ("second", second))
        ]
        if ends[0].shape != ends[1].shape:
            sizes = " and ".join(f"{end.shape[2]}x{end.shape[1]}" for end in ends)
            raise InputError(f"first and second: are {sizes}; must have one size")
        times = np.atleast_1d(np.asarray(t, np.float32))
        if times.ndim != 1 or not (np.all(times >= 0) and np.all(times <= 1)):
            raise InputError(f"t: must be numbers from 0 to 1, got {t}")
        return model.inbetween(*ends, times[np.newaxis])[0].numpy()

    @abc.abstractmethod
    def show(self, axis, frame, box):
        """Draws a frame [H, W, C] in [0, 1] into a box of a matplotlib axis.

        `box`: (left, right, bottom, top) in the axis's units.
        """

    @abc.abstractmethod
    def write_frame(self, folder, name, frame):
        """Writes a frame [H, W, C] in [0, 1] into a folder, under `name` and an ending."""

    def thumbnails(self, frames, pose, cyclic):
        """Pictures for the Projector, RGB floats [K, H, W, 3]; None for none.

        Args:
            frames: [K, H, W, C] in [0, 1].
            pose: [K], what colours them.
            cyclic: whether its largest value leads back to its smallest.
        """
        del frames, pose, cyclic

    def captions(self, frames):
        """Columns for the Projector's table, {name: K texts without tabs}; frames: uint8."""
        del frames
        return {}

    @abc.abstractmethod
    def summarize(self, tag, rows, description):
        """Writes rows of frames, each [K, H, W, C], to TensorBoard."""
