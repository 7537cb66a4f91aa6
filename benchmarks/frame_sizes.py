"""Footage at its own size: time and memory of drawing a frame between two, and of a training step.

The weights are those of an untrained model of flags/footage.flags: neither depends on them.
"""

import contextlib

import numpy as np
import PIL.Image

from benchmarks.canonical import ROOT, canonical_config, synthetic_batch
from benchmarks.child import Child
from benchmarks.turns import take_turns
from frame_io.sizes import Size

DRAWN, TRAINED = ("256", "640x360"), ("128", "256", "640x360")
_BASE = "fusion model"


def measure(turns, seconds, drawn=DRAWN, trained=TRAINED):
    """A frame between two by the model and by optical flow; steps on ever larger frames."""
    groups, findings = {}, {}
    for size in drawn:
        with contextlib.ExitStack() as stack:
            children = {
                name: stack.enter_context(Child("benchmarks.frame_sizes", kind=name, size=size))
                for name in (_BASE, *_FLOWS)
            }
            results = _turns(children, turns, seconds)
        title = f"1 frame between one pair of {size}"
        groups[title] = {"unit": "frame", **results}
        for name, row in results["rows"].items():
            if name in _FLOWS:
                findings[f"{title}: {_BASE} against {name}"] = {
                    "ratio": row["ratio"],
                    "quartiles": row["ratio_quartiles"],
                }
    with contextlib.ExitStack() as stack:
        children = {
            size: stack.enter_context(Child("benchmarks.frame_sizes", kind="step", size=size))
            for size in trained
        }
        steps = "steps on parts of 128x128 of ever larger frames"
        groups[steps] = {"unit": "step", **_turns(children, turns, seconds)}
    return {"groups": groups, "findings": findings}


def _turns(children, turns, seconds):
    runs = {name: next(iter(child.runs().values())) for name, child in children.items()}
    results = take_turns(runs, turns, seconds)
    for name, row in results["rows"].items():
        row["memory_mib"] = children[name].memory_mib
    return results


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
