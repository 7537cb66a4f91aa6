"""Whether the soak's judgement tells a leak from noise and from a warm-up."""

import numpy as np
import pytest

from benchmarks import soak

SECONDS = 600


def samples(rise_mib=0.0, warm_up_mib=0.0):
    """600 samples around 800 MiB with noise, a leak of so much, and so much that only warms up."""
    t = np.linspace(0, 1, SECONDS)
    noise = np.random.default_rng(0).normal(0, 4, SECONDS)
    return (800 + rise_mib * t + warm_up_mib * np.minimum(1, t / 0.3) + noise).tolist()


@pytest.mark.parametrize("warm_up_mib", [0, 300])
def test_noise_and_a_warm_up_are_flat(warm_up_mib):
    verdict = soak.judge(samples(warm_up_mib=warm_up_mib), SECONDS)
    assert verdict["flat"]
    assert abs(verdict["growth_mib"]) < 3
    assert verdict["last_mib"] == pytest.approx(800 + warm_up_mib, abs=3)


@pytest.mark.parametrize("rise_mib", [40, 400])
def test_a_leak_is_not(rise_mib):
    verdict = soak.judge(samples(rise_mib), SECONDS)
    assert not verdict["flat"]
    assert verdict["growth_mib"] == pytest.approx(rise_mib * 2 / 3, abs=3)
    assert verdict["mib_per_hour"] == pytest.approx(rise_mib * 6, rel=0.2)


def test_memory_that_shrinks_is_flat():
    assert soak.judge(samples(-100), SECONDS)["flat"]
