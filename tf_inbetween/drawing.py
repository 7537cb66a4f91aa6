"""Draws the frames between key frames: one batch of them at a time."""

import functools
import itertools

import numpy as np

from tf_inbetween import interpolation
from tf_inbetween.config import InputError, lookup
from tf_inbetween.models import FusionVAE, LatentModel

_BATCH = 64


def draw(model, first, second, count):
    """The `count` evenly spaced frames strictly between two frames.

    Args:
        model: of a run.
        first, second: float [H, W, C] in [0, 1].
        count: at least 1.

    Returns:
        float32 [count, H, W, C] in [0, 1].
    """
    if count < 1:
        raise InputError(f"{count} in-betweens: must be at least 1")
    return model.path(first, second, np.linspace(0, 1, count + 2)[1:-1])


def draw_through(model, keys, count, path="linear", show="given"):
    """Draws `count` evenly spaced frames in every gap between key frames.

    A latent model decodes the path through the latents of all keys. A `FusionVAE` fuses each frame
    from the two keys around it and the latent on that path.

    Args:
        model: of a run.
        keys: at least two frames, float [H, W, C] in [0, 1]; a list, or anything else that can be
            iterated over twice. One batch of them is held at a time.
        count: at least 1.
        path: how the latents are joined: a row of `interpolation.PATHS`.
        show: what stands at the key frames themselves: "given", as they are; "drawn", as the model
            draws them at t = 0: a latent model reconstructs them, a `FusionVAE` copies them, so
            that "drawn" is "given"; "none", nothing.

    Yields:
        float32 [H, W, C] in [0, 1]: the frames in order.

    Raises:
        InputError: for an unknown path, one that the model cannot go, or fewer than one in-between,
            when the first is asked for.
    """
    if count < 1:
        raise InputError(f"{count} in-betweens: must be at least 1")
    interpolate = lookup(interpolation.PATHS, path, "path")
    if not isinstance(model, LatentModel):
        yield from _draw_pairs(model, keys, count, path, show)
        return
    if model.curve is not None:
        if path != "linear":
            raise InputError(
                f"--keyframe_path={path}: this model has a curve of its own from key to key "
                "(--latent_path=curved in its training); --keyframe_path=linear follows it"
            )
        interpolate = functools.partial(interpolate, interpolate=model.interpolate_latents)
    latents = np.concatenate(
        [model.encode(np.stack(batch)).mean().numpy() for batch in _batches(keys, _BATCH)]
    )
    if isinstance(model, FusionVAE):
        yield from _fuse_through(model, keys, latents, count, interpolate, show)
        return
    gaps = len(latents) - 1
    steps = range(gaps * (count + 1) + 1)
    if show != "drawn":
        steps = (step for step in steps if step % (count + 1))
    drawn = (
        frame
        for batch in _batches(steps, _BATCH)
        for frame in model.decode(interpolate(latents, np.float64(batch) / (count + 1))).numpy()
    )
    if show != "given":
        yield from drawn
        return
    for place, key in enumerate(keys):
        yield key
        if place < gaps:
            yield from itertools.islice(drawn, count)


def _fuse_through(model, keys, latents, count, interpolate, show):
    """As `draw_through`, for a `FusionVAE` and the latents [M, Z] of its keys."""
    steps = (
        (gap * (count + 1) + step, first, second)
        for gap, (first, second) in enumerate(itertools.pairwise(keys))
        for step in range(1, count + 1)
    )
    for batch in _batches(steps, _BATCH):
        step, first, second = (np.stack(each) for each in zip(*batch, strict=True))
        gap, step_in_gap = np.divmod(step, count + 1)
        z_t = interpolate(latents, step / (count + 1))
        t = np.float32(step_in_gap / (count + 1))
        parts = model.fuse(first, second, latents[gap], latents[gap + 1], z_t, t)
        for key, place, frame in zip(first, step_in_gap, parts["frame"].numpy(), strict=True):
            if show != "none" and place == 1:
                yield key
            yield frame
    if show != "none":
        yield second[-1]


def _draw_pairs(model, keys, count, path, show):
    """As `draw_through`, for a model without latents: one pair of key frames after another."""
    if path != "linear":
        raise InputError(
            f"--keyframe_path={path}: this model has no latents; --keyframe_path=linear draws pairs"
        )
    if show == "drawn":
        raise InputError("--redraw: this model has no latents and draws no key frames again")
    for place, (first, second) in enumerate(itertools.pairwise(keys)):
        if show == "given" and not place:
            yield first
        yield from draw(model, first, second, count)
        if show == "given":
            yield second


def _batches(items, size):
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch
