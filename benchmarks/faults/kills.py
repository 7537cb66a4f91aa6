"""Kills: every command is killed at random moments and started again until it ends.

Half of the kills come at a random moment of the time that the undisturbed command took, half soon
after a file appears that is being written. Half of each end the process alone, as the system does
when memory runs out, and half all that it started with it, as a power cut does. Nothing is flushed
before, so what is tested is what a process leaves behind, not what a disk loses of its cache.
"""

import dataclasses
import hashlib
import io
import json
import os
import re
import shutil
import threading
import time
import urllib.request
import zipfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import PIL.Image
import tensorflow as tf

from export import checksums
from tf_inbetween import run_directory
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
# Files that are being written have these names, all over the project and in what it uses.
_UNFINISHED = re.compile(r"\.partial|^incomplete\.|_temp$")
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
    found = {f"model.keras: {i}": w for i, w in enumerate(_weights(run_dir))}
    reader = tf.train.load_checkpoint(newest_whole(run_dir / "checkpoints", _fail))
    for name in reader.get_variable_to_shape_map():
        if not name.startswith("seconds"):
            found[f"checkpoint: {name}"] = np.asarray(reader.get_tensor(name))
    kept = files(run_dir)
    for name, digest in kept.items():
        if not re.search(r"events\.out", name):
            same = name in ("flags.txt", "environment.json") or re.search(r"poses|thumbn", name)
            found[f"file: {name}"] = digest if same else "there"
    return found


def evaluation(run_dir):
    """metrics.json but for its times and the checksum over them, and the bytes of the figures."""
    found = {name: digest for name, digest in files(run_dir).items() if "figures/" in name}
    text = _SECONDS.sub("", (run_dir / "metrics.json").read_text())
    found["metrics.json"] = re.sub(r'"sha256": "\w*"', "", text)
    return found


def study(folder):
    """The page, its numbers and pictures, and what every run has learnt and measured."""
    found = {}
    for name, digest in files(folder / "results").items():
        text = (folder / "results" / name).read_bytes()
        if name.endswith("study.json"):
            own = r'"sha256": "\w*"|"commands": \[(\[[^]]*\](, )?)*\]'
            digest = re.sub(own, "", _SECONDS.sub("", text.decode()))
        elif name.endswith("README.md"):
            digest = _without_minutes(text.decode())
        found[f"results: {name}"] = digest
    for run_dir in sorted(path for path in (folder / "runs").glob("*,seed=*") if path.is_dir()):
        found |= {f"{run_dir.name}: {k}": v for k, v in training(run_dir).items()}
        found |= {f"{run_dir.name}: {k}": v for k, v in evaluation(run_dir).items()}
        del found[f"{run_dir.name}: file: metrics.json"]
    return found


def _without_minutes(page):
    """A page of the study without how long its trainings took."""
    page = re.sub(r"took [\d.]+ hours", "took hours", page)
    return re.sub(r"(?m)^(\| `(?:[^|\n]+\|){5})[^|\n]+", r"\1", page)


def export(model_dir):
    """The newest version's files and the configurations beside it."""
    versions = [path for path in model_dir.iterdir() if path.name.isdigit()]
    folder = max(versions, key=lambda path: int(path.name))
    found = {name: digest for name, digest in files(model_dir).items() if "/" not in name}
    reader = tf.train.load_checkpoint(folder / "variables" / "variables")
    # Keras numbers them, in an order that changes from export to export.
    names = (name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name)
    tensors = (np.asarray(reader.get_tensor(name)) for name in names)
    digests = (hashlib.sha256(tensor.tobytes()).hexdigest() for tensor in tensors)
    found["weights"] = sorted(digests)
    for name, digest in files(folder).items():
        same = re.search(r"samples/|warmup", name)
        found[f"version: {name}"] = digest if same else "there"
    return found


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


def kill_often(place, key, kills, rng, say=print):
    """Kills a command so many times; returns a row of the table.

    Args:
        place: a `Workplace`.
        key: of `SUBJECTS`.
        kills: how many.
        rng: a `random.Random`.
        say: told of every kill.
    """
    subject, whole = SUBJECTS[key], place.expected(key)
    folder, done, lives, lost = place.fresh(subject), 0, 1, []
    while True:
        command = place.commands.start(subject.module, *subject.arguments, folder=folder)
        if done < kills and _until_killed(command, folder, place.seconds[key], rng):
            done += 1
            say(f"{key}: kill {done} of {kills}")
            lost += check_whole(folder)
            continue
        command.wait()
        if command.code and "is taken" not in command.complained:  # The import had ended.
            lost.append(f"exit code {command.code}: {command.complained}")
        else:
            lost += differences(whole, subject.content(folder / subject.makes))
        if done == kills:
            break
        folder, lives = place.fresh(subject), lives + 1
    return {
        "fault": "SIGKILL at a random moment, the same command again",
        "what": key,
        "injected": done,
        "ends": lives,
        "lost": "; ".join(dict.fromkeys(lost)) or "nothing",
        "compared": subject.compared,
        "command": subject.command,
    }


def _until_killed(command, folder, seconds, rng):
    """Kills a command at a random moment; returns whether that was before its end."""
    aimed, with_children = rng.random() < 0.5, rng.random() < 0.5
    if aimed:
        before, appearances, seen = _unfinished(folder), rng.randint(1, 4), set()

        def is_writing():
            nonlocal before
            now = _unfinished(folder)
            seen.update((name, len(seen)) for name in now - before)
            before = now
            return len(seen) >= appearances

        if not command.wait_for(is_writing):
            return False
        pause = rng.choice((0.0, 0.01, 0.1))
    else:
        pause = rng.uniform(0, seconds)
    if command.wait(pause):
        return False
    command.kill(with_children)
    return command.code == -9


