"""The roof: how fast this machine multiplies matrices, and what share of that a step reaches."""

import tempfile
from pathlib import Path

import tensorflow as tf

from benchmarks import flops, keras_ours
from benchmarks.canonical import canonical_config, save_batches
from benchmarks.child import Child
from benchmarks.turns import take_turns
from tf_inbetween.training import build_model, choose_precision

SIZES = (1024, 2048, 4096)
_PARTS = ("forward", "forward and backward", "step, one a call", "fit, prepared batches", "fit")


def measure(turns, seconds):
    """Matrix products and steps, then a step in parts and by kind of operation."""
    config = canonical_config()
    steps = flops.training_step(build_model(config), config)
    precision = choose_precision(config.precision)
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "batches.npz")
        save_batches(data, config)
        with Child("benchmarks.roof", data=data) as child:
            worth = {name: facts.get("flops", steps) for name, facts in child.facts.items()}
            worth = {n: w * child.facts[n].get("steps", 1) / 1e9 for n, w in worth.items()}
            products = [name for name in child.facts if name.startswith("product")]
            roof = take_turns(child.runs("step", *products), turns, seconds, worth)
            calls = {name: child.facts[name]["steps"] for name in ("step", *_PARTS)}
            parts = take_turns(child.runs("step", *_PARTS), turns, seconds, calls)
            child.run("profile", 1)
            kinds = child.values["profile"]
    return {
        "groups": {
            "a step of flags/study/teapot.flags against matrix products": {"unit": "GFLOP", **roof},
            "the parts of a step": {"unit": "step", **parts},
        },
        "findings": {
            "counted GFLOP a step": round(steps / 1e9, 2),
            "counted GFLOP a triplet": round(
                steps / config.clips_per_batch / config.triplets_per_clip / 1e9, 4
            ),
            **shares(roof, precision),
            **where_it_goes(kinds),
        },
    }


def shares(roof, precision):
    """The step's share of the best product in each precision: {what: {"ratio", "quartiles"}}."""
    findings = {}
    for kind in ("float32", "bfloat16"):
        rows = {n: row for n, row in roof["rows"].items() if n.startswith(f"product, {kind}")}
        best = min(rows, key=lambda name: rows[name]["ratio"])
        used = " (the precision in use)" if kind in precision else ""
        findings[f"share of the roof of {kind}{used}, {best}"] = {
            "ratio": rows[best]["ratio"],
            "quartiles": rows[best]["ratio_quartiles"],
        }
    return findings


def where_it_goes(kinds):
    """Shares of the time spent inside operations, the largest first."""
    total = sum(kinds.values())
    ordered = sorted(kinds.items(), key=lambda item: -item[1])
    return {f"of the time in operations: {kind}": round(s / total, 3) for kind, s in ordered}


def rivals(data):
    """Products of square matrices, and the rows of `benchmarks.keras_ours`."""
    rows = ["step", *_PARTS, "profile"]
    return {**keras_ours.rivals(rows, {}, data), **_products()}


def _products():
    rows = {}
    for kind in ("float32", "bfloat16"):
        for size in SIZES:
            a, b = (tf.cast(tf.random.normal([size, size]), kind) for _ in range(2))
            rows[f"product, {kind}, {size} x {size}"] = _product(a, b), {"flops": 2 * size**3}
    return rows


def _product(a, b):
    multiply = tf.function(tf.matmul)

    def run(steps):
        for _ in range(steps):
            product = multiply(a, b)
        product[0, 0].numpy()

    return run
