"""What happens while a model trains: progress, safety, checkpoints, and TensorBoard."""

import dataclasses
import math
import re
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import api as hparams
from tqdm import tqdm

from frame_io.files import atomic_write
from tf_inbetween import images
from tf_inbetween.config import InputError, as_text
from tf_inbetween.evaluation.figures import labelled_grid
from tf_inbetween.kinds import KINDS
from tf_inbetween.models import FusionVAE, LatentModel, to_float
from tf_inbetween.time_left import TimeLeft

_STRIP = 8  # frames in a row of a TensorBoard picture
_PROJECTED = 360  # points of the Projector, at the most
_MASK_ROWS = (
    "Top: drawn by the model. Bottom: where each pixel comes from. Red: copied from the first "
    "frame. Green: copied from the second. Blue: drawn from the latent."
)


class _Bar(tqdm):
    """A bar whose time left and rate are those of a `TimeLeft`."""

    def __init__(self, time_left, **kwargs):
        self._time_left = time_left
        times = "{elapsed}, {left} left, {speed}{postfix}"
        super().__init__(
            bar_format=f"{{l_bar}}{{bar}}| {{n_fmt}}/{{total_fmt}} [{times}]", **kwargs
        )

    @property
    def format_dict(self):
        """What `bar_format` may name."""
        seconds, per_step = self._time_left.seconds, self._time_left.seconds_per_step
        return {
            **super().format_dict,
            "left": "?" if seconds is None else self.format_interval(seconds),
            "speed": f"{1 / per_step:.2f} steps/s" if per_step else "? steps/s",
        }


class Progress(keras.callbacks.Callback):
    """One bar over all steps, with the rate, the time left and the errors of the last epoch."""

    def __init__(self, config, start_step, shown=True, clock=time.monotonic):
        """Of the training of a `Config`, of whose steps `start_step` are done. `clock`: seconds."""
        super().__init__()
        self._steps, self._start, self._shown = config.steps, start_step, shown
        self._time_left = TimeLeft(
            config.steps, config.steps_per_epoch, config.validation_steps, clock
        )
        self._bar = None

    def on_train_begin(self, logs=None):
        """Opens the bar."""
        self._bar = _Bar(
            self._time_left,
            total=self._steps,
            initial=self._start,
            desc="Training",
            mininterval=0.5 if sys.stderr.isatty() else 10.0,
            miniters=1,
            disable=not self._shown,
        )

    def on_epoch_begin(self, epoch, logs=None):
        """Times the pause that is over."""
        self._time_left.begin(self._done())

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        done = self._done()
        self._time_left.step(done)
        self._bar.update(done - self._bar.n)

    def on_epoch_end(self, epoch, logs=None):
        """Shows the validation errors."""
        kind = KINDS[self.model.kind]
        shown = ("val_loss", *(f"val_{kind.validation_error(weight)}" for weight in (0, 1)))
        errors = {name: f"{logs[name]:.4g}" for name in shown if name in logs}
        self._bar.set_postfix(errors, refresh=False)

    def on_train_end(self, logs=None):
        """Nothing is left."""
        self._time_left.begin(self._done())

    def close(self):
        """Ends the bar's line, also after an error."""
        if self._bar is not None:
            self._bar.close()

    def _done(self):
        return int(self.model.optimizer.iterations.numpy())


