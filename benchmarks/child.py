"""Rivals in a process of their own, which does nothing between its turns.

TensorFlow, PyTorch and OpenCV each bring pools of threads that get in each other's way inside one
process. So a module with a function `rivals(**settings)` that returns {name: (run, facts)} is run
by `python -m benchmarks.child MODULE SETTINGS`, and a `Child` asks it, one line of JSON for each
turn, to do n steps of one of its rows. This file imports no TensorFlow: PyTorch's compiler crashes
beside it.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.turns import take_turns

# OpenMP's threads, PyTorch's, by default wait for each other by spinning. Where anything else wants
# one of the cores, that made PyTorch's steps nine times as slow (BUILD_NOTES.md).
_QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "2"}


class Child:
    """A process with rivals; use it as a context manager.

    Attributes:
        facts: {name: what a step of this rival is worth, as its module says}.
        values: {name: what its last run returned}.
        memory_mib: resident memory after the last turn.
    """

    def __init__(self, module, **settings):
        """Starts `module`; raises `RuntimeError` with one line where it cannot be set up."""
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.child", module, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**_QUIET, **os.environ, "PYTHONPATH": path},
        )
        self.values, self.memory_mib = {}, None
        try:
            self.facts = self._answer()["rows"]
        except RuntimeError as error:
            self.close()
            raise RuntimeError(f"{module}: {error}") from None

    def __enter__(self):
        """Returns the child."""
        return self

    def __exit__(self, *exception):
        """Ends the process."""
        self.close()

    def runs(self, *names):
        """{name: run} of these rows (default: of all), for `benchmarks.turns.take_turns`."""
        return {
            name: lambda steps, name=name: self.run(name, steps) for name in names or self.facts
        }

    def run(self, name, steps):
        """Does steps of one row; returns CPU seconds. Raises `RuntimeError` if that fails."""
        try:
            self._process.stdin.write(json.dumps({"name": name, "steps": steps}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # The answer is missing then, too.
        answer = self._answer()
        self.values[name], self.memory_mib = answer["value"], answer["memory_mib"]
        return answer["cpu_seconds"]

    def close(self):
        """Ends the process: it stops by itself when nothing more can be asked."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self):
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "its process ended"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


def children_take_turns(module, settings, turns, seconds):
    """As `turns.take_turns`, of one child each; rows have "memory_mib" besides.

    Args:
        module: as for `Child`, with one row for each of the settings, whose fact "steps" is what a
            step of it is worth (1 without).
        settings: {name: the settings of this child}.
        turns, seconds: as for `take_turns`.
    """
    with contextlib.ExitStack() as stack:
        children = {
            name: stack.enter_context(Child(module, **given)) for name, given in settings.items()
        }
        rows = {name: next(iter(child.facts)) for name, child in children.items()}
        runs = {name: child.runs()[rows[name]] for name, child in children.items()}
        amounts = {
            name: child.facts[rows[name]].get("steps", 1) for name, child in children.items()
        }
        results = take_turns(runs, turns, seconds, amounts)
        for name, row in results["rows"].items():
            row["memory_mib"] = children[name].memory_mib
    return results


def main():
    """Sets up the rivals that the arguments name and answers until the input ends."""
    module, settings = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is no answer.

    def say(**answer):
        print(json.dumps(answer), file=answers, flush=True)

    try:
        rows = importlib.import_module(module).rivals(**json.loads(settings))
    except Exception as error:
        say(error=_line(error))
        return
    say(rows={name: facts for name, (_, facts) in rows.items()})
    for line in sys.stdin:
        asked = json.loads(line)
        run, _ = rows[asked["name"]]
        begin = _cpu_seconds()
        try:
            value = run(asked["steps"])
        except Exception as error:
            say(error=_line(error))
        else:
            say(value=value, cpu_seconds=_cpu_seconds() - begin, memory_mib=_memory_mib())


def _line(error):
    if isinstance(error, ModuleNotFoundError):
        return f"no package {error.name}: pip install 'tf_inbetween[benchmarks]'"
    return f"{type(error).__name__}: " + " ".join(str(error).split())[:300]


def _children():
    # The system lists them under the thread that started them.
    return [pid for path in Path("/proc/self/task").glob("*/children") for pid in _read(path)]


def _read(path):
    try:
        return path.read_text().split()
    except OSError:  # A thread, or a process, that has ended.
        return []


def _cpu_seconds():
    """Of this process and of those that it started (a server, renderers) and that still run."""
    seconds = time.process_time()
    for pid in _children():
        if fields := _read(Path(f"/proc/{pid}/stat")):
            seconds += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return seconds


def _memory_mib():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024)
    return None


if __name__ == "__main__":
    main()
