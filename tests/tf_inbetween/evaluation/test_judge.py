"""That a perfect method scores perfectly, the geometry of latents, and what is held of clips."""

import dataclasses
import functools
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_inbetween.clips import Clip
from tf_inbetween.distributions import gaussian
from tf_inbetween.evaluation import judge
from tf_inbetween.evaluation import methods as model_methods
from tf_inbetween.evaluation import pairs as pair_choice
from tf_inbetween.matching import MATCHINGS
from tf_inbetween.models import TripletVAE, to_float


def reader(clips):
    return lambda numbers: (clips[number] for number in numbers)


def oracle(clip):
    """A method that knows the truth: it finds both ends in the clip and returns what lies there."""
    frames = clip.frames / np.float32(255)
    flat = frames.reshape(len(frames), -1)

    def draw(first, second, t):
        starts, ends = (
            np.array([np.abs(flat - end.reshape(-1)).sum(axis=1).argmin() for end in batch])
            for batch in (first, second)
        )
        gap = (ends - starts) % len(frames)
        return frames[(starts + np.rint(gap * t).astype(int)) % len(frames)]

    return draw


def test_a_perfect_method_is_perfect_and_a_useless_one_is_not(clips):
    methods = {"oracle": oracle(clips[0]), "first": lambda first, second, t: first}
    rows = judge.inbetween(methods, clips, reader(clips), [40, 120], pairs=9, unit="°")
    assert [(row["gap_label"], row["t"]) for row in rows] == [
        (label, t) for label in ("40°", "120°") for t in (0.25, 0.5, 0.75)
    ]
    for row in rows:
        assert row["gap"] * 5 == float(row["gap_label"][:-1])
        best, worst = row["methods"]["oracle"], row["methods"]["first"]
        assert best["mse"] == best["timing_error"] == best["timing_error_degrees"] == 0
        assert best["hit_rate"] == 1
        assert best["psnr"] == 100
        assert best["ssim"] == pytest.approx(1)
        assert best["detail"] == pytest.approx(1)
        assert 0 < worst["detail"] < 0.95
        assert worst["timing_error"] == pytest.approx(row["gap"] * row["t"])
        assert worst["timing_error_degrees"] == pytest.approx(5 * worst["timing_error"])
        assert worst["hit_rate"] == 0


def test_latent_geometry_of_known_posteriors():
    """q0, q1 and q2 in two dimensions: ends at -d and d, q1 in the middle, then off it by 3/2."""
    q0, q2 = (gaussian(np.float32([[d, 0]] * 2), np.ones((2, 2), np.float32)) for d in (-2, 2))
    q1 = gaussian(np.float32([[0, 0], [0, 1.5]]), np.ones((2, 2), np.float32))
    geometry = judge.latent_geometry(q0, q1, q2, np.full(2, 0.5, np.float32))
    assert geometry.keys() == {"chord_deviation", *(f"kl_{name}" for name in MATCHINGS)}
    np.testing.assert_allclose(geometry["chord_deviation"], [0, np.sqrt(1.5**2 / 2)], rtol=1e-6)
    np.testing.assert_allclose(geometry["kl_averaged"], [0, 1.5**2 / 2], atol=1e-6)
    np.testing.assert_allclose(geometry["kl_upper_bound"], [2, 2 + 1.5**2 / 2], rtol=1e-6)
    moment_matched = (np.log(5) + 1 / 5 - 1) / 2
    np.testing.assert_allclose(
        geometry["kl_moment_matched"], [moment_matched, moment_matched + 1.5**2 / 2], rtol=1e-5
    )
    np.testing.assert_allclose(geometry["kl_mixture"][0], 0.943, atol=0.5)  # 64 draws


def test_rows_have_the_mean_geometry_of_their_pairs(clips):
    """Posteriors on a line are on every chord; one that leaves it is off it by a known way."""
    frames = to_float(clips[0].frames).numpy()
    at = {frame.tobytes(): place for place, frame in enumerate(frames)}

    def encode(batch, bend=0.0):
        places = np.float32([at[frame.tobytes()] for frame in batch])
        mean = np.stack([places, bend * places**2], axis=1)
        return gaussian(mean, np.full_like(mean, 0.5))

    opened = dataclasses.replace(clips[0], cyclic=False)
    for bend in (0.0, 0.01):
        (_, half, _), (_, long_half, _) = (
            judge.inbetween(
                {"first": lambda first, second, t: first},
                [opened],
                reader([opened]),
                [gap],
                pairs=9,
                unit="°",
                encode=functools.partial(encode, bend=bend),
            )
            for gap in (40, 120)
        )
        # A parabola bend x^2 lies bend (gap / 2)^2 below its chord's middle, at any place.
        for row in (half, long_half):
            chord_deviation = bend * (row["gap"] / 2) ** 2 / 0.5 / np.sqrt(2)
            geometry = row["latent_geometry"]
            assert geometry["chord_deviation"] == pytest.approx(chord_deviation, abs=2e-4)
            # KL of equal spreads: half of the squared distance in them, here chord_deviation^2.
            assert geometry["kl_averaged"] == pytest.approx(chord_deviation**2, abs=1e-3)


