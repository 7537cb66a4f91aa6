"""Training: steps against the same step in PyTorch, and `fit` against programs of the paper."""

import contextlib
import dataclasses
import tempfile
from pathlib import Path

from benchmarks.canonical import (
    ADAM_LEARNING_RATE,
    ROOT,
    batch_config,
    canonical_config,
    save_batches,
)
from benchmarks.child import Child
from benchmarks.keras_ours import PRECISIONS
from benchmarks.turns import take_turns
from tf_inbetween.kinds import KINDS
from tf_inbetween.training import choose_precision

BATCHES = (32, 128)


def measure(turns, seconds, batches=BATCHES):
    """Both comparisons at each batch size: {"groups", "findings"}."""
    groups = {}
    for batch in batches:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as children:
            config = batch_config(batch)
            data = str(Path(folder) / "batches.npz")
            save_batches(data, config)
            ours, twins, papers, plain = (
                children.enter_context(child) for child in _children(config, batch, data)
            )
            step = f"step, {_precision(config)}"
            same = f"the same step, {batch} frames a batch"
            groups[same] = _turns([ours, twins], step, turns, seconds)
            programs = f"whole programs, {batch} frames or triplets a batch"
            groups[programs] = _turns([ours, papers, plain], "fit", turns, seconds)
    return {"groups": groups, "findings": ratios(groups)}


def ratios(groups):
    """What the groups of `measure` say of the fastest rivals: {what: {"ratio", "quartiles"}}."""
    findings = {}
    for title, group in groups.items():
        for rival, kind in (("PyTorch", ""), ("PyTorch", "float32"), ("plain Keras", "")):
            rows = {
                name: row
                for name, row in group["rows"].items()
                if name.startswith(rival) and kind in name
            }
            if rows:
                best = min(rows, key=lambda name: rows[name]["ratio"])
                of = f"the fastest of {rival}, {kind}" if kind else f"the fastest of {rival}"
                findings[f"{title}: {group['base']} against {of} ({best})"] = {
                    "ratio": rows[best]["ratio"],
                    "quartiles": rows[best]["ratio_quartiles"],
                }
    return findings


def network_of(config):
    """The arguments of `benchmarks.torch_twin.Network`."""
    size, _, channels = KINDS["pictures"].frame_shape(config)
    return {
        "image_size": size,
        "channels": channels,
        "filters": list(config.filters),
        "dense_units": config.dense_units,
        "latent_dim": config.latent_dim,
    }


def paper_settings(units_per_frame=1.0):
    """The paper's training as in flags/teapot_paper.flags, its gaps in frames.

    The learning rate is Adam's.
    """
    config = canonical_config(ROOT / "flags/teapot_paper.flags", learning_rate=ADAM_LEARNING_RATE)
    names = ("alpha", "alpha_warmup_steps", "learning_rate", "learning_rate_warmup_steps")
    settings = {name: getattr(config, name) for name in (*names, "steps", "global_clipnorm")}
    gaps = {name: round(getattr(config, name) / units_per_frame) for name in ("min_gap", "max_gap")}
    return {**settings, **gaps}


def _children(config, batch, data):
    """One process for each program; a part that fails to start ends the measurement."""
    overrides = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != getattr(canonical_config(), field.name)
    }
    rows = [*(f"step, {precision}" for precision in PRECISIONS), "step, Muon", "fit"]
    yield Child("benchmarks.keras_ours", rows=rows, overrides=overrides, data=data)
    settings = {
        name: getattr(config, name)
        for name in (
            "alpha",
            "prior_weight",
            "inbetween_weight",
            "learning_rate",
            "global_clipnorm",
        )
    }
    settings["inbetweens"] = config.clips_per_batch * config.inbetweens_per_clip
    network = network_of(config)
    yield Child("benchmarks.torch_twin", data=data, network=network, settings=settings)
    yield Child(
        "benchmarks.torch_paper",
        data=data,
        batch=batch,
        network=network,
        settings=paper_settings(),
    )
    yield Child("benchmarks.keras_plain", data=data, batch=batch, network=network)


def _turns(children, base, turns, seconds):
    """The rows of some processes, the base first; of the first process its steps or its fit."""
    ours, *others = children
    kind = base.partition(",")[0]
    names = [base, *(name for name in ours.facts if name.startswith(kind) and name != base)]
    runs, triplets = ours.runs(*names), {name: ours.facts[name]["triplets"] for name in names}
    for child in others:
        runs |= child.runs()
        triplets |= {name: facts["triplets"] for name, facts in child.facts.items()}
    named = {name: f"tf_inbetween, {name}" if name in names else name for name in runs}
    results = take_turns(
        {named[name]: run for name, run in runs.items()},
        turns,
        seconds,
        {named[name]: count for name, count in triplets.items()},
    )
    return {"unit": "triplet", **results}


def _precision(config):
    return choose_precision(config.precision)
