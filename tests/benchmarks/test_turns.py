import re

import pytest

from benchmarks.turns import stolen_seconds, take_turns


class Host:
    """A fake clock; rivals take their seconds a step times how busy the host is."""

    def __init__(self):
        self.now, self.busy, self.order = 0.0, 1.0, []

    def rival(self, name, seconds, cpu):
        def run(steps):
            self.order.append((name, steps))
            self.now += seconds * steps * self.busy
            return cpu * steps

        return run

    def clock(self):
        return self.now


def test_rates_ratios_and_cpu_seconds_of_known_rivals():
    host = Host()
    rivals = {"base": host.rival("base", 0.01, 0.02), "slow": host.rival("slow", 0.03, 0.08)}
    results = take_turns(rivals, 5, 1.0, {"slow": 2}, clock=host.clock, stolen=lambda: host.now / 4)
    base, slow = results["rows"]["base"], results["rows"]["slow"]
    assert base["per_second"] == pytest.approx(100)
    assert base["cpu_ms"] == pytest.approx(20)
    assert base["steps_per_turn"] == pytest.approx(100, rel=0.02)
    assert slow["per_second"] == pytest.approx(2 / 0.03, rel=1e-3)  # A step is worth two.
    assert slow["ratio"] == pytest.approx(1.5)
    assert slow["ratio_quartiles"] == pytest.approx([1.5, 1.5])
    assert slow["cpu_ratio"] == pytest.approx(2.0)
    assert results["base"] == "base"
    assert 0 < results["steal_share"] <= 0.25


def test_every_turn_stands_between_two_of_the_base():
    host = Host()
    names = ("base", "a", "b")
    take_turns({n: host.rival(n, 0.5, 0) for n in names}, 3, 1.0, clock=host.clock)
    measured = [name for name, steps in host.order if steps == 2]
    assert measured[-13:] == ["base", *["a", "base", "b", "base"] * 3]


def test_a_host_that_grows_ever_busier_does_not_move_the_ratio():
    host = Host()
    runs = {name: host.rival(name, 0.01, 0) for name in ("base", "same")}

    def busier(name):
        def run(steps):
            host.busy *= 1.1
            return runs[name](steps)

        return run

    results = take_turns({n: busier(n) for n in runs}, 9, 1.0, clock=host.clock)
    rates = results["rows"]["base"]["quartiles"]
    assert rates[1] / rates[0] > 1.5
    assert results["rows"]["same"]["ratio"] == pytest.approx(1.0, abs=0.01)


def test_a_slow_rival_gets_one_step_a_turn():
    host = Host()
    results = take_turns({"base": host.rival("base", 60.0, 0)}, 1, 1.0, clock=host.clock)
    assert results["rows"]["base"]["steps_per_turn"] == 1
    assert results["rows"]["base"]["ratio"] == 1


def test_a_rival_that_fails_is_left_out_and_a_base_that_fails_is_an_error():
    host = Host()

    def broken(steps):
        raise RuntimeError("no compiler")

    results = take_turns(
        {"base": host.rival("base", 0.1, 0), "broken": broken}, 2, 1.0, clock=host.clock
    )
    assert results["failed"] == {"broken": "no compiler"}
    assert set(results["rows"]) == {"base"}
    with pytest.raises(RuntimeError, match="no compiler"):
        take_turns({"broken": broken}, 2, 1.0, clock=host.clock)


def test_stolen_seconds_never_fall():
    before = stolen_seconds()
    assert 0 <= before <= stolen_seconds()
    assert re.fullmatch(r"[0-9.]+", str(before))
