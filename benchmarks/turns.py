"""Rates of rivals, measured in short turns so that what else the host does falls on all alike.

One rival is the base. The turns go base, a, base, b, base, a, base, …: every turn of another rival
stands between two of the base, and is compared with the mean of these two. Single rates move with
the load of the host; the medians of such ratios hold.
"""

import os
import time
from pathlib import Path

import numpy as np


def take_turns(rivals, turns, seconds, amounts=None, clock=time.perf_counter, stolen=None):
    """Warms up, then lets the rivals take turns.

    Args:
        rivals: {name: run}; `run(n)` does n steps and returns the CPU seconds that they took. The
            first is the base. One whose warm-up raises `RuntimeError` is left out.
        turns: of each rival; the base takes more.
        seconds: of a turn, about; a turn has at least one step.
        amounts: {name: what one step is worth}, such as triplets; default: 1 each.
        clock: the wall, in seconds.
        stolen: as `stolen_seconds`, which is the default.

    Returns:
        "base", "turns", "seconds"; "steal_share": of all cores, what the host took for others;
        "failed": {name: why}; "rows": {name: row} with the medians over the turns

            per_second, quartiles   of the amount
            cpu_ms                  CPU milliseconds an amount of 1
            ratio, ratio_quartiles  the base's rate by this one's, turn by turn: above 1 where the
                                    base is faster
            cpu_ratio               this one's CPU time for the same amount by the base's
            steps_per_turn

    Raises:
        RuntimeError: if the base fails.
    """
    stolen = stolen or stolen_seconds
    amounts = {**dict.fromkeys(rivals, 1), **(amounts or {})}
    base, *others = rivals
    steps, failed = {}, {}
    for name, run in rivals.items():
        try:
            steps[name] = _warm_up(run, seconds, clock)
        except RuntimeError as error:
            if name == base:
                raise
            failed[name] = str(error)
    others = [name for name in others if name in steps]

    taken = {name: [] for name in steps}
    neighbours = {name: [] for name in others}

    def turn(name):
        begin = clock()
        cpu = rivals[name](steps[name])
        amount = steps[name] * amounts[name]
        taken[name].append((amount / (clock() - begin), cpu / amount))
        return taken[name][-1]

    begin, stolen_before = clock(), stolen()
    before = turn(base)
    for _ in range(turns):
        for name in others:
            own, after = turn(name), turn(base)
            neighbours[name].append((own, np.mean([before, after], axis=0)))
            before = after
        if not others:
            turn(base)
    steal = (stolen() - stolen_before) / ((clock() - begin) * os.cpu_count())

    rows = {}
    for name, parts in taken.items():
        rates, cpu = np.transpose(parts)
        rows[name] = {
            "per_second": _rounded(np.median(rates)),
            "quartiles": _quartiles(rates),
            "cpu_ms": _rounded(1e3 * np.median(cpu)),
            "ratio": 1.0,
            "ratio_quartiles": [1.0, 1.0],
            "cpu_ratio": 1.0,
            "steps_per_turn": steps[name],
        }
        if name in neighbours:
            own, beside = np.moveaxis(np.array(neighbours[name]), 1, 0)
            ratios = beside[:, 0] / own[:, 0]
            rows[name]["ratio"] = _rounded(np.median(ratios))
            rows[name]["ratio_quartiles"] = _quartiles(ratios)
            used = own[:, 1] / np.maximum(beside[:, 1], 1e-12)
            rows[name]["cpu_ratio"] = _rounded(np.median(used))
    return {
        "base": base,
        "turns": turns,
        "seconds": seconds,
        "steal_share": round(max(steal, 0.0), 3),
        "failed": failed,
        "rows": rows,
    }


def ratio_of(row):
    """The finding of one of the rows of `take_turns`: its ratio to the base, with quartiles."""
    return {"ratio": row["ratio"], "quartiles": row["ratio_quartiles"]}


def stolen_seconds():
    """CPU seconds that the host took from this machine for others, since it started.

    0 where there is no /proc/stat.
    """
    try:
        return int(Path("/proc/stat").read_text().split()[8]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


def _warm_up(run, seconds, clock):
    """Runs a step, which may compile, then more and more; returns the steps of a turn."""
    run(1)
    steps = 1
    while True:
        begin = clock()
        run(steps)
        taken = clock() - begin
        if taken >= seconds / 4:
            return max(round(steps * seconds / taken), 1)
        # Rates still rise in a warm-up: never more than eight times as many at once.
        steps = max(2 * steps, min(8 * steps, int(steps * seconds / (2 * taken + 1e-9))))


def _quartiles(values):
    return [_rounded(value) for value in np.quantile(values, [0.25, 0.75])]


def _rounded(value):
    """To four digits."""
    return float(f"{value:.4g}")