class TerminateOnNonFinite(keras.callbacks.Callback):
    """Raises `InputError` with the step as soon as a metric is NaN or infinite.

    The terms of the loss are checked inside every step, see `raise_for_non_finite`. This covers the
    rest: diagnostics, and sums that overflow although each term is finite.
    """

    def on_train_batch_end(self, batch, logs=None):
        """Checks the running means of the epoch, which keep a NaN."""
        self._check(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Checks the validation too."""
        self._check(logs)

    def _check(self, logs):
        bad = [name for name, value in logs.items() if not math.isfinite(value)]
        if bad:
            raise _broken(int(self.model.optimizer.iterations.numpy()), ", ".join(sorted(bad)))


def raise_for_non_finite(message):
    """Raises `InputError` if a TensorFlow error's message is that of `models.ops.assert_finite`."""
    match = re.search(r"step (\d+): ([\w, ]+) became NaN or infinite", message)
    if match:
        raise _broken(*match.groups())


def _broken(step, names):
    return InputError(
        f"step {step}: {names} became NaN or infinite; the run directory keeps what was saved "
        "before. Try a lower --learning_rate or a longer --alpha_warmup_steps, in another --run_dir"
    )


class CheckRunDirectory(keras.callbacks.Callback):
    """Raises `InputError` after an epoch if the run directory is missing. Must come first.

    Other callbacks would create it again without what was written at the start, so this checks for
    that file after each epoch and at the end.
    """

    def __init__(self, run_dir, chief=True):
        """`chief`: whether the folder has flags.txt; other workers' folders do not."""
        super().__init__()
        self._folder = Path(run_dir)
        self._sign = self._folder / "flags.txt" if chief else self._folder

    def on_epoch_end(self, epoch, logs=None):
        """Looks."""
        if not self._sign.exists():
            raise InputError(
                f"{self._folder}: the run directory has disappeared; the same command begins anew"
            )

    def on_train_end(self, logs=None):
        """Looks."""
        self.on_epoch_end(None)


class SaveBestAndCheckpoint(keras.callbacks.Callback):
    """Saves the model with the least validation error so far, and a checkpoint, each epoch.

    The error is the kind's `validation_error` of the validation: the weights kept are those with
    the largest in-between likelihood. For a calibrated normal -log p(x1 | ...) is log(MSE) times
    half of the frame's values, plus a constant, so it is least where the MSE of in-betweens is. A
    sum with the MSE of reconstructions can prefer weights that reconstruct better and draw worse
    in-betweens. The loss itself does not serve: as the scale of a calibrated likelihood shrinks,
    the losses of two epochs cannot be compared.
    """

    def __init__(self, checkpoints, run_dir):
        """`checkpoints`: a `tf_inbetween.checkpoints.Checkpoints`."""
        super().__init__()
        self._checkpoints, self._path = checkpoints, Path(run_dir) / "model.keras"

    def on_train_begin(self, logs=None):
        """Starts the clock."""
        self._since = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Saves."""
        kind = KINDS[self.model.kind]
        error = logs[f"val_{kind.validation_error(self.model.inbetween_weight)}"]
        if error < float(self._checkpoints.least_error.numpy()):
            with atomic_write(self._path) as beside:
                self.model.save(beside, include_optimizer=False)
            self._checkpoints.least_error.assign(error)
        now = time.monotonic()
        self._checkpoints.seconds.assign_add(now - self._since)
        self._since = now
        self._checkpoints.save()


class TensorBoardLogger(keras.callbacks.Callback):
    """TensorBoard: scalars, strips of frames, latent histograms, HParams, graph, Projector.

    The strip of in-betweens is also a picture file, replaced each epoch.

    The horizontal axis of every chart is the optimizer step. A model without latents has no
    reconstructions, histograms and Projector. Only a `FusionVAE` has masks.
    """

    def __init__(self, log_dir, picture, config, clip, pose_names, batch):
        """Writes to `log_dir` and the PNG `picture`.

        Draws from `clip`, a validation `Clip`; traces one `batch`.
        """
        super().__init__()
        self._picture = Path(picture)
        self._dir, self._config, self._batch = Path(log_dir), config, batch
        self._frames = clip.frames
        self._pose, self._pose_names, self._closed = clip.pose, pose_names, clip.cyclic
        self._reach = min(round(config.max_gap / clip.units_per_frame), len(clip.frames) - 1)

    def on_train_begin(self, logs=None):
        """Writes what does not change: the settings and the graph."""
        self._writers = {
            name: tf.summary.create_file_writer(str(self._dir / name))
            for name in ("train", "validation")
        }
        with self._writers["validation"].as_default():
            hparams.hparams(
                {
                    name: as_text(value) if isinstance(value, tuple) else value
                    for name, value in dataclasses.asdict(self._config).items()
                    if name not in ("run_dir", "data_dir")
                },
                trial_id=str(self._dir.parent.name),
            )
        # `call` and not the model itself: its scopes then stand at the top of the graph page.
        step = tf.function(
            lambda batch: self.model.loss_and_terms(batch, self.model.call(batch), False)[0]
        )
        with self._writers["train"].as_default():
            tf.summary.trace_on(graph=True)
            step(self._batch)
            tf.summary.trace_export("triplet_loss", step=0)
        if isinstance(self.model, LatentModel):
            self._start_projector()

    def on_epoch_end(self, epoch, logs=None):
        """Writes the scalars, the strips and the histograms."""
        step = int(self.model.optimizer.iterations.numpy())
        by_writer = {"train": {}, "validation": {}}
        for name, value in logs.items():
            validation = name.startswith("val_")
            by_writer["validation" if validation else "train"][name.removeprefix("val_")] = value
        by_writer["train"]["learning_rate"] = float(self.model.optimizer.learning_rate)
        by_writer["train"]["scale"] = float(self.model.scale.numpy())
        for name, scalars in by_writer.items():
            with self._writers[name].as_default(step):
                for tag, value in scalars.items():
                    tf.summary.scalar(tag, value)
        kind = KINDS[self.model.kind]
        with self._writers["validation"].as_default(step):
            rows = "Top: the truth. Bottom: drawn by the model."
            truth, drawn = self._inbetweens()
            measured = kind.measures(drawn[1:-1], truth[1:-1])
            for name in kind.summarized:
                tf.summary.scalar(name, np.mean(measured[name]))
            strips = {"inbetween": [truth, drawn]}
            if isinstance(self.model, FusionVAE):
                tf.summary.image("mask", self._masks()[tf.newaxis], description=_MASK_ROWS)
            if isinstance(self.model, LatentModel):
                frames = to_float(self._frames[:: max(len(self._frames) // 64, 1)])
                q = self.model.encode(frames)
                tf.summary.histogram("latent_mean", q.mean())
                tf.summary.histogram("latent_stddev", q.stddev())
                strips["reconstruction"] = self._reconstructions()
            for tag, strip in strips.items():
                kind.summarize(tag, strip, rows)
        for writer in self._writers.values():
            writer.flush()
        self._draw(truth, drawn, step)
        if isinstance(self.model, LatentModel):
            self._latent_means.assign(self.model.encode(to_float(self._projected)).mean())
            self._projector.save(checkpoint_number=step)

    def on_train_end(self, logs=None):
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()

    def _reconstructions(self):
        """Truth above reconstruction."""
        places = np.linspace(0, len(self._frames) - 1, _STRIP).astype(int)
        truth = to_float(self._frames[places])
        return [truth.numpy(), self.model.reconstruct(truth).numpy()]

    def _inbetweens(self):
        """Truth and in-betweens, both ends included, over the largest gap of the training."""
        truth, t = self._strip()
        return truth, self.model.path(truth[0], truth[-1], t)

    def _draw(self, truth, drawn, step):
        """Writes the picture file."""
        _, t = self._strip()
        labels, heads = ["truth", f"step {step}"], ["first", *(f"t = {x:.2g}" for x in t[1:-1])]
        kind = KINDS[self.model.kind]
        labelled_grid(self._picture, [truth, drawn], labels, [*heads, "second"], kind)

    def _masks(self):
        """What the model draws above where each pixel comes from, at the times of `_inbetweens`."""
        truth, t = self._strip()
        ends = (np.repeat(truth[[place]], _STRIP, axis=0) for place in (0, -1))
        parts = self.model.parts(*ends, t)
        frame, mask = parts["frame"].numpy(), parts["mask"].numpy()
        return images.tile([np.broadcast_to(frame, mask.shape), mask])

    def _strip(self):
        """True frames [K, H, W, C] over the largest gap of the training, and their t [K]."""
        places = np.linspace(0, self._reach, _STRIP).astype(int)
        return to_float(self._frames[places]).numpy(), np.float32(places / places[-1])

    def _start_projector(self):
        """Writes the Projector's data except the latents, which every epoch saves."""
        # Into a run's own folder: the Projector gives a checkpoint above them to every run.
        folder = self._dir / "validation"
        count = min(len(self._frames), _PROJECTED)
        places = np.linspace(0, len(self._frames) - 1, count).astype(int)
        self._projected = self._frames[places]
        kind = KINDS[self.model.kind]
        thumbnails = kind.thumbnails(self._projected / 255.0, self._pose[places, 0], self._closed)
        captions = kind.captions(self._projected)
        lines = ["\t".join([*self._pose_names, "frame", *captions])]
        for place, *caption in zip(places, *captions.values(), strict=True):
            pose = (f"{value:g}" for value in self._pose[place])
            lines.append("\t".join([*pose, str(place), *caption]))
        (folder / "poses.tsv").write_text("\n".join(lines) + "\n")
        settings = projector.ProjectorConfig()
        embedding = settings.embeddings.add()
        embedding.tensor_name = "latent_means/.ATTRIBUTES/VARIABLE_VALUE"
        embedding.metadata_path = "poses.tsv"
        if thumbnails is not None:
            side = math.ceil(math.sqrt(count))
            rows = [thumbnails[i : i + side] for i in range(0, count, side)]
            images.write_frames(folder / "thumbnails.png", images.tile(rows, gap=0)[np.newaxis])
            embedding.sprite.image_path = "thumbnails.png"
            embedding.sprite.single_image_dim.extend(thumbnails.shape[2:0:-1])
        projector.visualize_embeddings(str(folder), settings)
        latent_dim = self.model.encode(to_float(self._projected[:1])).event_shape[0]
        self._latent_means = tf.Variable(tf.zeros([count, latent_dim]))
        self._projector = tf.train.CheckpointManager(
            tf.train.Checkpoint(latent_means=self._latent_means),
            str(folder),
            max_to_keep=1,
            checkpoint_name="latent_means",
        )
