"""Where footage is cut into shots."""

import numpy as np
import pytest

from frame_io import shots


def frames_of(values):
    return [(i, np.full((2, 2, 1), value, np.uint8)) for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "cuts"),
    [
        ([10, 11, 12, 13, 200, 201, 202, 203], [4]),
        ([0, 40, 80, 120, 160, 200, 240], []),  # Fast, but even.
        ([10] * 5 + [24] * 5, []),  # Below the threshold.
        ([10] * 5 + [25] * 5, [5]),
        ([10, 200], [1]),
        ([10, 10, 200, 200, 10, 10], [2, 4]),
        ([10], []),
        ([], []),
    ],
)
def test_cuts_between_shots(values, cuts):
    frames = list(shots.marked(frames_of(values), 15))
    assert [frame[0] for _, frame in frames] == list(range(len(values)))
    assert [frame[0] for begins, frame in frames if begins] == cuts
    assert not any(begins for begins, _ in shots.marked(frames_of(values), 0))
