"""The jobs of the study: which runs, seeds and splits there are, and how far each has come.

A job is one training and its evaluation on one split. In the folder of the runs it has

    NAME,seed=0/      its run directory
    NAME,seed=0.log   what its commands printed, each with a last line that says how long it took

A run directory takes some 120 MB, two thirds of which are its checkpoints; those of a job that is
done may be deleted. What was measured is kept in the results' study.json too, so that a study can
go on where the run directories are gone, see `Job.recorded`.
"""

import dataclasses
import functools
import re
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frame_io.files import read_checked_json, read_json
from tf_inbetween import run_directory
from tf_inbetween.checkpoints import latest, progress
from tf_inbetween.clips import kind_of
from tf_inbetween.config import InputError, in_section
from tf_inbetween.config_flags import config_of
from tf_inbetween.evaluation.methods import MODEL_METHODS
from tf_inbetween.evaluation.run import path_of_metrics
from tf_inbetween.kinds import KINDS
from tf_inbetween.study.definitions import Run
from tf_inbetween.study.settings import Settings, path_of_record

DONE, TRAINED, CUT_OFF, MISSING = "done", "to be evaluated", "cut off", "missing"
ELSEWHERE = (*in_section("place"), *in_section("seed"))  # Not the method's own.
BOTH_ERRORS = "reconstruction_mse + inbetween_weight * inbetween_mse"
_TOOK = "study: {command}: exit code {code} after {seconds:.1f} s"
_TOOK_PATTERN = re.compile(r"^study: .*tf_inbetween\.(\w+).*: exit code (-?\d+) after ([\d.]+) s$")