def _unfinished(folder):
    """The names of the files and folders that are being written."""
    found = set()
    for where, folders, names in os.walk(folder):
        found.update(os.path.join(where, n) for n in (*folders, *names) if _UNFINISHED.search(n))
    return found


def check_whole(folder):
    """What stands under its final name below a folder and is not whole, in words."""
    bad = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if any(_UNFINISHED.search(part) for part in path.relative_to(folder).parts):
            continue
        try:
            _check_file(path)
        except FileNotFoundError:
            continue  # What a killed command started goes on writing and renaming.
        except Exception as error:
            bad.append(f"{name} is not whole: {error}")
    return bad


def _check_file(path):
    if path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".keras":
        with zipfile.ZipFile(path) as file:
            _expect(file.testzip() is None)
    elif path.suffix == ".png" and "logs" not in path.parts:
        with PIL.Image.open(path) as picture:
            picture.load()
    elif path.name == "flags.txt":
        run_directory.load_config(path.parent)
    elif path.name == "checkpoint" and "logs" not in path.parts:
        for prefix in tf.train.get_checkpoint_state(path.parent).all_model_checkpoint_paths:
            reader = tf.train.load_checkpoint(prefix)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
    elif path.name == "dataset_info.json":
        for split in json.loads(path.read_text())["splits"]:
            written = sum(map(int, split["shardLengths"]))
            shards = [str(shard) for shard in path.parent.glob(f"*-{split['name']}.tfrecord*")]
            _expect(sum(1 for _ in tf.data.TFRecordDataset(shards)) == written)
    elif path.name == "saved_model.pb":
        _expect((path.parent / checksums.NAME).exists())
        checksums.check(path.parent)


def _expect(truth):
    if not truth:
        raise ValueError("its content is not complete")


def differences(expected, found):
    """In what two contents differ, in words."""
    lines = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    lines += [f"{name} is left over" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        same = np.array_equal if isinstance(expected[name], np.ndarray) else lambda a, b: a == b
        if not same(expected[name], found[name]):
            lines.append(f"{name} differs")
    return lines


SERVER = ("export.serve", "--model_dir=models", "--rest_api_port=0", "--port=0")


def start_server(commands, folder, **more):
    """Starts a server in a folder with an export; returns the `Command`, and where to ask.

    The latter is None if it ended instead of listening.
    """
    command = commands.start(*SERVER, folder=folder, **more)
    if not command.wait_for(lambda: "REST" in command.said and "gRPC" in command.said):
        return command, None
    return command, re.search(r"REST (\S+)", command.said)[1] + ":predict"


def request():
    """The bytes of a request for an in-between."""
    pictures = [{"b64": b64encode(_plain_png(grey)).decode()} for grey in (40, 200)]
    row = {"first_bytes": pictures[0], "second_bytes": pictures[1], "t": 0.5}
    return json.dumps({"instances": [row]}).encode()


def kill_server(place, kills, rng, say=print):
    """Kills a server under requests so many times; returns a row of the table.

    Every answer that comes, before a kill or after a restart, has to be the one of the first
    server; a request that a kill cuts off has to end in a connection error.
    """
    place.expected("export")
    body = request()
    lost, answers, cut_off, expected = [], 0, 0, None
    for number in range(kills + 1):
        command, url = start_server(place.commands, place.made)
        if url is None:
            lost.append(f"it did not start: {command.complained}")
            continue
        first = ask(url, body)
        expected = expected or first
        lost += [] if first == expected else ["a restarted server answers differently"]
        if number == kills:
            command.kill(with_children=True)
            break
        found = _ask_until_killed(command, url, body, rng.uniform(0.05, 1.0))
        answers, cut_off = answers + found.count(expected), cut_off + found.count(None)
        if set(found) - {expected, None}:
            lost.append("an answer differs")
        say(f"serve: kill {number + 1} of {kills}")
    return {
        "fault": "SIGKILL under requests, the same command again",
        "what": "serve",
        "injected": kills,
        "ends": 1,
        "lost": "; ".join(dict.fromkeys(lost)) or "nothing",
        "compared": f"{answers} answers, all the same bytes; {cut_off} requests were cut off and "
        "ended in a connection error",
        "command": " ".join(["python -m", *SERVER]),
    }


def _ask_until_killed(command, url, body, seconds):
    """The answers that two clients got until the server was killed; None for a broken one."""
    found = []

    def client():
        while command.code is None:
            answer = ask(url, body)
            found.append(answer)
            if answer is None:
                return

    clients = [threading.Thread(target=client) for _ in range(2)]
    for each in clients:
        each.start()
    time.sleep(seconds)
    command.kill(with_children=False)
    for each in clients:
        each.join()
    return found


def ask(url, body):
    """A server's answer to a request; None if the connection broke."""
    try:
        with urllib.request.urlopen(url, body, timeout=60) as answer:
            return answer.read()
    except OSError:
        return None
    except Exception as error:  # http.client's own, for an answer that is cut off.
        if type(error).__module__ != "http.client":
            raise
        return None


def _plain_png(grey):
    with io.BytesIO() as file:
        PIL.Image.new("RGB", (64, 64), (grey, grey, grey)).save(file, "PNG")
        return file.getvalue()


def _weights(run_dir):
    model = keras.saving.load_model(run_dir / "model.keras", compile=False, safe_mode=True)
    return [weight.numpy() for weight in model.variables]


def _fail(line):
    raise ValueError(line)
