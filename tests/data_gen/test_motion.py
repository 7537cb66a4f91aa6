"""Lines, rotations, walls and chains against answers worked out by other means."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from data_gen import motion


def scipy_rotation(quaternions):
    return Rotation.from_quat(np.roll(quaternions, -1, axis=-1))


def test_line():
    path = motion.line([0.0, 350.0], [3.0, 370.0], 5)
    np.testing.assert_allclose(path, [[0, 350], [0.75, 355], [1.5, 360], [2.25, 365], [3, 370]])


@pytest.mark.parametrize("axis", "xyz")
def test_rotation_about_an_axis(axis):
    expected = Rotation.from_euler(axis, 33, degrees=True).as_matrix()
    np.testing.assert_allclose(motion.rotation(axis, 33), expected, atol=1e-15)


def test_quaternion_matrix():
    rng = np.random.default_rng(0)
    for _ in range(20):
        quaternion = motion.uniform_rotation(rng)
        expected = scipy_rotation(quaternion).as_matrix()
        np.testing.assert_allclose(motion.quaternion_matrix(quaternion), expected, atol=1e-14)


def test_placed_scales_then_rotates_then_moves():
    transform = motion.placed(motion.rotation("z", 90), (5, 0, 0), (2, 1, 1))
    np.testing.assert_allclose(transform @ [1, 0, 0, 1], [5, 2, 0, 1], atol=1e-12)


def test_slerp_at_even_pace():
    rng = np.random.default_rng(1)
    for _ in range(20):
        start, end = (rng.choice([-1, 1]) * motion.uniform_rotation(rng) for _ in range(2))
        path = motion.slerp(start, end, 9)
        np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 1)
        assert (np.einsum("ki,ki->k", path[1:], path[:-1]) > 0).all(), "no jump of sign"
        turns = scipy_rotation(path)
        steps = (turns[1:] * turns[:-1].inv()).as_rotvec()
        np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-12)
        assert np.linalg.norm(steps.sum(0)) <= np.pi + 1e-12, "the shorter way"
        ends = scipy_rotation(np.stack([start, end]))
        expected = Slerp([0, 1], ends)(np.linspace(0, 1, 9)).as_matrix()
        np.testing.assert_allclose(turns.as_matrix(), expected, atol=1e-7)
        middle = path[0] + path[-1]
        np.testing.assert_allclose(path[4], middle / np.linalg.norm(middle), atol=1e-12)


def test_slerp_from_a_rotation_to_itself():
    start = motion.uniform_rotation(np.random.default_rng(2))
    for end in (start, -start):
        np.testing.assert_allclose(motion.slerp(start, end, 5), np.tile(start, (5, 1)))


def kolmogorov(samples, distribution):
    """The largest distance between the samples' distribution and the one they should have."""
    values = distribution(np.sort(samples))
    steps = np.arange(len(samples) + 1) / len(samples)
    return max(np.abs(values - steps[1:]).max(), np.abs(values - steps[:-1]).max())


# The Dvoretzky-Kiefer-Wolfowitz bound for a false-alarm rate of 1e-6, of 4000 draws.
_DRAWS = 4000
_FURTHEST = np.sqrt(np.log(2 / 1e-6) / (2 * _DRAWS))


def distances_from_even(matrices):
    """Of the angle, (a - sin a) / pi, and of the height of each turned axis, even in [-1, 1]."""
    angle = np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1))
    return [
        kolmogorov(angle, lambda a: (a - np.sin(a)) / np.pi),
        *(kolmogorov(matrices[:, 2, k], lambda z: (z + 1) / 2) for k in range(3)),
    ]


def test_rotations_are_even():
    """False alarm: 4e-6 over seeds. Angles drawn evenly instead are told apart: miss below 1e-6."""
    rng = np.random.default_rng(3)
    drawn = np.stack([motion.uniform_rotation(rng) for _ in range(_DRAWS)])
    assert (drawn[:, 0] >= 0).all()
    even = np.stack([motion.quaternion_matrix(q) for q in drawn])
    assert max(distances_from_even(even)) < _FURTHEST
    angles = rng.uniform(0, 360, (_DRAWS, 3))
    uneven = Rotation.from_euler("zxz", angles, degrees=True).as_matrix()
    assert max(distances_from_even(uneven)) > 2 * _FURTHEST


def bounced(position, step, low, high):
    """Moves by a step no longer than the room, turning round at the walls."""
    position += step
    if position > high:
        return 2 * high - position, -step
    if position < low:
        return 2 * low - position, -step
    return position, step


def test_reflection_at_walls():
    low, high, step = -1.5, 2.0, 0.7
    for start, way in ((0.3, 1), (-1.2, -1), (2.0, 1)):
        position, velocity, expected = start, way * step, [start]
        for _ in range(40):
            position, velocity = bounced(position, velocity, low, high)
            expected.append(position)
        path = motion.reflect(start + way * step * np.arange(41), low, high)
        np.testing.assert_allclose(path, expected, atol=1e-12)


def test_reflection_keeps_the_pace():
    path = motion.reflect(np.linspace(-7, 9, 2001), 0.0, 1.0)
    steps = np.abs(np.diff(path))
    assert path.min() >= 0
    assert path.max() <= 1
    assert steps.max() == pytest.approx(0.008)
    assert (steps < 0.0079).sum() <= 16, "shorter only where a wall is met on the way"


def test_forward_kinematics():
    joints, headings = motion.forward_kinematics([0, 90, 90, -45], [1, 2, 3, 4])
    root = np.sqrt(8)
    np.testing.assert_allclose(
        joints, [[0, 0], [0, 1], [2, 1], [2, -2], [2 - -root, -2 - root]], atol=1e-12
    )
    np.testing.assert_allclose(headings, [0, 90, 180, 135])


def test_forward_kinematics_by_the_law_of_cosines():
    """The tip of two links is as far from the base as the angle between them says."""
    for bend in (-120.0, 10.0, 75.0):
        joints, _ = motion.forward_kinematics([33.0, bend], [2.0, 1.5])
        squared = 2.0**2 + 1.5**2 - 2 * 2.0 * 1.5 * np.cos(np.radians(180 - bend))
        assert joints[2] @ joints[2] == pytest.approx(squared)
