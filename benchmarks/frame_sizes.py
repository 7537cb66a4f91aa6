"""Footage at its own size: time and memory of drawing a frame between two, and of a training step.

The weights are those of an untrained model of flags/footage.flags: neither depends on them.
"""

import numpy as np
import PIL.Image

from benchmarks.canonical import ROOT, canonical_config, synthetic_batch
from benchmarks.child import children_take_turns
from benchmarks.turns import ratio_of
from frame_io.sizes import Size

DRAWN, TRAINED = ("256", "640x360"), ("128", "256", "640x360")
_BASE = "fusion model"


def measure(turns, seconds, drawn=DRAWN, trained=TRAINED):
    """A frame between two by the model and by optical flow; steps on ever larger frames."""
    groups, findings = {}, {}
    for size in drawn:
        title = f"1 frame between one pair of {size}"
        settings = {name: {"kind": name, "size": size} for name in (_BASE, *_FLOWS)}
        groups[title] = {"unit": "frame", **_turns(settings, turns, seconds)}
        for name in _FLOWS:
            if name in groups[title]["rows"]:
                finding = ratio_of(groups[title]["rows"][name])
                findings[f"{title}: {_BASE} against {name}"] = finding
    settings = {size: {"kind": "step", "size": size} for size in trained}
    steps = "steps on parts of 128x128 of ever larger frames"
    groups[steps] = {"unit": "step", **_turns(settings, turns, seconds)}
    return {"groups": groups, "findings": findings}


def _turns(settings, turns, seconds):
    return children_take_turns("benchmarks.frame_sizes", settings, turns, seconds)


def footage_config(size):
    """The `Config` of flags/footage.flags for frames of a size."""
    return canonical_config(ROOT / "flags" / "footage.flags", image_size=Size.of(size))


def pair(size):
    """A picture and the same moved by 4 pixels, floats in [0, 1], [H, W, 3]."""
    height, width = Size.of(size)
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    picture = PIL.Image.fromarray(noise).resize((width, height), PIL.Image.Resampling.BICUBIC)
    frame = np.asarray(picture, np.float32) / 255
    return frame, np.roll(frame, 4, axis=1)


def rivals(kind, size):
    """The one row of a kind: {kind: (run, facts)}."""
    if kind == "step":
        from benchmarks import keras_ours

        return {kind: _steps(keras_ours, footage_config(size))}
    draw = _FLOWS[kind] if kind in _FLOWS else _model(size)
    first, second = pair(size)

    def run(steps):
        for _ in range(steps):
            draw(first[np.newaxis], second[np.newaxis])

    return {kind: (run, {})}


def _steps(keras_ours, config):
    import tensorflow as tf

    batch = tf.data.Dataset.from_tensors(synthetic_batch(config, config.image_size)).repeat()
    return keras_ours.train_steps(config, batch)


def _model(size):
    from tf_inbetween.training import build_model

    model, half = build_model(footage_config(size)), np.full(1, 0.5, np.float32)
    return lambda first, second: model.inbetween(first, second, half).numpy()


def _flow(finest_scale):
    def draw(first, second):
        from tf_inbetween.evaluation import baselines

        return baselines.optical_flow(first, second, 0.5, finest_scale)

    return draw


_FLOWS = {"DIS medium": _flow(1), "DIS of the evaluation (finer)": _flow(0)}