@pytest.fixture
def bars(monkeypatch):
    """The bars of an evaluation: of each its settings and the counts of its updates."""
    shown = []

    class Bar:
        def __init__(self, **settings):
            self.settings, self.counts = settings, []
            shown.append(self)

        def update(self, count):
            self.counts.append(count)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(judge, "tqdm", Bar)
    return shown


def test_the_bar_counts_pairs_from_the_start(clips, bars, monkeypatch):
    """Also of a single clip: each method's pairs, a batch at a time."""
    methods = {"oracle": oracle(clips[0]), "first": lambda first, second, t: first}
    rows = judge.inbetween(methods, clips, reader(clips), [40, 120], pairs=20, unit="°")
    monkeypatch.setattr(judge, "_BATCH", 21)
    in_parts = judge.inbetween(methods, clips, reader(clips), [40, 120], pairs=20, unit="°")
    assert in_parts == rows
    for bar, counts in zip(bars, ([60], [21, 21, 18]), strict=True):
        assert bar.settings["total"] == 2 * 2 * 3 * 20  # methods, gaps, times, pairs
        assert bar.settings["unit"] == " pairs"
        assert bar.counts == counts * 4  # gaps, methods


def test_a_bar_counts_frames_of_reconstructions(make_clips, bars):
    several = make_clips(test=[(5, False, 0.0), (7, False, 0.0)])
    read = functools.partial(several.read, "test")
    judge.reconstruction(Reconstructing(), several.clip_infos("test"), read)
    (bar,) = bars
    assert (bar.settings["total"], bar.settings["unit"]) == (12, " frames")
    assert sum(bar.counts) == 12


def test_methods_draw_the_same_batches_as_without_a_bar():
    assert judge._BATCH == model_methods._BATCH


@pytest.fixture
def decoded(monkeypatch):
    """What becomes of `Clip`s: the names of all that are decoded, how many are held at most."""
    seen = SimpleNamespace(names=[], alive=0, most=0)

    class Watched(Clip):
        def __init__(self, **fields):
            super().__init__(**fields)
            seen.names.append(fields["name"])
            seen.alive += 1
            seen.most = max(seen.most, seen.alive)

        def __del__(self):
            seen.alive -= 1

    monkeypatch.setattr("tf_inbetween.clips.Clip", Watched)
    return seen


def test_of_many_clips_few_are_decoded_and_fewer_held(make_clips, decoded, monkeypatch):
    lengths = np.random.default_rng(0).integers(9, 14, size=200)
    several = make_clips(test=[(int(length), False, 0.0) for length in lengths])
    monkeypatch.setattr(judge, "_RECONSTRUCTED", 20)
    monkeypatch.setattr(judge, "_BATCH", 7)
    clip_infos = several.clip_infos("test")
    assert not decoded.names
    read = functools.partial(several.read, "test")

    rows = judge.inbetween(
        {"first": lambda first, second, t: first}, clip_infos, read, [4, 8], pairs=10, unit=""
    )
    wanted = {clip for gap in (4, 8) for clip in pair_choice.spread(clip_infos, gap, 10)}
    assert [row["pairs"] for row in rows] == [10] * 6
    assert sorted(map(int, decoded.names)) == sorted(wanted)
    assert len(wanted) <= 20
    assert decoded.most <= 2

    decoded.names.clear()
    model = Reconstructing()
    judge.reconstruction(model, clip_infos, read)
    assert 20 <= len(decoded.names) <= 40
    assert decoded.most <= 2
    # The frames are those of the whole split, held as one.
    frames = np.concatenate([clip.frames for clip in several.load("test")])
    frames = frames[:: len(frames) // 20]
    np.testing.assert_array_equal(np.concatenate(model.seen), to_float(frames))
    assert max(map(len, model.seen)) == 7


def test_frames_of_a_great_many_clips_are_not_all_the_first(make_clips, monkeypatch):
    several = make_clips(test=[(5, False, 0.0)] * 40)
    monkeypatch.setattr(judge, "_RECONSTRUCTED", 20)  # 200 frames: every tenth, if not for this.
    model = Reconstructing()
    read = functools.partial(several.read, "test")
    judge.reconstruction(model, several.clip_infos("test"), read)
    shown = np.rint(255 * np.concatenate(model.seen)[:, 0, 0, 1])
    assert list(np.bincount(shown.astype(int))) == [4, 4, 4, 4, 3]


class Reconstructing(TripletVAE):
    """Stands in for a model; keeps what it is shown."""

    frame_shape = (64, 64, 3)

    def __init__(self):
        keras.Model.__init__(self)
        self.kind, self.seen = "pictures", []

    def reconstruct(self, frames):
        self.seen.append(frames)
        return tf.constant(frames)

    def elbo(self, frames, seed):
        return tf.zeros(len(frames))
