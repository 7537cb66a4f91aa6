"""Batches: what a triplet is, what a seed decides, and that both ways of storing agree."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_inbetween import data
from tf_inbetween.config import InputError


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def pose_of(frames, clip):
    """The pose of each of `frames`, looked up by its pixels."""
    flat = clip.frames.reshape(len(clip.frames), -1).astype(int)
    return np.array(
        [clip.pose[np.abs(flat - frame.reshape(-1)).sum(axis=1).argmin(), 0] for frame in frames]
    )


@pytest.mark.parametrize("t", ["half", "any"])
def test_a_batch_holds_true_triplets_of_the_clip(builder, tiny_config, t):
    config = tiny_config(t=t, triplets_per_clip=64)
    (clip,) = data.load_clips(builder, "train")
    for batch in take(data.batches(builder, "train", config), 3):
        assert batch["frames"].shape == (12, 64, 64, 3)
        assert batch["frames"].dtype == np.uint8
        assert batch["triplets"].shape == (64, 3)
        angle = pose_of(batch["frames"], clip)
        assert len(set(angle)) == 12
        first, middle, second = (angle[batch["triplets"][:, i]] for i in range(3))
        gap = (second - first) % 360
        assert np.all((gap >= 60) & (gap <= 120))
        np.testing.assert_allclose((middle - first) % 360 / gap, batch["t"], rtol=1e-5)
        assert np.all((batch["t"] > 0) & (batch["t"] < 1))
        if t == "half":
            np.testing.assert_allclose(batch["t"], 0.5)
        else:
            assert len(set(batch["t"].round(3))) > 2


def test_the_seed_and_the_step_alone_decide_a_batch(builder, tiny_config):
    batches = [take(data.batches(builder, "train", tiny_config(seed=s)), 4) for s in (0, 0, 1)]
    for key in ("frames", "triplets", "t"):
        for one, same in zip(batches[0], batches[1], strict=True):
            np.testing.assert_array_equal(one[key], same[key])
    assert not np.array_equal(batches[0][0]["triplets"], batches[2][0]["triplets"])
    assert not np.array_equal(batches[0][0]["frames"], batches[0][1]["frames"])
    (late,) = take(data.batches(builder, "train", tiny_config(), start_step=3), 1)
    np.testing.assert_array_equal(late["frames"], batches[0][3]["frames"])
    np.testing.assert_array_equal(late["triplets"], batches[0][3]["triplets"])


def test_streamed_and_in_memory_batches_are_the_same(builder, tiny_config):
    # One clip, so the order of clips is no matter.
    held, streamed = (
        take(data.batches(builder, "train", tiny_config(storage=storage), start_step=1), 3)
        for storage in ("memory", "stream")
    )
    for one, other in zip(held, streamed, strict=True):
        for key in ("frames", "triplets", "t"):
            np.testing.assert_array_equal(one[key], other[key])


def test_auto_streams_what_does_not_fit(builder, tiny_config):
    assert data._fits_in_memory(builder, "train", tiny_config())
    assert not data._fits_in_memory(builder, "train", tiny_config(memory_limit_mb=0))
    assert data._fits_in_memory(builder, "train", tiny_config(memory_limit_mb=0, storage="memory"))


def test_two_clips_a_batch_keep_their_triplets_apart(builder, tiny_config):
    config = tiny_config(clips_per_batch=2)
    (batch,) = take(data.batches(builder, "train", config), 1)
    assert batch["frames"].shape[0] == 24
    clip_of = batch["triplets"] // 12
    assert np.all(clip_of == clip_of[:, :1])
    np.testing.assert_array_equal(clip_of[:4, 0], [0, 1, 0, 1])


def sampled(length, closed, pace=1.0, step=0, draws=20, **settings):
    from tf_inbetween.config import Config

    config = Config(run_dir="x", **settings)
    for draw in range(draws):
        index, triplets, t = data.sample_triplets(
            tf.constant([0, draw], tf.int64),
            tf.constant(float(step)),
            tf.constant(length),
            tf.constant(closed),
            tf.constant(pace),
            config,
        )
        yield index.numpy(), triplets.numpy(), t.numpy()


@pytest.mark.parametrize("t", ["half", "any"])
@pytest.mark.parametrize(("length", "slots"), [(3, 3), (7, 3), (16, 16), (100, 9), (100, 30)])
def test_open_clips_never_wrap(length, slots, t):
    seen = set()
    for index, triplets, place in sampled(
        length, False, t=t, frames_per_clip=slots, min_gap=2, max_gap=length, draws=40
    ):
        assert np.all(np.diff(index) > 0)
        assert index.min() >= 0
        assert index.max() < length
        seen |= set(index)
        first, middle, second = index[triplets].T
        assert np.all((first < middle) & (middle < second))
        np.testing.assert_allclose(place, (middle - first) / (second - first), rtol=1e-6)
    assert len(seen) > 0.8 * length


def test_closed_clips_wrap_and_use_every_frame():
    seen, wrapped = set(), False
    for index, triplets, place in sampled(
        100, True, frames_per_clip=9, t="any", min_gap=20, max_gap=60, draws=60
    ):
        seen |= set(index)
        first, middle, second = index[triplets].T
        wrapped |= bool(np.any(second < first))
        np.testing.assert_allclose(
            place, ((middle - first) % 100) / ((second - first) % 100), rtol=1e-6
        )
    assert seen == set(range(100))
    assert wrapped


def test_the_largest_gap_widens_with_the_step():
    settings = dict(frames_per_clip=36, min_gap=20, max_gap=120, gap_warmup_steps=100)
    largest = []
    for step in (0, 50, 100, 1000):
        gaps = [
            (index[triplets[:, 2]] - index[triplets[:, 0]]) % 360
            for index, triplets, _ in sampled(360, True, step=step, **settings)
        ]
        largest.append(np.max(gaps))
    assert largest == [20, 60, 120, 120]


def test_seed_zero_is_a_seed(builder, tiny_config):
    assert tiny_config(seed=0).seed == 0
    zero, again, one = (
        take(data.batches(builder, "train", tiny_config(seed=seed)), 1)[0]["triplets"]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(zero, again)
    assert not np.array_equal(zero, one)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames_per_clip": 40}, "has 36 frames: --frames_per_clip=40 is too many"),
        ({"min_gap": 10.0, "max_gap": 30.0}, "have gaps of 60 to 330"),
        ({"min_gap": 350.0, "max_gap": 355.0}, "leave none"),
    ],
)
def test_clips_that_do_not_fit_the_settings(builder, tiny_config, settings, message):
    with pytest.raises(InputError, match=message):
        data.batches(builder, "train", tiny_config(**settings))


def test_a_clip_of_two_frames_is_refused(tiny_config):
    clip = data.Clip("short", np.zeros((2, 64, 64, 3), np.uint8), np.zeros((2, 1)), False, 1.0)
    with pytest.raises(InputError, match="clip 'short' has 2 frames: a triplet needs at least 3"):
        data._check(clip, tiny_config())


def test_an_unknown_scene_and_an_unknown_split_list_the_valid_ones(builder, tiny_config):
    with pytest.raises(InputError, match="teapot_1dof"):
        data.prepare(tiny_config(scene="kettle"))
    with pytest.raises(InputError, match=r"must be one of .*validation"):
        data.load_clips(builder, "training")
