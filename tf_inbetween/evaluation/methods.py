"""The methods of an evaluation: a model, in one of its modes, or pixels alone."""

import numpy as np
import tensorflow as tf

from tf_inbetween import interpolation
from tf_inbetween.config import InputError, lookup
from tf_inbetween.evaluation.pairs import at_once
from tf_inbetween.kinds import KINDS
from tf_inbetween.models import FusionVAE

_BATCH = 100


def latent_method(model):
    """The in-betweens of `model` as a function of (first, second, t), like those of `baselines`.

    Here `t` may also be [N], one for each pair. A `FusionVAE` draws the fused frame.
    """
    return _in_batches(model.inbetween)


def latent_only_method(model):
    """As `latent_method`, from the latent alone: decode(z_t), as the paper draws.

    Only for a `FusionVAE` does this differ from `latent_method`.
    """

    def draw(first, second, t):
        z0, z2 = _ends(model, first, second)
        return model.decode(model.interpolate_latents(z0, z2, t), first.shape[1:3])

    return _in_batches(draw)


def slerp_method(model):
    """As `latent_method`, along the great circle between the two posterior means."""

    def draw(first, second, t):
        z0, z2 = _ends(model, first, second)
        z_t = interpolation.slerp(z0, z2, t)
        if isinstance(model, FusionVAE):
            return model.fuse(first, second, z0, z2, z_t, t)["frame"]
        return model.decode(z_t, first.shape[1:3])

    return _in_batches(draw)


# Methods that use a model; the first is its default. The `methods` of a kind need no model.
MODEL_METHODS = {
    "latent": latent_method,
    "latent_only": latent_only_method,
    "latent_slerp": slerp_method,
}
NEED_LATENTS = {"latent_only", "latent_slerp"}


def check_methods(methods, kind=KINDS["pictures"]):
    """The names of the methods of an evaluation, each once; the default ones if none are given.

    Args:
        methods: names.
        kind: of the frames, one of `kinds.KINDS`, which has `methods` and `default_methods`.

    Returns:
        The names. A default one whose package, such as OpenCV, is not installed is left out.

    Raises:
        InputError: for an unknown name, or a named method that cannot run here.
    """
    can_run = {**MODEL_METHODS, **kind.available_methods()}
    if not methods:
        for name in kind.default_methods:
            if name not in can_run:
                print(f"{kind.labels[name]} left out: {kind.missing(name)[1]} adds it")
        return [name for name in kind.default_methods if name in can_run]
    for name in methods:
        lookup({**MODEL_METHODS, **kind.methods}, name, "method")
        if name not in can_run:
            needed = ": ".join(kind.missing(name))
            raise InputError(f"--methods={','.join(methods)}: {kind.labels[name]} needs {needed}")
    return list(dict.fromkeys(methods))


def _ends(model, first, second):
    """The posterior means of both frames, each [N, Z]."""
    return tf.split(model.encode(tf.concat([first, second], axis=0)).mean(), 2)


def _in_batches(draw):
    """`draw` on some pairs at a time; its t [B] is made of a number or of t [N]."""

    def method(first, second, t):
        t = np.broadcast_to(np.float32(t), len(first))
        size = at_once(first.shape[1:], _BATCH)
        parts = (slice(i, i + size) for i in range(0, len(first), size))
        return np.concatenate([draw(first[part], second[part], t[part]) for part in parts])

    return method
