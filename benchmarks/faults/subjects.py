"""The commands that faults are injected into, and what of their output is compared."""

import dataclasses
import hashlib
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import PIL.Image
import tensorflow as tf

from tf_inbetween.checkpoints import newest_whole

SCENE = "linked_arm_2clips"
FLAGS = {
    "scene": SCENE,
    "frames_per_clip": 12,
    "triplets_per_clip": 16,
    "inbetweens_per_clip": 4,
    "min_gap": 2,
    "max_gap": 32,
    "filters": "4,4,8,8",
    "dense_units": 16,
    "latent_dim": 3,
    "steps": 24,
    "steps_per_epoch": 4,
    "steps_per_execution": 2,
    "validation_steps": 1,
    "learning_rate_warmup_steps": 2,
    "alpha_warmup_steps": 0,
    "precision": "float32",
}
# Times of the wall clock, in any JSON file.
_SECONDS = re.compile(r'"(train|total)_seconds": [^,\n]*')


@dataclasses.dataclass(frozen=True)
class Subject:
    """A command to be killed.

    Attributes:
        module, arguments: of `python -m`; they name nothing outside the folder that it runs in.
        needs: what is copied into that folder first, by name: what an earlier subject made.
        makes: the folder that it writes.
        content: what of that folder has to be the same in the end: name -> anything comparable.
        compared: the same in words, with what is left out.
    """

    module: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...]
    makes: str
    content: Callable[[Path], dict]
    compared: str

    @property
    def command(self):
        """The command line."""
        return " ".join(["python -m", self.module, *self.arguments])


def files(folder):
    """Every file's bytes, hashed, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def training(run_dir):
    """What a run has learnt, and every name in it but those of the event files."""
    content = {f"model.keras: {i}": w for i, w in enumerate(_weights(run_dir))}
    reader = tf.train.load_checkpoint(newest_whole(run_dir / "checkpoints", _fail))
    for name in reader.get_variable_to_shape_map():
        if not name.startswith("seconds"):
            content[f"checkpoint: {name}"] = np.asarray(reader.get_tensor(name))
    kept = files(run_dir)
    for name, digest in kept.items():
        if not re.search(r"events\.out", name):
            same = name in ("flags.txt", "environment.json") or re.search(r"poses|thumbn", name)
            content[f"file: {name}"] = digest if same else "there"
    return content


def evaluation(run_dir):
    """metrics.json but for its times and the checksum over them, and the bytes of the figures."""
    content = {name: digest for name, digest in files(run_dir).items() if "figures/" in name}
    text = _SECONDS.sub("", (run_dir / "metrics.json").read_text())
    content["metrics.json"] = re.sub(r'"sha256": "\w*"', "", text)
    return content


def study(folder):
    """The pages, their numbers and pictures, and what every run has learnt and measured."""
    content = {}
    for name, digest in files(folder / "results").items():
        text = (folder / "results" / name).read_bytes()
        if name.endswith("study.json"):
            own = r'"sha256": "\w*"|"commands": \[(\[[^]]*\](, )?)*\]'
            digest = re.sub(own, "", _SECONDS.sub("", text.decode()))
        elif name.endswith(".md"):
            digest = _without_minutes(text.decode())
        content[f"results: {name}"] = digest
    for run_dir in sorted(path for path in (folder / "runs").glob("*,seed=*") if path.is_dir()):
        content |= {f"{run_dir.name}: {k}": v for k, v in training(run_dir).items()}
        content |= {f"{run_dir.name}: {k}": v for k, v in evaluation(run_dir).items()}
        del content[f"{run_dir.name}: file: metrics.json"]
    return content


def _without_minutes(page):
    """A page of the study without how long its trainings took."""
    page = re.sub(r"took [\d.]+ hours", "took hours", page)
    return re.sub(r"(?m)^(\| `(?:[^|\n]+\|){5})[^|\n]+", r"\1", page)


def export(model_dir):
    """The newest version's files and the configurations beside it."""
    versions = [path for path in model_dir.iterdir() if path.name.isdigit()]
    folder = max(versions, key=lambda path: int(path.name))
    content = {name: digest for name, digest in files(model_dir).items() if "/" not in name}
    reader = tf.train.load_checkpoint(folder / "variables" / "variables")
    # Keras numbers them, in an order that changes from export to export.
    names = (name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name)
    tensors = (np.asarray(reader.get_tensor(name)) for name in names)
    digests = (hashlib.sha256(tensor.tobytes()).hexdigest() for tensor in tensors)
    content["weights"] = sorted(digests)
    for name, digest in files(folder).items():
        same = re.search(r"samples/|warmup", name)
        content[f"version: {name}"] = digest if same else "there"
    return content