@dataclasses.dataclass(frozen=True)
class Job:
    """One training and its evaluation on one split."""

    run: Run
    seed: int
    split: str
    settings: Settings

    @property
    def name(self):
        """What the run directory is called; the same for two splits."""
        return f"{self.run.name},seed={self.seed}"

    @property
    def run_dir(self):
        """The run directory."""
        return Path(self.settings.runs_dir) / self.name

    @property
    def log(self):
        """The file that its commands print to."""
        return Path(self.settings.runs_dir) / f"{self.name}.log"

    @property
    def training(self):
        """The arguments of `python` that train it."""
        flagfile, *more = self.run.arguments
        given = [
            f"--{name}={getattr(self.settings, name)}"
            for name in ("steps", "steps_per_epoch")
            if not any(flag.startswith(f"--{name}=") for flag in more)
        ]
        flags = [flagfile, *given, *more, f"--seed={self.seed}", f"--run_dir={self.run_dir}"]
        return ["-m", "tf_inbetween.train", *flags]

    @property
    def evaluation(self):
        """The arguments of `python` that evaluate it; what was measured is measured again."""
        before = [
            methods_of(metrics) for metrics in (self._read_metrics(), self._entry().get("metrics"))
        ]
        methods = ",".join(dict.fromkeys([*before[0], *before[1], *self.methods]))
        flags = [f"--split={self.split}", f"--pairs={self._pairs}", f"--methods={methods}"]
        return ["-m", "tf_inbetween.evaluate", f"--run_dir={self.run_dir}", *flags]

    @property
    def _pairs(self):
        settings = self.settings
        return settings.validation_pairs if self.split == "validation" else settings.pairs

    @property
    def methods(self):
        """What its evaluation measures: rivals, which no seed changes, with the first."""
        first = self.seed == self.settings.seeds[0]
        return [name for name in self.run.methods if first or name in MODEL_METHODS]

    @functools.cached_property
    def config(self):
        """The `Config` of its training. Raises `InputError` for flags that are wrong."""
        return config_of(self.training[2:])

    @property
    def flags(self):
        """The resolved flags of its training that are the run's own, {name: text}."""
        flags = run_directory.flag_texts(self.config)
        return {name: text for name, text in flags.items() if name not in ELSEWHERE}

    def step(self):
        """The step that its training has come to: that of its last checkpoint, or the last."""
        if self._read_metrics() is not None or self.recorded():
            return self.config.steps
        try:
            path = latest(self.run_dir / "checkpoints")
        except InputError:
            return 0
        step = 0 if path is None else int(path.rpartition("-")[2])
        return min(step, self.config.steps)

    def state(self):
        """One of `DONE`, `TRAINED`, `CUT_OFF` and `MISSING`.

        Raises:
            InputError: if the run directory holds a run with other flags, or something else.
        """
        if self.recorded():
            return DONE
        run_directory.check(self.config)
        if self._measured() is not None:
            return DONE
        if not (self.run_dir / "flags.txt").exists():
            return MISSING
        return TRAINED if self._is_trained() else CUT_OFF

    def _is_trained(self):
        if self._read_metrics() is not None:
            return True
        if self.step() < self.config.steps:
            return False
        try:  # The last checkpoint may be damaged; then the training goes back to the one before.
            return progress(self.run_dir / "checkpoints", say=lambda line: None)[0] == self.step()
        except InputError:
            return False

    def metrics(self):
        """What its evaluation found, as in metrics.json; None unless it is done."""
        return self.measured_here() or self.recorded().get("metrics")

    def measured_here(self):
        """What the metrics.json of its run directory holds; None unless it is done there."""
        try:
            run_directory.check(self.config)
        except InputError:
            return None
        return self._measured()

    def recorded(self):
        """What study.json holds of it, see `entry`.

        Nothing where `Settings.recorded` is off, or it holds less than what is asked for. Of runs
        that lost a choice before all was kept it holds "score" and "pairs" in place of "metrics".
        """
        entry = self._entry() if self.settings.recorded else {}
        if "score" in entry:
            return entry if entry["pairs"] == self._pairs else {}
        return entry if entry and self._is_whole(entry["metrics"]) else {}

    def check_record(self):
        """Raises `InputError` if study.json has it with other steps, or by more pairs.

        They do not stand in its name: a short trial would take the place of what is there.
        """
        entry = self.settings.record.get("runs", {}).get(self.recorded_name)
        if not entry:
            return
        there = {**entry["flags"], "pairs": entry.get("metrics", entry)["pairs"]}
        here = {**self.flags, "pairs": self._pairs}
        differ = {name for name in here if here[name] != there.get(name)}
        if here["pairs"] > there["pairs"]:
            differ -= {"pairs"}
        if differ and differ <= {"steps", "steps_per_epoch", "pairs"}:
            name = min(differ)
            raise InputError(
                f"{path_of_record(self.settings.results_dir)} has {self.recorded_name} with {name} "
                f"{there[name]} in place of {here[name]}: name another --results_dir"
            )

    def _entry(self):
        """What study.json holds of it with the same flags."""
        entry = self.settings.record.get("runs", {}).get(self.recorded_name, {})
        return entry if entry.get("flags") == self.flags else {}

    @property
    def recorded_name(self):
        """What it is called in study.json."""
        return f"{self.name} ({self.split})"

    def score(self):
        """What a choice is made by; None unless it is done.

        Returns:
            {"hit_rate": …, "mse": …}: of its in-betweens, mean over t and the gaps that it was
            trained on. (Smaller gaps say little: one frame is always a hit, and validation frames
            may lie far apart.)
        """
        metrics = self.metrics()
        if metrics is None:
            return self.recorded().get("score")
        rows = [
            row["methods"]["latent"]
            for row in metrics["inbetween"]
            if self.config.min_gap <= _gap(row) <= self.config.max_gap
        ]
        return {name: float(np.mean([row[name] for row in rows])) for name in ("hit_rate", "mse")}

    def _measured(self):
        """What was measured, if that is all that is asked for."""
        metrics = self._read_metrics()
        return metrics if metrics and self._is_whole(metrics) else None

    def _is_whole(self, metrics):
        """Whether all that is asked for was measured."""
        return metrics.get("pairs") == self._pairs and all(
            set(self.methods) <= set(row["methods"]) for row in metrics["inbetween"]
        )

    def _read_metrics(self):
        """What was measured at the end of the training; None if nothing."""
        try:
            metrics = read_checked_json(path_of_metrics(self.run_dir, self.split))
            metrics["inbetween"][0]["methods"].keys()
            return metrics if metrics["steps"] == self.config.steps else None
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None  # Missing or damaged; it is measured again.

    def validation_curve(self):
        """The steps of its validations and the errors that the best weights were kept by.

        The error is `judged_by`.

        Returns:
            Two lists, by ascending step; empty where the TensorBoard logs are gone.
        """
        folder = self.run_dir / "logs" / "validation"
        if not folder.is_dir():
            return [], []
        events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
        weights = {self.judged_by(): 1.0}
        if self.judged_by() == BOTH_ERRORS:
            weights = {"reconstruction_mse": 1.0, "inbetween_mse": self.config.inbetween_weight}
        errors = {}
        for name, weight in weights.items():
            # A step that was repeated after a resume stands there twice, with the same value.
            values = {e.step: e.tensor_proto for e in _events(events, name)}
            for step, value in values.items():
                errors[step] = errors.get(step, 0.0) + weight * float(tf.make_ndarray(value))
        steps = sorted(errors)
        return steps, [errors[step] for step in steps]

    def judged_by(self):
        """The validation error that its best weights were kept by.

        The metric that the kind's `validation_error` names; `BOTH_ERRORS` for a run that study.json
        has from a version that used their sum.
        """
        entry, measured = self._entry(), self.measured_here()
        if "metrics" in entry and measured in (None, entry["metrics"]):
            return entry.get("judged_by", BOTH_ERRORS)
        kind = KINDS[kind_of(self.config)]
        return kind.validation_error(self.config.inbetween_weight)

    def judged_step(self):
        """The step whose weights were kept as the best and judged; None without the logs."""
        if kept := self._kept():
            return kept["judged_step"]
        steps, errors = self.validation_curve()
        return steps[int(np.argmin(errors))] if steps else None

    def last_quarter(self):
        """By what share the validation error changed over the last quarter of the training.

        Below 0 it still fell. None where the logs are gone or have too few validations.
        """
        if kept := self._kept():
            return kept["validation_error_over_the_last_quarter"]
        steps, errors = self.validation_curve()
        if len(steps) < 2 or steps[-1] < self.config.steps or errors[-1] == 0:
            return None
        before = np.interp(0.75 * steps[-1], steps, errors)
        return float(errors[-1] / before - 1)

    def say_how_long(self, arguments, code, seconds):
        """Adds the last line of a command to the log."""
        line = _TOOK.format(command=" ".join(arguments), code=code, seconds=seconds)
        with open(self.log, "a") as log:
            log.write(f"{line}\n")

    def commands(self):
        """Its commands that have ended, by its log: [["train" or "evaluate", code, seconds]]."""
        if kept := self._kept():
            return kept["commands"]
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return []
        ended = [match.groups() for match in map(_TOOK_PATTERN.match, lines) if match]
        return [[what, int(code), float(seconds)] for what, code, seconds in ended]

    def entry(self, train_frames):
        """What study.json is to say of it, a member of its "runs"; nothing unless it is done.

        `train_frames`: a function from its `Config` to how many frames its training clips have.
        """
        metrics, recorded = self.measured_here(), self.recorded()
        if metrics is None:
            return recorded
        environment = read_json(self.run_dir / "environment.json")
        hardware = environment["hardware"]
        entry = {
            "command": "python " + " ".join(self.training),
            "flags": self.flags,
            "commit": environment["commit"],
            "machine": f"{hardware['cores']} cores of {hardware['processor']}",
            "commands": self.commands(),
            "train_frames": train_frames(self.config),
            "judged_by": self.judged_by(),
            "judged_step": self.judged_step(),
            "validation_error_over_the_last_quarter": self.last_quarter(),
            "metrics": metrics,
        }
        if recorded.get("metrics") == metrics:  # The same run; its logs may be gone by now.
            entry |= {name: recorded[name] for name in entry if entry[name] in (None, [])}
        return entry

    def _kept(self):
        """Its entry in study.json, if what is known of it stands there alone."""
        return {} if self.measured_here() else self.recorded()


def methods_of(metrics):
    """The methods that were measured, of what metrics.json holds; none of None."""
    return list(metrics["inbetween"][0]["methods"]) if metrics else []


def _events(events, tag):
    return events.Tensors(tag) if tag in events.Tags()["tensors"] else []


def _gap(row):
    """The gap of a row of metrics.json in the unit of `Config.min_gap`: its label begins so."""
    return float(re.match(r"[\d.]+", row["gap_label"])[0])
