"""Kills: every command is killed at random moments and started again until it ends.

Half of the kills come at a random moment of the time that the undisturbed command took, half soon
after a file appears that is being written. Half of each end the process alone, as the system does
when memory runs out, and half all that it started with it, as a power cut does. Nothing is flushed
before, so what is tested is what a process leaves behind, not what a disk loses of its cache.
"""

import io
import json
import os
import re
import threading
import time
import urllib.request
import zipfile
from base64 import b64encode

import keras
import numpy as np
import PIL.Image
import tensorflow as tf

from benchmarks.faults.subjects import SUBJECTS
from export import checksums
from tf_inbetween import run_directory

# Files that are being written have these names, all over the project and in what it uses.
_UNFINISHED = re.compile(r"\.partial|^incomplete\.|_temp$")


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
    unfinished = set()
    for where, folders, names in os.walk(folder):
        here = (name for name in (*folders, *names) if _UNFINISHED.search(name))
        unfinished.update(os.path.join(where, name) for name in here)
    return unfinished


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


def differences(expected, actual):
    """In what two contents differ, in words."""
    lines = [f"{name} is missing" for name in sorted(expected.keys() - actual.keys())]
    lines += [f"{name} is left over" for name in sorted(actual.keys() - expected.keys())]
    for name in sorted(expected.keys() & actual.keys()):
        same = np.array_equal if isinstance(expected[name], np.ndarray) else lambda a, b: a == b
        if not same(expected[name], actual[name]):
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
        answered = _ask_until_killed(command, url, body, rng.uniform(0.05, 1.0))
        answers, cut_off = answers + answered.count(expected), cut_off + answered.count(None)
        if set(answered) - {expected, None}:
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
    answers = []

    def client():
        while command.code is None:
            answer = ask(url, body)
            answers.append(answer)
            if answer is None:
                return

    clients = [threading.Thread(target=client) for _ in range(2)]
    for each in clients:
        each.start()
    time.sleep(seconds)
    command.kill(with_children=False)
    for each in clients:
        each.join()
    return answers


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
