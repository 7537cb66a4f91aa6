"""The first weights of a training, taken from the model of another run: --init_from."""

import hashlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_inbetween import run_directory
from tf_inbetween.config import InputError, lookup
from tf_inbetween.distributions import LIKELIHOODS

# The flags that shape each network.
_OF_SPRITES = ("network", "sprites", "crop_size")
_OF_SIZE = ("latent_size", "image_size", "channels")
_OF_CODERS = (*_OF_SPRITES, *_OF_SIZE, "latent_dim", "filters", "dense_units")
_SHAPED_BY = {
    "encoder": ("model", *_OF_CODERS),
    "decoder": (*_OF_CODERS, "likelihood"),
    "curve": ("latent_dim", "dense_units", "sprites"),
    "critic": (*_OF_SIZE, "filters", "dense_units"),
    "fusion": ("channels", "fusion_filters", "initial_flow"),
    "unet": ("channels", "filters"),
}


def check_other(config):
    """Raises `InputError` if a run would start from itself."""
    if config.init_from and config.run_dir and _path(config).parent == _real(config.run_dir):
        raise InputError(f"--init_from={config.init_from}: is this run itself; name another one")


def read(config):
    """The model that `config.init_from` names, and the SHA-256 of its file in hexadecimal.

    Raises `InputError` if it cannot be loaded, or a training replaces it during reading.
    """
    path = _path(config)
    try:
        before = path.stat()
        model = run_directory.load_model_file(path)
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        after = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"--init_from={config.init_from}: no {path.name} there") from error
    except (InputError, OSError) as error:
        raise InputError(f"--init_from={config.init_from}: {error}") from error
    if (before.st_ino, before.st_mtime_ns) != (after.st_ino, after.st_mtime_ns):
        raise InputError(
            f"--init_from={config.init_from}: a training saved a new model.keras during reading; "
            "wait until it ends"
        )
    return model, sha256


def take_over(model, other, config):
    """Copies the weights of shared networks from `other` to `model`; returns a line about it.

    Networks match by attribute name. A calibrated scale is copied too. The optimizer is not. Call
    it in the scope of the model's strategy.

    Args:
        model: the `TripletModel` of `config`, built.
        other: a `TripletModel`, from `read`.
        config: a `Config`.

    Raises:
        InputError: if they share no network, a shared one differs in a shape, or they interpret a
            decoder's outputs differently. Nothing is assigned then.
    """
    given = f"--init_from={config.init_from}"
    own = [name for name in model.networks if getattr(model, name) is not None]
    shared = [name for name in own if getattr(other, name, None) is not None]
    if not shared:
        raise InputError(
            f"{given}: its {type(other).__name__} shares no network with this run's "
            f"{type(model).__name__}, which has {', '.join(own)}"
        )
    for name in shared:
        difference = _difference(getattr(model, name), getattr(other, name))
        if difference:
            right = _right_flags(config, name)
            raise InputError(f"{given}: its {name} does not fit: {difference}; it takes {right}")
    if not _read_outputs_alike(model, other):
        raise InputError(
            f"{given}: was trained with --likelihood={other.likelihood}, whose decoder outputs "
            f"mean something else than with --likelihood={model.likelihood}"
        )
    for name in shared:
        _assign(getattr(model, name), getattr(other, name))
    if model.likelihood == other.likelihood == "calibrated_normal":
        model.scale.assign(other.scale.numpy())
    fresh = [name for name in own if name not in shared]
    starts = f"; new weights for {', '.join(fresh)}" if fresh else ""
    return f"first weights of {', '.join(shared)} from {config.init_from}{starts}"


def _path(config):
    """Where the model.keras lies, as an absolute path without links."""
    path = _real(config.init_from)
    return path if path.suffix == ".keras" and not path.is_dir() else path / "model.keras"


def _real(path):
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself.
        raise InputError(f"{path}: cannot be followed") from error


def _assign(network, other):
    for weight, value in zip(network.variables, other.variables, strict=True):
        weight.assign(value.numpy())


def _difference(network, other):
    """In which shape a network differs from another; "" if in none."""
    if type(network) is not type(other):
        return f"{type(other).__name__} there, {type(network).__name__} here"
    if len(network.variables) != len(other.variables):
        return f"{len(other.variables)} weights there, {len(network.variables)} here"
    for weight, value in zip(network.variables, other.variables, strict=True):
        if tuple(weight.shape) != tuple(value.shape):
            return f"{weight.name} {list(value.shape)} there, {list(weight.shape)} here"
    return ""


def _right_flags(config, network):
    """The flags of the other run, where they can be read, that would make a network fit."""
    try:
        there = run_directory.flag_texts(run_directory.load_config(_path(config).parent))
    except (InputError, OSError):
        there = {}
    here = run_directory.flag_texts(config)
    right = [
        f"--{name}={there[name]}"
        for name in _SHAPED_BY.get(network, ())
        if there.get(name, here[name]) != here[name]
    ]
    return " ".join(right) or "the flags that shaped it"


def _read_outputs_alike(model, other):
    """Whether the same outputs of a decoder are the same frames to both."""
    outputs = tf.constant([-2.0, 0.25, 3.0], shape=[1, 1, 1, 3])
    means = (
        lookup(LIKELIHOODS, each.likelihood, "likelihood")(outputs, 1.0).mean()
        for each in (model, other)
    )
    return np.array_equal(*means)