SUBJECTS = {
    "build": Subject(
        "data_gen.build",
        (f"--scene={SCENE}", "--data_dir=data", "--workers=2"),
        (),
        "data",
        files,
        "all bytes",
    ),
    "import": Subject(
        "data_gen.import_clips",
        ("--name=mine", "--input=frames", "--frames_per_clip=8", "--data_dir=imported"),
        ("frames",),
        "imported",
        files,
        "all bytes",
    ),
    "train": Subject(
        "tf_inbetween.train",
        ("--flagfile=tiny.flags", "--data_dir=data", "--run_dir=run", "--noevaluate"),
        ("data", "tiny.flags"),
        "run",
        training,
        "all weights, of model and optimizer, flags.txt, environment.json and the names of all "
        "files; not the TensorBoard events (named after time and process, and a killed epoch is "
        "logged twice) and the seconds that it took",
    ),
    "evaluate": Subject(
        "tf_inbetween.evaluate",
        ("--run_dir=run", "--pairs=2"),
        ("data", "run"),
        "run",
        evaluation,
        "metrics.json and all bytes of figures/; not the seconds that it took",
    ),
    "export": Subject(
        "export.saved_model",
        ("--run_dir=run", "--model_dir=models"),
        ("run",),
        "models",
        export,
        "the weights, the warmup requests, the samples, the configurations and the names of all "
        "files; not the bytes of the graph and its fingerprint, which differ from export to export",
    ),
    "study": Subject(
        "benchmarks.faults.small_study",
        (
            "--flagfile=tiny.flags --data_dir=data",
            "--runs_dir=study/runs",
            "--results_dir=study/results",
            "--seeds=0",
            "--pairs=2",
        ),
        ("data", "tiny.flags"),
        "study",
        study,
        "the page, its pictures and all that was measured; of every run what is compared of a "
        "training and an evaluation; not the seconds and the events",
    ),
}


class Workplace:
    """Folders for the commands, and what undisturbed ones made."""

    def __init__(self, root, commands):
        self.commands, self.root = commands, Path(root)
        self.made, self._expected, self.seconds = self.root / "made", {}, {}
        write_inputs(self.made)

    def fresh(self, subject, name="work"):
        """An empty folder with what a command needs."""
        folder = self.root / name
        for need in subject.needs:
            self._make(need)  # In the same folder.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for need in subject.needs:
            source = self.made / need
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / need)
        return folder

    def expected(self, key):
        """What an undisturbed command made, as far as it is compared."""
        subject = SUBJECTS[key]
        if key not in self._expected:
            folder = self.fresh(subject)
            began = time.monotonic()
            done = self.commands.run(subject.module, *subject.arguments, folder=folder)
            if done.code:
                raise RuntimeError(f"{subject.command}: {done.complained or done.code}")
            self.seconds[key] = time.monotonic() - began
            shutil.rmtree(self.made / subject.makes, ignore_errors=True)
            shutil.copytree(folder / subject.makes, self.made / subject.makes)
            self._expected[key] = subject.content(folder / subject.makes)
        return self._expected[key]

    def _make(self, need):
        for key, subject in SUBJECTS.items():
            if subject.makes == need and not (self.made / need).exists():
                self.expected(key)


def write_inputs(folder):
    """The pictures for the import, and a flag file."""
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    for i in range(48):
        pixels = np.full((96, 96, 3), 60, np.uint8)
        pixels[30:60, i : i + 20] = (255, 200, 0)
        PIL.Image.fromarray(pixels).save(folder / "frames" / f"{i:03}.png")
    lines = [f"--{name}={value}\n" for name, value in FLAGS.items()]
    (folder / "tiny.flags").write_text("".join(lines))


def _weights(run_dir):
    model = keras.saving.load_model(run_dir / "model.keras", compile=False, safe_mode=True)
    return [weight.numpy() for weight in model.variables]


def _fail(line):
    raise ValueError(line)
