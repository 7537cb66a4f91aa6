"""Time to quality: minutes from the first step to the bar, here and by the paper's PyTorch program.

The bar: the mean squared error of in-betweens at 60°, t = 1/2, on the validation clip. Both
programs train in turns, and only their steps are timed, not the judging. The slower one stops at
`_LIMIT` times the minutes of the other, its bar not reached. Compiling is part of neither.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import keras_ours
from benchmarks.canonical import canonical_config, save_batches
from benchmarks.child import Child
from benchmarks.training import network_of, paper_settings
from benchmarks.turns import stolen_seconds
from tf_inbetween.clips import prepare

BAR = 1e-4  # flags/study/teapot.flags ends at 0.8e-4 on test frames.
_GAP, _PAIRS, _BATCH, _LIMIT = 60, 60, 32, 5
_PAPER = "compiled, bfloat16, channels-last"  # The fastest, see benchmarks.training.


def measure(turns, seconds, bar=BAR, steps=200, paper=_PAPER):
    """Trains both to the bar; a turn is `steps` of ours, whatever `turns` and `seconds`.

    The steps of the paper's program in a turn are those that take as long.
    """
    del turns, seconds
    config = canonical_config()
    steal, began = stolen_seconds(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        data, judged = (str(Path(folder) / name) for name in ("batches.npz", "judged.npz"))
        save_batches(data, config)
        save_pairs(judged, config)
        given = {"batch": _BATCH, "network": network_of(config), "settings": paper_settings()}
        with (
            Child("benchmarks.quality", judged=judged) as ours,
            Child(
                "benchmarks.torch_paper", data=data, judged=judged, variants=[paper], **given
            ) as theirs,
        ):
            programs = {"flags/study/teapot.flags": ours, f"PyTorch, the paper, {paper}": theirs}
            raced = race(programs, bar, config.steps, steps)
    wall = time.monotonic() - began
    return {
        "bar_mse": bar,
        "programs": raced,
        "steal_share": round((stolen_seconds() - steal) / wall, 3),
        "groups": {},
        "findings": {
            **{
                f"minutes to an in-between MSE of {bar:g} at 60°, {name}": (
                    round(program["seconds"] / 60, 2)
                    if program["reached"]
                    else "not reached in "
                    f"{program['seconds'] / 60:.1f}, at {program['mse']:.3g} then"
                )
                for name, program in raced.items()
            },
            "time to the bar, as a share of that of the paper's program in PyTorch": _share(raced),
        },
    }


def _share(results):
    """The first program's time by the second's, which may have been stopped before the bar."""
    ours, theirs = results.values()
    if not ours["reached"]:
        return "the bar was not reached"
    share = ours["seconds"] / theirs["seconds"]
    return round(share, 3) if theirs["reached"] else f"less than {share:.2g} (it was stopped there)"


def race(programs, bar, most_steps, steps, clock=time.perf_counter):
    """Lets programs train in turns until each is at the bar or has had its time.

    Args:
        programs: {name: child} with the row "judge", whose value is an error, and a row of steps.
        bar: the error to reach.
        most_steps: of the first program.
        steps: of the first program in a turn; the others' turns take as long.
        clock: the wall, in seconds.

    Returns:
        {name: {"reached", "seconds", "steps", "mse", "history": [[seconds, mse], …]}}
    """
    states = {}
    for name, child in programs.items():
        (row,) = (row for row in child.facts if row != "judge")
        child.run(row, 1)  # Compiles.
        worth = child.facts[row]["steps"]
        state = {"reached": False, "seconds": 0.0, "steps": worth, "mse": None, "history": []}
        states[name] = state, row, worth
    first = next(iter(programs))
    turn_seconds = None
    while True:
        for name, child in programs.items():
            state, row, worth = states[name]
            if state["reached"] or _out_of_time(states, name, first, most_steps):
                continue
            calls = max(steps // worth, 1)
            begin = clock()
            if name == first or turn_seconds is None:
                child.run(row, calls)
                turn_seconds = clock() - begin
                done = calls
            else:
                done = 0
                while clock() < begin + turn_seconds:
                    child.run(row, max(calls // 20, 1))
                    done += max(calls // 20, 1)
            state["seconds"] += clock() - begin
            state["steps"] += done * worth
            child.run("judge", 1)
            state["mse"] = child.values["judge"]
            state["reached"] = state["mse"] <= bar
            state["history"].append([round(state["seconds"], 1), state["mse"]])
        if all(
            state["reached"] or _out_of_time(states, name, first, most_steps)
            for name, (state, *_) in states.items()
        ):
            return {name: state for name, (state, *_) in states.items()}


def _out_of_time(states, name, first, most_steps):
    state, leader = states[name][0], states[first][0]
    if name == first:
        return state["steps"] >= most_steps
    ended = leader["reached"] or leader["steps"] >= most_steps
    return ended and state["seconds"] >= _LIMIT * leader["seconds"]


def save_pairs(path, config):
    """Writes pairs of validation frames 60° apart, and the middle ones: uint8 [60, H, W, C]."""
    (clip,) = prepare(config).load("validation")
    gap = round(_GAP / clip.units_per_frame)
    first = np.arange(_PAIRS) * clip.length // _PAIRS
    places = {"first": first, "middle": first + gap // 2, "second": first + gap}
    np.savez(path, **{name: clip.frames[p % clip.length] for name, p in places.items()})


def rivals(judged):
    """Steps of flags/study/teapot.flags from its own pipeline, and the judge of the same model."""
    import keras
    import tensorflow as tf

    from tf_inbetween.models import to_float
    from tf_inbetween.training import build_model

    config = canonical_config()
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    model = build_model(config)
    model.make_train_function()
    iterator = iter(keras_ours.pipeline(config))
    with np.load(judged) as saved:
        frames = {name: to_float(saved[name]) for name in saved.files}

    def train(calls):
        for _ in range(calls):
            logs = model.train_function(iterator)
        logs["loss"].numpy()

    def judge(_):
        drawn = model.inbetween(frames["first"], frames["second"], tf.fill([_PAIRS], 0.5))
        return float(tf.reduce_mean((drawn - frames["middle"]) ** 2))

    return {
        "train": (train, keras_ours.facts(config, config.steps_per_execution)),
        "judge": (judge, {}),
    }
