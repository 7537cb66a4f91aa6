"""Which frames are key frames, and where between them the frames of a result lie."""

from fractions import Fraction

import numpy as np
import pytest

from tf_inbetween import timeline

FPS = 24


def frames_of(levels, size=16):
    return [np.full((size, size, 3), level / 255, np.float32) for level in levels]


def look_through(levels, **settings):
    return timeline.look_through(frames_of(levels), np.arange(len(levels)) / FPS, **settings)


@pytest.mark.parametrize(
    ("levels", "keys", "held", "shots", "redrawn"),
    [
        ([0, 10, 20, 30], [0, 1, 2, 3], [], [0], 0),
        ([0, 5, 10, 200, 205, 210], [0, 1, 2, 3, 4, 5], [2], [0, 3], 0),  # A cut.
        ([0, 0, 30, 30, 60, 60, 90], [0, 2, 4, 6], [], [0], 3),  # On twos.
        ([0, 0, 0, 30, 30, 30, 60], [0, 3, 6], [], [0], 4),  # On threes.
        ([0, 20, 40, 40, 60, 80], [0, 1, 2, 4, 5], [], [0], 1),  # A converter's.
        ([0, 20, *[40] * 9, 60, 80], [0, 1, 2, 10, 11, 12], [2], [0], 0),  # A still scene.
        ([0, 0, 20, 20, 220, 220, 240, 240], [0, 2, 4, 6, 7], [1, 3], [0, 2], 2),  # Twos and a cut.
        ([0, 20, 40, 40], [0, 1, 2, 3], [2], [0], 0),  # Nothing comes to be drawn towards.
        ([7] * 8, [0, 7], [0], [0], 0),
    ],
)
def test_key_frames(levels, keys, held, shots, redrawn):
    seen = look_through(levels)
    assert seen.keys.tolist() == keys
    assert np.flatnonzero(seen.is_held).tolist() == held
    assert seen.shots.tolist() == shots
    assert seen.redrawn == redrawn


def test_repeated_frames_may_be_kept():
    seen = look_through([0, 0, 30, 30, 200], redraw=False)
    assert seen.keys.tolist() == [0, 1, 2, 3, 4]
    assert seen.shots.tolist() == [0, 4]


def test_a_repetition_of_a_codec_is_told_from_slow_motion():
    rng = np.random.default_rng(0)
    scene = rng.integers(40, 200, (64, 64, 3))

    def moved(pixels, by):
        return (np.roll(scene, pixels, axis=1) + rng.integers(-by, by + 1, scene.shape)) / 255

    twos = [moved(2 * (i // 2), 3) for i in range(12)]
    times = np.arange(12) / FPS
    assert timeline.look_through(twos, times).keys.tolist() == [0, 2, 4, 6, 8, 10, 11]
    slow = frames_of(3 * np.arange(12), 64)  # 3 of 255 from each to the next.
    assert timeline.look_through(slow, times).keys.tolist() == list(range(12))


def test_a_change_of_one_small_thing_is_no_repetition():
    frames = np.full((6, 64, 64, 3), 0.4, np.float32)
    for i, frame in enumerate(frames):
        frame[30:34, 4 * i : 4 * i + 4] = 0.6
    assert timeline.look_through(frames, np.arange(6) / FPS).keys.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("shape", [(16, 24, 3), (17, 30, 4), (8, 5, 1)])
def test_the_difference_is_that_of_the_block_that_differs_most(shape):
    one, other = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    apart = np.abs(one.astype(int) - other)
    blocks = [
        apart[y : y + 8, x : x + 8].mean()
        for y in range(0, shape[0], 8)
        for x in range(0, shape[1], 8)
    ]
    assert timeline.difference(one, other) == pytest.approx(max(blocks))


def test_places_from_24_to_60_frames_a_second():
    seen = look_through(range(0, 80, 10))
    places = seen.places(np.arange(8) / FPS, Fraction(1, 60), 8 / FPS)
    expected = np.minimum(np.arange(20) * Fraction(24, 60), 7).astype(float)
    np.testing.assert_allclose(places, expected, atol=1e-12)
    assert places[5] == 2  # A key itself, and not t = 1e-16 beside it.
    rounded = np.round(np.arange(8) / FPS, 3)  # As Matroska has it.
    places = seen.places(timeline.evened(rounded), Fraction(1, 60), 8 / FPS)
    np.testing.assert_allclose(places, expected, atol=0.01)
    assert places[5] == 2


def test_places_of_frames_shown_unevenly():
    seen = look_through([0, 10, 20])
    places = seen.places([0, 0.1, 0.5], Fraction(1, 20), 0.6)
    np.testing.assert_allclose(places[:4], [0, 0.5, 1, 1.125])
    np.testing.assert_allclose(places[-3:], [1.875, 2, 2])


def test_nothing_is_placed_after_a_key_that_is_held():
    seen = look_through([0, 5, 10, 200, 205, 210])
    places = seen.places(np.arange(6), Fraction(1, 2), 5.5)
    assert places.tolist() == [0, 0.5, 1, 1.5, 2, 2, 3, 3.5, 4, 4.5, 5]
    twos = look_through([0, 0, 30, 30, 60, 60, 90])
    assert twos.places(np.arange(7), Fraction(1, 2), 6.5).tolist() == (np.arange(13) / 4).tolist()


def test_a_loop_ends_before_its_beginning():
    seen = look_through([0, 10, 20, 40])
    places = seen.places(np.arange(4), Fraction(1, 2), 4, loop=True)
    assert places.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    closed = look_through([0, 10, 20, 10, 0])
    assert closed.is_closed
    places = closed.closed().places(np.arange(5), Fraction(1, 2), 4, loop=True)
    assert places.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]


def test_chosen_frames_come_again():
    frames = frames_of([0, 10, 20, 30])
    chosen = timeline.Chosen(frames, np.array([0, 2]), loop=True, channels=2)
    for _ in range(2):
        assert [round(255 * frame.max()) for frame in chosen] == [0, 20, 0]
        assert {frame.shape for frame in chosen} == {(16, 16, 2)}


@pytest.mark.parametrize(
    ("rate", "meant"),
    [
        (24.003, 24),
        (23.9762, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (12.5, Fraction(25, 2)),
        (10 / 3, Fraction(10, 3)),
    ],
)
def test_the_rate_that_was_meant(rate, meant):
    assert timeline.nominal_rate(rate) == meant
