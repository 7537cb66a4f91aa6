"""That the rows of the speed page about footage run, and take turns."""

import pytest

from benchmarks import frame_sizes
from tf_inbetween.evaluation import baselines


@pytest.mark.slow
def test_every_row_runs_and_its_memory_is_known():
    measured = frame_sizes.measure(turns=1, seconds=0.1, drawn=("160x136",), trained=("160x136",))
    drawn, trained = measured["groups"].values()
    assert list(drawn["rows"]) == ["fusion model", "DIS medium", "DIS of the evaluation (finer)"]
    assert list(trained["rows"]) == ["160x136"]
    for group in (drawn, trained):
        assert not group["failed"]
        assert all(row["memory_mib"] > 100 for row in group["rows"].values())
    assert len(measured["findings"]) == 2


def test_the_pair_is_one_picture_moved():
    first, second = frame_sizes.pair("64x48")
    assert first.shape == second.shape == (48, 64, 3)
    middle = (first[:, 2:-2], second[:, 2:-2])
    assert abs(baselines.crossfade(*middle, 0.5) - first[:, 2:-2]).max() > 0.1
    assert (second[:, 4:] == first[:, :-4]).all()
