"""The input pipeline: how fast it is alone, and what of a training step is spent on it."""

import numpy as np

from benchmarks import keras_ours
from benchmarks.canonical import canonical_config
from benchmarks.child import Child
from benchmarks.turns import take_turns

CACHES = ("memory", "none")


def measure(turns, seconds):
    """The pipeline alone from memory and from disk, and the wait inside training steps."""
    config = canonical_config()
    frames = config.clips_per_batch * config.frames_per_clip
    groups, waited = {}, {}
    with Child("benchmarks.input_pipeline") as alone:
        groups["the pipeline alone"] = {
            "unit": "frame",
            **take_turns(alone.runs(), turns, seconds, dict.fromkeys(CACHES, frames)),
        }
    for cache in CACHES:
        with Child("benchmarks.keras_ours", rows=["waits"], overrides={"cache": cache}) as child:
            child.run("waits", 5)
            steps = max(round(seconds * 10), 5)
            shares = []
            for _ in range(turns):
                child.run("waits", steps)
                shares.append(child.values["waits"])
            waited[f"share of a step spent waiting for its batch, {cache}"] = {
                "ratio": round(float(np.median(shares)), 4),
                "quartiles": [round(float(q), 4) for q in np.quantile(shares, [0.25, 0.75])],
            }
    return {"groups": groups, "findings": waited}


def rivals():
    """Batches of flags/study/teapot.flags, drawn and thrown away; from memory and from disk."""
    return {cache: (_drawing(cache), {}) for cache in CACHES}


def _drawing(cache):
    iterator = iter(keras_ours.pipeline(canonical_config(cache=cache)))

    def run(steps):
        for _ in range(steps):
            next(iterator)

    return run
