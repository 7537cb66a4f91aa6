"""The run directory: everything that one training writes, and how to read it.

flags.txt          the resolved flags; --flagfile=<run>/flags.txt repeats the run
environment.json   versions, commit, seed, hardware; of --init_from the SHA-256
model.keras        best weights by validation
checkpoints/       for resuming
logs/              TensorBoard
metrics.json       what evaluate measured
figures/           what evaluate drew; training.png, what the training drew after its last epoch
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import zipfile
from pathlib import Path

import keras
import tensorflow as tf

from frame_io.files import atomic_write, read_json, read_text, write_json
from frame_io.sizes import Size
from tf_inbetween.config import Config, InputError, as_text, lookup
from tf_inbetween.kinds import KINDS
from tf_inbetween.models import TripletModel

FORMAT = 1  # Of the directory; a change that old code cannot read raises it.

_MAX_EXPANSION = 10  # Of model.keras.
_MAX_CONFIG = 10**7  # Bytes of the settings in it.

_PACKAGES = (
    "tf_inbetween",
    "tensorflow",
    "keras",
    "tensorflow-probability",
    "tensorflow-datasets",
    "numpy",
    "embreex",
)


def check(config):
    """Raises `InputError` unless the run directory is empty or holds a run with the same flags."""
    if not config.run_dir:
        raise InputError("--run_dir is empty: name a folder for the run, such as runs/teapot")
    run_dir = Path(config.run_dir)
    if run_dir.exists() and not run_dir.is_dir():
        raise InputError(f"--run_dir={run_dir}: is a file; name a folder")
    if (run_dir / "flags.txt").exists():
        _check_same(config, run_dir)
    elif run_dir.exists():
        # A start that was interrupted leaves only the first of its two files. A training whose
        # folder disappeared leaves logs: TensorFlow creates them again to close them.
        others = [path for path in run_dir.iterdir() if "environment" not in path.name]
        others = [path for path in others if ".partial" not in path.name and path.name != "logs"]
        if others:
            raise InputError(
                f"--run_dir={run_dir}: has files but no flags.txt; name an empty folder"
            )


def start(config, precision, init_sha256=None):
    """Writes the flags and the environment of a new run; returns the run directory.

    If there is a run already, nothing is written.

    Args:
        config: a `Config`.
        precision: the Keras dtype policy in use.
        init_sha256: of the model.keras with the initial weights, or None.

    Raises:
        InputError: as `check`, and if an existing run started from another model.keras.
    """
    check(config)
    run_dir = Path(config.run_dir)
    if (run_dir / "flags.txt").exists():
        began_from = read_json(run_dir / "environment.json").get("init_sha256")
        if init_sha256 not in (None, began_from):
            raise InputError(
                f"--init_from={config.init_from}: its model.keras has changed since "
                f"{run_dir} began, which has no checkpoint yet; use another --run_dir"
            )
    else:
        own = {"format": FORMAT, "seed": config.seed, "precision": precision}
        if init_sha256:
            own["init_sha256"] = init_sha256
        write_json(run_dir / "environment.json", {**own, **environment()})
        with atomic_write(run_dir / "flags.txt") as beside:
            flags = flag_texts(config).items()
            beside.write_text("".join(f"--{name}={text}\n" for name, text in flags))
    return run_dir


def flag_texts(config):
    """The flags of a `Config` as flags.txt has them, {name: text}."""
    return {name: as_text(value) for name, value in dataclasses.asdict(config).items()}


def load_config(run_dir):
    """The `Config` of a run. Raises `InputError` if there is none, or it has another format."""
    run_dir = Path(run_dir)
    if not (run_dir / "flags.txt").is_file():
        raise InputError(f"--run_dir={run_dir}: no run there (flags.txt is missing)")
    _check_format(run_dir)
    return _read_flags(run_dir)


def load_model(run_dir):
    """The trained model of a run, a `TripletModel`.

    Raises `InputError` if there is none, or it cannot be loaded.
    """
    return load_model_file(Path(run_dir) / "model.keras")


def kind_of(run_dir):
    """The kind of a run's frames, a row of `kinds.KINDS`; its model is not loaded.

    Raises `InputError` as `load_config`, and if the model is missing or damaged.
    """
    load_config(run_dir)
    path = Path(run_dir) / "model.keras"
    if not path.is_file():
        raise InputError(f"{path}: missing; the training has not saved a model there")
    try:
        with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
            kind = json.loads(file.read(_MAX_CONFIG))["config"].get("kind", "pictures")
        return lookup(KINDS, kind, "kind of frames").name
    except Exception as error:  # A damaged archive raises various errors.
        first_line = str(error).strip().partition("\n")[0]
        raise InputError(f"{path}: cannot be loaded: {first_line}") from error


def load_model_file(path):
    """The `TripletModel` of a model.keras. Raises `InputError` if it cannot be loaded."""
    if not path.is_file():
        raise InputError(f"{path}: missing; the training has not saved a model there")
    try:
        _check_size(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        networks = [getattr(model, name) for name in getattr(model, "networks", ())]
        if not isinstance(model, TripletModel) or not all(
            n.built for n in networks if n is not None
        ):
            raise ValueError("it is not a complete tf_inbetween model")
    except Exception as error:  # Keras raises various errors for a damaged file.
        first_line = str(error).strip().partition("\n")[0]
        raise InputError(f"{path}: cannot be loaded: {first_line}") from error
    return model


def _check_size(path):
    """Raises `ValueError` if a .keras file needs far more memory than it has bytes.

    Keras stores without compression, and itself refuses members from 4 GiB on alone.
    """
    most = _MAX_EXPANSION * path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > most:
            raise ValueError(f"it would unpack to {unpacked:,} bytes")
        config = json.loads(archive.read("config.json"))
    # In a graph a network has shapes and takes no memory.
    with tf.Graph().as_default():
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        weights = sum(math.prod(weight.shape) for weight in getattr(model, "variables", ()))
    if 4 * weights > most:
        raise ValueError(f"its networks have {weights:,} weights, more than the file can hold")


def environment():
    """Versions, commit and hardware, as plain values for JSON."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "hardware": {
            "machine": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "gpus": [
                tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
                for gpu in tf.config.list_physical_devices("GPU")
            ],
        },
    }


