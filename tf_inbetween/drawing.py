"""Draws the frames between key frames: one batch of them at a time."""

import dataclasses
import functools
import itertools

import numpy as np

from tf_inbetween import interpolation
from tf_inbetween.config import InputError, lookup
from tf_inbetween.models import FusionVAE, LatentModel

_BATCH = 64
_BATCH_PIXELS = 2**20


def draw(model, first, second, count):
    """The `count` evenly spaced frames strictly between two frames.

    Args:
        model: of a run.
        first, second: float [H, W, C] in [0, 1].
        count: at least 1.

    Returns:
        float32 [count, H, W, C] in [0, 1].
    """
    _check_count(count)
    return model.path(first, second, np.linspace(0, 1, count + 2)[1:-1])


def draw_through(model, keys, count, path="linear", show="given"):
    """Draws `count` evenly spaced frames in every gap between key frames.

    Args:
        model: of a run.
        keys: as for `draw_at`, two at least.
        count: at least 1.
        path: as for `draw_at`.
        show: how to show the key frames: "given", as they are; "drawn", as the model draws them at
            t = 0 (a latent model reconstructs them, a `FusionVAE` copies them); "none", not at all.

    Yields:
        float32 [H, W, C] in [0, 1]: the frames in order.

    Raises:
        InputError: for fewer than one in-between, and as `draw_at`, on the first frame.
    """
    _check_count(count)
    steps = (step for step in itertools.count() if show != "none" or step % (count + 1))
    places = (step / (count + 1) for step in steps)
    yield from draw_at(model, keys, places, path, redraw=show == "drawn")


def draw_at(model, keys, places, path="linear", redraw=False, shots=(0,), alpha=False):
    """Draws frames at places along key frames.

    A latent model decodes the path through the latents of all keys. A `FusionVAE` fuses each frame
    from the two keys around it and the latent on that path.

    Args:
        model: of a run.
        keys: M frames, float [H, W, C] in [0, 1]; a list, or anything else that can be iterated
            over twice. One batch of them is held at a time.
        places: numbers from 0 to M-1, never falling: i is key i, and i + t lies at t between keys i
            and i+1. May be endless; places after the last key are dropped.
        path: how the latents are joined: a row of `interpolation.PATHS`.
        redraw: whether keys are shown as the model draws them; else as they are.
        shots: numbers of the keys that begin a shot, rising from 0. Paths end with their shot.
        alpha: whether the last channel of the keys is their opacity, and their colours are laid
            over white. The opacity of a frame between is the cross-fade of its two keys'.

    Yields:
        float32 [H, W, C] in [0, 1]: a frame for each place. With `alpha`, its colours are its own,
        no longer over white.

    Raises:
        InputError: for an unknown path or one that the model does not support, on the first frame.
    """
    colors = _Colors(keys) if alpha else keys
    draw_steps = _drawing(model, colors, path, redraw, np.asarray(shots))
    redraw = redraw and not isinstance(model, FusionVAE)  # It would draw them as they are.
    for batch in _batches_of(_steps(keys, places), _batch_size(colors), redraw):
        wanted = [step for step in batch if step.t or redraw]
        drawn = iter(draw_steps(wanted, alpha) if wanted else ())
        for step in batch:
            frame = next(drawn) if step.t or redraw else step.colors(alpha)[0]
            yield _with_opacity(frame, step) if alpha else frame


@dataclasses.dataclass(frozen=True)
class _Step:
    """One frame to draw: at `t` in [0, 1) from the key `first`, number `gap`, to `second`."""

    first: np.ndarray
    second: np.ndarray
    gap: int
    t: float

    def colors(self, alpha):
        return [key[..., :-1] if alpha else key for key in (self.first, self.second)]


class _Colors:
    """Key frames without their last channel."""

    def __init__(self, keys):
        self._keys = keys

    def __iter__(self):
        return (key[..., :-1] for key in self._keys)


def _check_count(count):
    if count < 1:
        raise InputError(f"{count} in-betweens: must be at least 1")


