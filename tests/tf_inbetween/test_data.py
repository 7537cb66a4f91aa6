"""Batches: what a triplet is, what a seed decides, and that both ways of storing agree."""

import itertools
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_inbetween import data
from tf_inbetween.clips import ClipInfo, StoredClips, prepare
from tf_inbetween.config import Config, InputError


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def pose_of(frames, clip):
    """The pose of each of `frames`, looked up by its pixels."""
    flat = clip.frames.reshape(len(clip.frames), -1).astype(int)
    return np.array(
        [clip.pose[np.abs(flat - frame.reshape(-1)).sum(axis=1).argmin(), 0] for frame in frames]
    )


@pytest.mark.parametrize("t_sampling", ["midpoint", "uniform"])
def test_a_batch_holds_true_triplets_of_the_clip(stored, tiny_config, t_sampling):
    config = tiny_config(t_sampling=t_sampling, triplets_per_clip=64)
    (clip,) = stored.load("train")
    for batch in take(data.batches(stored, "train", config), 3):
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
        if t_sampling == "midpoint":
            np.testing.assert_allclose(batch["t"], 0.5)
        else:
            assert len(set(batch["t"].round(3))) > 2


def test_the_seed_and_the_step_alone_decide_a_batch(stored, tiny_config):
    batches = [take(data.batches(stored, "train", tiny_config(seed=s)), 4) for s in (0, 0, 1)]
    for key in ("frames", "triplets", "t"):
        for one, same in zip(batches[0], batches[1], strict=True):
            np.testing.assert_array_equal(one[key], same[key])
    assert not np.array_equal(batches[0][0]["triplets"], batches[2][0]["triplets"])
    assert not np.array_equal(batches[0][0]["frames"], batches[0][1]["frames"])
    (late,) = take(data.batches(stored, "train", tiny_config(), start_step=3), 1)
    np.testing.assert_array_equal(late["frames"], batches[0][3]["frames"])
    np.testing.assert_array_equal(late["triplets"], batches[0][3]["triplets"])


def test_streamed_and_in_memory_batches_are_the_same(stored, tiny_config):
    # One clip, so the order of clips is no matter.
    held, streamed = (
        take(data.batches(stored, "train", tiny_config(cache=cache), start_step=1), 3)
        for cache in ("memory", "none")
    )
    for one, other in zip(held, streamed, strict=True):
        for key in ("frames", "triplets", "t"):
            np.testing.assert_array_equal(one[key], other[key])


def test_auto_streams_what_does_not_fit(stored, tiny_config):
    assert stored.fit_in_memory("train", tiny_config())
    assert not stored.fit_in_memory("train", tiny_config(memory_limit_mb=0))
    assert stored.fit_in_memory("train", tiny_config(memory_limit_mb=0, cache="memory"))


def test_two_clips_a_batch_keep_their_triplets_apart(stored, tiny_config):
    config = tiny_config(clips_per_batch=2)
    (batch,) = take(data.batches(stored, "train", config), 1)
    assert batch["frames"].shape[0] == 24
    clip_of = batch["triplets"] // 12
    assert np.all(clip_of == clip_of[:, :1])
    np.testing.assert_array_equal(clip_of[:4, 0], [0, 1, 0, 1])


def sampled(length, cyclic, units_per_frame=1.0, step=0, draws=20, **settings):
    config = Config(run_dir="x", **settings)
    for draw in range(draws):
        index, triplets, t = data.sample_triplets(
            tf.constant([0, draw], tf.int64),
            tf.constant(float(step)),
            tf.constant(length),
            tf.constant(cyclic),
            tf.constant(units_per_frame),
            config,
        )
        yield index.numpy(), triplets.numpy(), t.numpy()


@pytest.mark.parametrize("t_sampling", ["midpoint", "uniform"])
@pytest.mark.parametrize(("length", "slots"), [(3, 3), (7, 3), (16, 16), (100, 9), (100, 30)])
def test_open_clips_never_wrap(length, slots, t_sampling):
    seen = set()
    for index, triplets, place in sampled(
        length,
        False,
        t_sampling=t_sampling,
        frames_per_clip=slots,
        min_gap=2,
        max_gap=length,
        draws=40,
    ):
        assert np.all(np.diff(index) > 0)
        assert index.min() >= 0
        assert index.max() < length
        seen |= set(index)
        first, middle, second = index[triplets].T
        assert np.all((first < middle) & (middle < second))
        np.testing.assert_allclose(place, (middle - first) / (second - first), rtol=1e-6)
    assert len(seen) > 0.8 * length


