"""Paths through latents, against what is known of them."""

import numpy as np
import pytest
import tensorflow as tf

from tf_inbetween import interpolation
from tf_inbetween.interpolation import PATHS, catmull_rom, piecewise_linear

RNG = np.random.default_rng(0)
KEYS = RNG.normal(size=(6, 3)).astype(np.float32)


@pytest.mark.parametrize("name", PATHS)
def test_every_path_goes_through_all_latents(name):
    np.testing.assert_allclose(PATHS[name](KEYS, np.arange(6.0)), KEYS, atol=1e-6)


@pytest.mark.parametrize("name", PATHS)
def test_two_latents_are_joined_by_the_straight_line(name):
    t = np.linspace(0, 1, 9)
    expected = interpolation.lerp(KEYS[:1], KEYS[1:2], tf.constant(t))
    np.testing.assert_allclose(PATHS[name](KEYS[:2], t), expected, atol=1e-6)


@pytest.mark.parametrize("name", PATHS)
def test_latents_on_a_line_at_an_even_pace_stay_on_it(name):
    keys = np.arange(5.0, dtype=np.float32)[:, None] * [[1, -2, 0.5]] + 3
    t = np.linspace(0, 4, 41)
    np.testing.assert_allclose(PATHS[name](keys, t), t[:, None] * [[1, -2, 0.5]] + 3, atol=1e-5)


def test_slerp_has_exact_ends_and_keeps_the_norm_on_a_sphere():
    z0, z2 = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (KEYS[:3], KEYS[3:]))
    for t in np.linspace(0, 1, 9, dtype=np.float32):
        norms = np.linalg.norm(interpolation.slerp(5 * z0, 5 * z2, [t] * 3), axis=1)
        np.testing.assert_allclose(norms, 5, rtol=1e-5)
    # Also of latents of different norms.
    np.testing.assert_array_equal(interpolation.slerp(KEYS[:3], KEYS[3:], [0.0] * 3), KEYS[:3])
    np.testing.assert_array_equal(interpolation.slerp(KEYS[:3], KEYS[3:], [1.0] * 3), KEYS[3:])


def test_slerp_turns_at_an_even_pace():
    z0, z2 = np.float32([[2, 0]]), np.float32([[0, 2]])
    for t, angle in ((0.25, 22.5), (0.5, 45), (0.75, 67.5)):
        expected = [[2 * np.cos(np.deg2rad(angle)), 2 * np.sin(np.deg2rad(angle))]]
        np.testing.assert_allclose(interpolation.slerp(z0, z2, [t]), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("z0", "z2"),
    [
        ([1.0, 2.0], [3.0, 6.0]),  # parallel
        ([1.0, 2.0], [1.0, 2.0]),  # equal
        ([1.0, 2.0], [-2.0, -4.0]),  # opposite
        ([0.0, 0.0], [1.0, 2.0]),
        ([1.0, 2.0], [0.0, 0.0]),
        ([0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_slerp_where_there_is_no_circle_is_the_straight_line(z0, z2):
    z0, z2 = tf.constant([z0]), tf.constant([z2])
    for t in (0.0, 0.25, 1.0):
        expected = interpolation.lerp(z0, z2, tf.constant([t]))
        np.testing.assert_allclose(interpolation.slerp(z0, z2, [t]), expected, atol=1e-6)


@pytest.mark.parametrize("angle", [1e-3, 1e-4, 1e-5, np.pi - 1e-3, np.pi - 1e-5])
def test_slerp_of_almost_parallel_and_almost_opposite_latents_is_finite(angle):
    z0, z2 = np.float32([[1, 0]]), np.float32([[np.cos(angle), np.sin(angle)]])
    z = interpolation.slerp(z0, z2, [0.5]).numpy()
    assert np.all(np.abs(z) < 1.01)
    if angle < 1:
        np.testing.assert_allclose(z, [[1, angle / 2]], atol=1e-6)


def test_the_straight_lines():
    keys = np.float32([[0, 0], [2, 4], [2, 0]])
    path = piecewise_linear(keys, [0.25, 1.0, 1.75])
    np.testing.assert_allclose(path, [[0.5, 1], [2, 4], [2, 1]])


def test_catmull_rom_by_its_matrix():
    """Between p1 and p2: [1 u u2 u3] times the basis matrix of the literature times p0 … p3."""
    basis = 0.5 * np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]])
    for u in (0.0, 0.1, 0.5, 0.9):
        expected = np.array([1, u, u**2, u**3]) @ basis @ KEYS[1:5]
        np.testing.assert_allclose(catmull_rom(KEYS, [2 + u])[0], expected, atol=1e-6)


def test_catmull_rom_repeats_a_parabola_off_its_ends():
    keys = (np.arange(6.0, dtype=np.float32) ** 2)[:, None]
    t = np.linspace(1, 4, 31)
    np.testing.assert_allclose(catmull_rom(keys, t)[:, 0], t**2, atol=1e-5)


def test_catmull_rom_has_no_kink_and_straight_lines_do():
    keys, step = KEYS.astype(np.float64), 1e-4
    for key in range(1, 5):
        for path, smooth in ((catmull_rom, True), (piecewise_linear, False)):
            before, at, after = path(keys, [key - step, key, key + step]).numpy()
            bend = np.abs((after - at) / step - (at - before) / step).max()
            assert (bend < 0.01) == smooth


def test_a_point_of_the_spline_depends_on_four_latents():
    other = KEYS.copy()
    other[5] += 100
    t = np.linspace(0, 3, 20)
    np.testing.assert_array_equal(catmull_rom(KEYS, t), catmull_rom(other, t))
    assert np.abs(catmull_rom(KEYS, [3.5]) - catmull_rom(other, [3.5])).max() > 1