def _read_flags(run_dir):
    values = {}
    try:
        lines = read_text(run_dir / "flags.txt").splitlines()
    except ValueError as error:
        raise InputError(f"{run_dir}/flags.txt: damaged ({error})") from error
    for line in lines:
        if not line.startswith("--"):
            continue  # a comment
        name, _, text = line.removeprefix("--").partition("=")
        values[name] = text
    fields = {field.name: field for field in dataclasses.fields(Config)}
    odd = sorted(set(values) ^ set(fields))
    if odd:
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
        if text not in ("True", "False"):
            raise ValueError(f"--{field.name}={text}: must be True or False")
        return text == "True"
    if isinstance(field.default, Size):
        return Size.of(text)
    if isinstance(field.default, tuple):
        return tuple(int(item) for item in text.split(","))
    return type(field.default)(text)


def _check_same(config, run_dir):
    old = load_config(run_dir)
    differ = [
        f"--{field.name}={getattr(config, field.name)} (was {getattr(old, field.name)})"
        for field in dataclasses.fields(Config)
        if field.name not in ("run_dir", "data_dir")
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
        run_format = read_json(path)["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: missing or damaged; not a complete run directory") from error
    if run_format != FORMAT:
        raise InputError(
            f"{run_dir}: has run-directory format {run_format}; tf_inbetween "
            f"{importlib.metadata.version('tf_inbetween')} reads format {FORMAT}"
        )


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None  # run from a checkout that is not installed


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