@pytest.mark.parametrize("t_sampling", ["midpoint", "uniform"])
@pytest.mark.parametrize("slots", [9, 10])
def test_closed_clips_use_every_frame_and_keep_the_range(slots, t_sampling):
    # 10 slots divide the clip and go all round; 9 do not.
    seen, round_the_end = set(), False
    for index, triplets, place in sampled(
        100, True, frames_per_clip=slots, t_sampling=t_sampling, min_gap=20, max_gap=60, draws=60
    ):
        seen |= set(index)
        first, middle, second = index[triplets].T
        round_the_end |= bool(np.any(second < first))
        gap = (second - first) % 100
        assert np.all((gap >= 20) & (gap <= 60))
        np.testing.assert_allclose(place, ((middle - first) % 100) / gap, rtol=1e-6)
        if t_sampling == "midpoint":
            np.testing.assert_array_equal(place, 0.5)
    assert len(seen) > 90
    assert round_the_end


@pytest.mark.parametrize(
    ("cyclic", "settings"),
    [
        (True, {"frames_per_clip": 4, "min_gap": 250, "max_gap": 280, "t_sampling": "midpoint"}),
        (True, {"frames_per_clip": 36, "min_gap": 30, "max_gap": 30, "t_sampling": "midpoint"}),
        (True, {"frames_per_clip": 36, "min_gap": 31, "max_gap": 39, "t_sampling": "uniform"}),
        (False, {"frames_per_clip": 4, "min_gap": 359, "max_gap": 359, "t_sampling": "uniform"}),
    ],
)
def test_a_range_without_a_gap_is_refused(tiny_config, cyclic, settings):
    with pytest.raises(InputError, match="and none that --min_gap="):
        data._check("c", 360, cyclic, 1.0, tiny_config(**settings))


@pytest.mark.parametrize(
    ("length", "cyclic", "settings", "only"),
    [
        (360, True, {"frames_per_clip": 36, "min_gap": 40, "max_gap": 40}, {40}),
        (
            16,
            False,
            {"frames_per_clip": 16, "min_gap": 15, "max_gap": 15, "t_sampling": "uniform"},
            {15},
        ),
        (40, False, {"frames_per_clip": 4, "min_gap": 20, "max_gap": 27}, {20, 22, 24, 26}),
    ],
)
def test_a_narrow_range_is_kept_exactly(tiny_config, length, cyclic, settings, only):
    data._check("c", length, cyclic, 1.0, tiny_config(**settings))
    gaps = set()
    for index, triplets, place in sampled(length, cyclic, draws=60, **settings):
        gaps |= set((index[triplets[:, 2]] - index[triplets[:, 0]]) % length)
        assert np.all((place > 0) & (place < 1))
    assert gaps == only


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


@pytest.fixture(scope="module")
def several(make_clips):
    """Six clips of different lengths, open and closed, whose frames hold their clip and number."""
    return make_clips(train=[(length, i % 2 == 0, 0.0) for i, length in enumerate(LENGTHS)])


LENGTHS = (12, 13, 20, 24, 30, 41)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_many_clips_of_many_lengths(several, tiny_config, cache):
    config = tiny_config(
        cache=cache,
        clips_per_batch=2,
        frames_per_clip=8,
        min_gap=2.0,
        max_gap=12.0,
        t_sampling="uniform",
    )
    epochs = take(data.batches(several, "train", config), 6)
    order = []
    for batch in epochs:
        clip, frame = batch["frames"][:, 0, 0, 0].astype(int), batch["frames"][:, 0, 0, 1]
        assert np.all(clip.reshape(2, 8) == clip.reshape(2, 8)[:, :1])
        order += list(clip[::8])
        assert np.all(frame < np.array(LENGTHS)[clip])
        first, middle, second = batch["triplets"].T
        np.testing.assert_array_equal(clip[first], clip[second])
        np.testing.assert_array_equal(clip[first], clip[middle])
        around = np.array(LENGTHS)[clip[first]]
        frame = frame.astype(int)
        gap = frame[second] - frame[first]
        cyclic = clip[first] % 2 == 0
        assert np.all(gap[~cyclic] > 0)
        gap = gap % around
        assert np.all((gap >= 2) & (gap <= 12))
        np.testing.assert_allclose((frame[middle] - frame[first]) % around / gap, batch["t"])
    if cache == "memory":  # every epoch holds every clip once, in its own order
        assert sorted(order[:6]) == sorted(order[6:]) == list(range(6))
        assert order[:6] != order[6:]
    late = take(data.batches(several, "train", config, start_step=4), 2)
    for one, other in zip(epochs[4:], late, strict=True):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_clips_too_short_are_named_in_both_caches(several, tiny_config, cache):
    config = tiny_config(cache=cache, frames_per_clip=13, min_gap=2.0, max_gap=12.0)
    with pytest.raises(InputError, match="clip '0' has 12 frames: --frames_per_clip=13"):
        data.batches(several, "train", config)