def _steps(keys, places):
    keys, gap = iter(keys), 0
    first, second = next(keys), next(keys, None)
    for place in places:
        while int(place) > gap and second is not None:
            first, second, gap = second, next(keys, None), gap + 1
        if second is None and place > gap:
            return
        yield _Step(first, first if second is None else second, gap, place - gap)


def _batches_of(steps, size, redraw):
    """Lists of steps, `size` of which are to be drawn; fewer, where many keys stand between."""
    batch, wanted = [], 0
    for step in steps:
        batch.append(step)
        wanted += bool(step.t or redraw)
        if wanted == size or len(batch) > 2 * size:
            yield batch
            batch, wanted = [], 0
    yield batch


def _drawing(model, keys, path, redraw, shots):
    """Returns a function of some `_Step`s, and whether keys have opacity, that draws them."""
    interpolate = lookup(interpolation.PATHS, path, "path")
    if not isinstance(model, LatentModel):
        _check_without_latents(path, redraw)
        return lambda steps, alpha: _draw_pairs(model, steps, alpha)
    if model.curve is not None:
        if path != "linear":
            raise InputError(
                f"--keyframe_path={path}: this model was trained with --latent_path=curved; "
                "--keyframe_path=linear follows its curve"
            )
        interpolate = functools.partial(interpolate, interpolate=model.interpolate_latents)
    size = _batch_size(keys)
    latents = np.concatenate(
        [model.encode(np.stack(batch)).mean().numpy() for batch in _batches(keys, size)]
    )
    draw_steps = _fuse if isinstance(model, FusionVAE) else _decode

    def draw_latents(steps, alpha):
        z_t = _along(interpolate, latents, np.float64([step.gap + step.t for step in steps]), shots)
        return draw_steps(model, steps, alpha, latents, z_t)

    return draw_latents


def _along(interpolate, latents, places, shots):
    """The latents at places [K] along latents [M, Z], each shot a path of its own: [K, Z]."""
    bounds = np.append(shots, len(latents))
    shot = np.searchsorted(bounds, places, side="right") - 1
    z_t = np.empty((len(places), latents.shape[1]), np.float32)
    for number in np.unique(shot):
        begin, end = bounds[number : number + 2]
        here = shot == number
        if end - begin > 1:
            z_t[here] = interpolate(latents[begin:end], places[here] - begin)
        else:
            z_t[here] = latents[begin]
    return z_t


def _decode(model, steps, alpha, latents, z_t):
    del alpha, latents
    return model.decode(z_t, steps[0].first.shape[:2]).numpy()


def _fuse(model, steps, alpha, latents, z_t):
    gaps = np.array([step.gap for step in steps])
    ends = latents[gaps], latents[np.minimum(gaps + 1, len(latents) - 1)]
    return model.fuse(*_ends(steps, alpha), *ends, z_t, _times(steps))["frame"].numpy()


def _draw_pairs(model, steps, alpha):
    return model.inbetween(*_ends(steps, alpha), _times(steps)).numpy()


def _ends(steps, alpha):
    return (np.stack(ends) for ends in zip(*(step.colors(alpha) for step in steps), strict=True))


def _times(steps):
    return np.float32([step.t for step in steps])


def _check_without_latents(path, redraw):
    if path != "linear":
        raise InputError(
            f"--keyframe_path={path}: this model has no latents; --keyframe_path=linear draws pairs"
        )
    if redraw:
        raise InputError("--redraw: this model has no latents and cannot redraw key frames")


def _with_opacity(frame, step):
    """A frame over white -> its own colours, and the opacity of the keys, cross-faded."""
    opacity = (1 - step.t) * step.first[..., -1:] + step.t * step.second[..., -1:]
    own = 1 - (1 - frame) / np.maximum(opacity, 1 / 255)
    return np.concatenate([np.clip(own, 0, 1), opacity], axis=-1, dtype=np.float32)


def _batch_size(keys):
    height, width = next(iter(keys)).shape[:2]
    return max(1, min(_BATCH, _BATCH_PIXELS // (height * width)))


def _batches(items, size):
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch
