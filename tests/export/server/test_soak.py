"""Twenty seconds of benchmarks/soak.py; its ten minutes are a command of docs/serving.md."""

import pytest

from benchmarks import soak


@pytest.mark.slow
def test_twenty_seconds_of_full_load(exported):
    soaked = soak.soak(exported, clients=8, seconds=20)
    assert soaked["wrong"] == 0
    assert soaked["answered"] > 50
    assert soaked["refused"] > 0
    # The warm-up of so short a time is not over.
    assert soaked["growth_mib"] < 0.1 * soaked["warm_mib"]