def test_a_streamed_clip_that_shows_later_to_be_too_short_is_named(
    several, tiny_config, monkeypatch
):
    monkeypatch.setattr(data, "_LOOKED_AT", 0)
    config = tiny_config(cache="none", frames_per_clip=13, min_gap=2.0, max_gap=12.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="no 13 frames with gaps in the range"):
        take(data.batches(several, "train", config), 12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames_per_clip": 40}, "has 36 frames: --frames_per_clip=40 is too many"),
        ({"min_gap": 10.0, "max_gap": 30.0}, "have gaps of 60 to 330, and none that --min_gap=10"),
        ({"min_gap": 350.0, "max_gap": 355.0}, "--max_gap=355 and --t_sampling=midpoint allow"),
    ],
)
def test_clips_that_do_not_fit_the_settings(stored, tiny_config, settings, message):
    with pytest.raises(InputError, match=message):
        data.batches(stored, "train", tiny_config(**settings))


def test_a_clip_of_two_frames_is_refused(tiny_config):
    with pytest.raises(InputError, match="clip 'short' has 2 frames: a triplet needs at least 3"):
        data._check("short", 2, False, 1.0, tiny_config())


def test_the_outlines_are_those_of_the_clips(several, stored):
    for made, split in ((several, "train"), (stored, "test")):
        clips = made.load(split)
        assert made.clip_infos(split) == [
            ClipInfo(len(clip.frames), clip.cyclic, clip.units_per_frame) for clip in clips
        ]


@pytest.mark.parametrize("numbers", [[0], [2, 5], range(6), []])
def test_some_clips_are_read_as_all_are_loaded(several, numbers):
    clips = several.load("train")
    read = list(several.read("train", list(numbers)))
    assert [clip.name for clip in read] == [clips[number].name for number in numbers]
    for clip, number in zip(read, numbers, strict=True):
        np.testing.assert_array_equal(clip.frames, clips[number].frames)
        np.testing.assert_array_equal(clip.pose, clips[number].pose)
        assert (clip.cyclic, clip.units_per_frame) == (
            clips[number].cyclic,
            clips[number].units_per_frame,
        )


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: whole[:200] + bytes([whole[200] ^ 4]) + whole[201:], "corrupted record at"),
        (lambda whole: whole[:-1], "truncated record at"),
        (lambda whole: b"", "holds 0 clips, 1 were written"),
    ],
)
def test_a_damaged_file_of_a_data_set_is_named(
    stored, tiny_config, tmp_path, damage, message, cache
):
    folder = tmp_path / "data"
    shutil.copytree(stored.builder.data_dir, folder)
    (path,) = folder.glob("*-train.tfrecord*")
    path.write_bytes(damage(path.read_bytes()))
    copy = StoredClips(tfds.builder_from_directory(folder))
    named = rf"^{path}: {message}.*; the data set is damaged: remove {folder} and build or"
    for read in (
        lambda: copy.load("train"),
        lambda: copy.clip_infos("train"),
        lambda: list(copy.read("train", [0])),
        lambda: data.batches(copy, "train", tiny_config(cache=cache)),
    ):
        with pytest.raises(InputError, match=named):
            read()
    assert len(copy.load("test")) == 1


def test_an_unknown_scene_and_an_unknown_split_list_the_valid_ones(stored, tiny_config):
    with pytest.raises(InputError, match="teapot_1dof"):
        prepare(tiny_config(scene="kettle"))
    with pytest.raises(InputError, match=r"must be one of .*validation"):
        stored.load("training")
    with pytest.raises(InputError, match=r"must be one of .*validation"):
        stored.clip_infos("training")
    with pytest.raises(InputError, match=r"must be one of .*validation"):
        stored.read("training", [0])
