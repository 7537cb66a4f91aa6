"""The run directory: everything one training leaves behind, and how it is read back.

flags.txt          the resolved flags; --flagfile=<run>/flags.txt repeats the run
environment.json   versions, commit, seed, hardware
model.keras        best weights by validation
checkpoints/       for resuming
logs/              TensorBoard
metrics.json       what evaluate measured
figures/           what evaluate drew
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

import keras

import tf_inbetween
from tf_inbetween.config import Config, InputError

FORMAT = 1  # Of the directory; a change that old code cannot read raises it.

_PACKAGES = ("tf_inbetween", "tensorflow", "keras", "tensorflow-probability", "numpy")


@contextlib.contextmanager
def written_whole(path):
    """Yields a path beside `path` to write to; on success it takes the place of `path`.

    A crash leaves what was at `path` before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path, content):
    """Writes `content` as JSON, whole or not at all. NaN and infinity are errors."""
    with written_whole(path) as beside:
        beside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def start(config):
    """Writes the flags and the environment of a new run, or checks that an old one had the same.

    Returns the run directory. Raises `InputError` if it holds a run with other flags, or one of
    another format.
    """
    run_dir = Path(config.run_dir)
    if not config.run_dir:
        raise InputError("--run_dir is empty: name a folder for the run, such as runs/teapot")
    if (run_dir / "flags.txt").exists():
        _check_same(config, run_dir)
        return run_dir
    if run_dir.exists() and any(run_dir.iterdir()):
        raise InputError(f"--run_dir={run_dir}: has files but no flags.txt; name an empty folder")
    write_json(run_dir / "environment.json", _environment(config))
    with written_whole(run_dir / "flags.txt") as beside:
        beside.write_text("".join(f"{line}\n" for line in _flag_lines(config)))
    return run_dir


def load_config(run_dir):
    """The `Config` of a run. Raises `InputError` where there is none, or one of another format."""
    run_dir = Path(run_dir)
    if not (run_dir / "flags.txt").is_file():
        raise InputError(f"--run_dir={run_dir}: no run there (flags.txt is missing)")
    _check_format(run_dir)
    return _read_flags(run_dir)


def load_model(run_dir):
    """The trained `TripletVAE` of a run. Raises `InputError` where there is none that loads."""
    path = Path(run_dir) / "model.keras"
    if not path.is_file():
        raise InputError(f"{path}: no model yet; train it with --flagfile={run_dir}/flags.txt")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        first_line = str(error).strip().partition("\n")[0]
        raise InputError(f"{path}: cannot be loaded: {first_line}") from error


def _flag_lines(config):
    for field in dataclasses.fields(Config):
        value = getattr(config, field.name)
        if isinstance(value, tuple):
            value = ",".join(str(item) for item in value)
        yield f"--{field.name}={value}"


def _read_flags(run_dir):
    values = {}
    for line in (run_dir / "flags.txt").read_text().splitlines():
        name, _, text = line.removeprefix("--").partition("=")
        values[name] = text
    fields = {field.name: field for field in dataclasses.fields(Config)}
    if set(values) != set(fields):
        odd = sorted(set(values) ^ set(fields))
        raise InputError(
            f"{run_dir}/flags.txt: written by another version of tf_inbetween; "
            f"flags that differ: {', '.join(odd)}"
        )
    try:
        return Config(**{name: _parse(text, fields[name]) for name, text in values.items()})
    except ValueError as error:
        raise InputError(f"{run_dir}/flags.txt: {error}") from error


def _parse(text, field):
    if isinstance(field.default, bool):
        return text == "True"
    if isinstance(field.default, tuple):
        return tuple(int(item) for item in text.split(","))
    return type(field.default)(text)


def _check_same(config, run_dir):
    old = load_config(run_dir)
    differ = [
        f"--{field.name}={getattr(config, field.name)} (was {getattr(old, field.name)})"
        for field in dataclasses.fields(Config)
        if field.name not in ("run_dir", "data_dir", "storage", "memory_limit_mb")
        and getattr(config, field.name) != getattr(old, field.name)
    ]
    if differ:
        raise InputError(
            f"{run_dir} holds a run with other flags: {', '.join(differ)}. "
            "Use them again to resume it, or another --run_dir"
        )


def _check_format(run_dir):
    path = run_dir / "environment.json"
    try:
        found = json.loads(path.read_text())["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: missing or damaged; this is no whole run directory") from error
    if found != FORMAT:
        raise InputError(
            f"{run_dir}: has run-directory format {found}; tf_inbetween "
            f"{tf_inbetween.__version__} reads format {FORMAT}"
        )


def _environment(config):
    return {
        "format": FORMAT,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "commit": _commit(),
        "seed": config.seed,
        "hardware": {
            "machine": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
    }


def _commit():
    """The git commit of the code, with "+" if the tree has changes; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit + ("+" if git("status", "--porcelain", "--untracked-files=no", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
