"""Public data sets become clips: on TFDS's mock data, and on small ones that TFDS prepared."""

import contextlib
import io
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds
from footage_files import everything

from data_gen import imported, tfds_clips
from data_gen.tfds_sources import SOURCES
from tf_inbetween import training
from tf_inbetween.evaluation import run as evaluation_run

ROOT = Path(tfds_clips.__file__).parent.parent
SPLITS = ("train", "validation", "test")
VIDEOS = sorted(name for name, source in SOURCES.items() if not source.sweep)
SWEEPS = sorted(name for name, source in SOURCES.items() if source.sweep)

# What is fixed in the clips of the small data sets; for each split, where the source has two.
FIXED = {
    "smallnorb": {
        "train": list(itertools.product((1, 3), (4, 8), (2, 7), (5,))),
        "test": list(itertools.product((1,), (0, 2), (2,), (0, 5))),
    },
    "shapes3d": {"train": [(9, wall, 4, scale, 3) for wall in range(3) for scale in (0, 7)]},
    "coil100": {"train": [(number,) for number in (0, 7, 50, 99)]},
}
VIDEO_COUNTS = {
    "moving_mnist": {"test": 6},
    "bair_robot_pushing_small": {"train": 5, "test": 2},
}
CLIPS = {
    "moving_mnist": (4, 1, 1),
    "bair_robot_pushing_small": (4, 1, 2),
    "smallnorb": (6, 2, 4),  # Of four objects of its training split one is for validation.
    "shapes3d": (4, 1, 1),
    "coil100": (2, 1, 1),
}


def settings(source, **more):
    return tfds_clips.Settings(**{"name": "mine", "source": source, **more})


def grey_level(*numbers):
    """What a picture of these labels is painted with, so that one can tell them."""
    return 20 + sum((i + 1) * 37 * number for i, number in enumerate(numbers)) % 200


def pictures_of(name, split):
    """The examples of a small data set of single pictures, as its builder generates them."""
    source, cls = SOURCES[name], tfds.builder_cls(name)
    features = cls(data_dir="none").info.features
    for group in FIXED[name][split]:
        for place in range(source.length):
            labels = dict(zip((*source.fixed, source.sweep), (*group, place), strict=True))
            others = {
                label: np.zeros(feature.shape, feature.np_dtype)
                for label, feature in features.items()
                if label not in labels and label != "image"
            }
            shape = features["image"].shape
            image = np.full(shape, grey_level(*group[:2]), np.uint8)
            image[:, shape[1] // 2 :] = grey_level(*group[2:])
            image[: shape[0] // 2] = grey_level(place)
            yield "-".join(map(str, (*group, place))), {"image": image, **others, **labels}


def videos_of(name, split):
    source = SOURCES[name]
    for number in range(VIDEO_COUNTS[name][split]):
        levels = [grey_level(number, place, len(split)) for place in range(source.length)]
        if name == "moving_mnist":
            frames = [np.full((64, 64, 1), level, np.uint8) for level in levels]
            yield number, {"image_sequence": np.stack(frames)}
        else:
            yield (
                number,
                [
                    {
                        "image_main": np.full((64, 64, 3), level, np.uint8),
                        "image_aux1": np.zeros((64, 64, 3), np.uint8),
                        "action": np.zeros(4, np.float32),
                        "endeffector_pos": np.zeros(3, np.float32),
                    }
                    for level in levels
                ],
            )


@contextlib.contextmanager
def generating(name, examples):
    """Has the real builder find a small data set in place of what it would download."""
    cls = tfds.builder_cls(name)
    cls.url_infos = None  # There are no checksums to look for.

    def generators(self, dl_manager):
        return {split: examples(name, split) for split in SOURCES[name].splits}

    try:
        with mock.patch.object(cls, "_split_generators", generators):
            yield cls
    finally:
        del cls.url_infos


def prepare(name, data_dir, examples=None):
    """Writes a small data set as it is after a download."""
    with generating(name, examples or (pictures_of if name in SWEEPS else videos_of)) as cls:
        cls(data_dir=data_dir).download_and_prepare()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with a small data set of every source."""
    data_dir = tmp_path_factory.mktemp("data")
    tfds.display_progress_bar(False)
    for name in SOURCES:
        prepare(name, data_dir)
    tfds.display_progress_bar(True)
    return data_dir


@pytest.fixture(scope="module")
def made(prepared):
    """Every source imported: name -> what it made, and what was said."""
    results = {}
    for name in SOURCES:
        said = []
        mine = settings(name, name=f"my_{name}")
        results[name] = (tfds_clips.import_source(mine, prepared, notify=said.append), said)
    return results


@pytest.mark.parametrize("name", SOURCES)
def test_clips_of_every_source(name, made, prepared):
    source, (result, said) = SOURCES[name], made[name]
    assert tuple(result.clips[split] for split in SPLITS) == CLIPS[name]
    assert result.frames_read == source.length * sum(CLIPS[name])
    assert all(re.fullmatch(rf"{name}, \w+: \d+ clips of {source.length} frames", s) for s in said)
    clips = imported.open_clips(f"my_{name}", 64, 3, prepared)
    metadata = dict(clips.info.metadata)
    assert metadata["scene"] == f"my_{name}"
    assert metadata["tfds"].startswith(f"{name}:")
    assert metadata["gap_unit"] == source.motion.gap_unit
    assert metadata["gaps"] == list(source.motion.gaps)
    assert clips.info.citation == tfds.builder_cls(name)(data_dir="none").info.citation
    shown, owners = [], {}
    for split in SPLITS:
        for example in tfds.as_numpy(clips.as_dataset(split=split)):
            frames, pose = example["frames"], example["pose"]
            assert frames.shape == (source.length, 64, 64, 3)
            assert example["cyclic"] == source.motion.cyclic
            assert example["units_per_frame"] == np.float32(source.motion.units_per_frame)
            step = source.motion.units_per_frame or 1
            expected = source.first_pose + step * np.arange(source.length)
            np.testing.assert_allclose(pose[:, 0], expected, rtol=1e-6)
            clip = example["clip"].decode()
            assert clip.startswith(f"{split}_")
            upper, *lower = frames.astype(int)[:, [8, 56, 56], [32, 8, 56], 0].T.tolist()
            if source.sweep:
                assert upper == [grey_level(place) for place in range(source.length)]
                assert [len(set(levels)) for levels in lower] == [1, 1]
            shown.append((*upper, *lower[0], *lower[1]))
            owner = clip.split("_")[2:][: source.owner] if source.sweep else [clip]
            owners.setdefault(tuple(owner), set()).add(split)
    assert len(set(shown)) == len(shown) == sum(CLIPS[name])
    assert all(len(splits) == 1 for splits in owners.values())


def test_clips_are_named_by_what_is_fixed(made, prepared):
    clips = imported.open_clips("my_smallnorb", 64, 3, prepared)
    names = [e["clip"].numpy().decode() for e in clips.as_dataset(split="test")]
    assert names == [
        "test_000000_human figures_0_2_0",
        "test_000001_human figures_0_2_5",
        "test_000002_human figures_2_2_0",
        "test_000003_human figures_2_2_5",
    ]


def test_frames_of_other_sizes_are_resized_and_said(made):
    assert made["smallnorb"][0].notes == {"smallnorb: 96x96 resized to 64x64": 12 * 18}
    assert made["shapes3d"][0].notes == {}


def test_the_bytes_repeat_whatever_is_held_at_once(made, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_clips, "_HELD_BYTES", 1)
    for name in ("smallnorb", "moving_mnist"):
        (tmp_path / name).symlink_to(prepared / name)
        tfds_clips.import_source(settings(name, name=f"my_{name}"), tmp_path)
        assert everything(tmp_path / f"inbetween_clips/my_{name}") == everything(
            prepared / f"inbetween_clips/my_{name}"
        )


def test_portions():
    sizes = {"a": 3, "b": 3, "c": 1, "d": 9, "e": 1}
    assert list(tfds_clips._portions("abcde", sizes, 7)) == [["a", "b", "c"], ["d"], ["e"]]
    assert list(tfds_clips._portions("abcde", sizes, 6)) == [["a", "b"], ["c"], ["d"], ["e"]]
    assert list(tfds_clips._portions("", {}, 7)) == []


def test_the_deal():
    hundred = {(number,) for number in range(100)}
    (plan,) = tfds_clips.deal({"train": hundred}, 0.1)
    assert [list(plan.values()).count(split) for split in SPLITS] == [80, 10, 10]
    (again,) = tfds_clips.deal({"train": set(sorted(hundred)[::-1])}, 0.1)
    assert again == plan
    train, test = tfds_clips.deal({"train": hundred, "test": {(5,)}}, 0.25)
    assert [list(train.values()).count(split) for split in SPLITS] == [75, 25, 0]
    assert test == {(5,): "test"}


def test_fewer_clips_larger_and_grey(prepared, tmp_path):
    (tmp_path / "shapes3d").symlink_to(prepared / "shapes3d")
    few = settings("shapes3d", max_clips=3, image_size=128, channels=1)
    said = []
    result = tfds_clips.import_source(few, tmp_path, notify=said.append)
    assert said == ["shapes3d, train: 6 clips of 15 frames, 3 taken"]
    assert result.clips == {"train": 1, "validation": 1, "test": 1}
    (example,) = imported.open_clips("mine", 128, 1, data_dir=tmp_path).as_dataset(split="test")
    assert example["frames"].shape == (15, 128, 128, 1)


def test_groups_with_a_gap_or_a_double_are_left_out(prepared, tmp_path):
    def spoilt(name, split):
        for key, example in pictures_of(name, split):
            number, place = map(int, key.split("-"))
            if (number, place) != (7, 3):
                yield key, example
            if (number, place) == (99, 0):
                yield "twice", example

    groups = [(number,) for number in (0, 7, 50, 99, 20)]
    with mock.patch.dict(FIXED, coil100={"train": groups}):
        prepare("coil100", tmp_path, spoilt)
    said = []
    result = tfds_clips.import_source(settings("coil100"), tmp_path, notify=said.append)
    assert said == [
        "coil100, train: 3 clips of 72 frames; 2 groups skipped: angle_label missing or repeated"
    ]
    assert sum(result.clips.values()) == 3


@pytest.mark.parametrize("name", VIDEOS)
def test_videos_of_the_mock_data(name, tmp_path):
    source = SOURCES[name]
    with tfds.testing.mock_data(num_examples=4):
        result = tfds_clips.import_source(settings(name), tmp_path, download=True)
    assert sum(result.clips.values()) == 4 * len(source.splits)
    for split in SPLITS:
        for example in imported.open_clips("mine", 64, 3, tmp_path).as_dataset(split=split):
            assert example["frames"].shape == (source.length, 64, 64, 3)
            assert example["frames"].numpy().std() > 0


@pytest.mark.parametrize("name", SWEEPS)
def test_the_random_labels_of_the_mock_data_make_no_clip(name, tmp_path):
    with (
        tfds.testing.mock_data(num_examples=4),
        pytest.raises(ValueError, match=f"--tfds={name}: too few whole clips, none for train, val"),
    ):
        tfds_clips.import_source(settings(name), tmp_path / "data", download=True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_not_there_is_not_downloaded(name, tmp_path):
    with pytest.raises(ValueError, match=rf"--tfds={name}: is not in .*; --download gets it, [\d]"):
        tfds_clips.import_source(settings(name), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_what_is_not_there_is_downloaded_when_asked_for(tmp_path):
    with generating("moving_mnist", videos_of):
        result = tfds_clips.import_source(settings("moving_mnist"), tmp_path, download=True)
    assert sum(result.clips.values()) == 6
    again = settings("moving_mnist", name="again")
    assert tfds_clips.import_source(again, tmp_path).clips == result.clips


@pytest.mark.parametrize("late", [False, True])
def test_a_download_that_fails_leaves_no_file(tmp_path, late):
    def fail(name, split):
        if late:
            yield next(pictures_of(name, split))
        raise ConnectionError("no route to host")

    said = []
    with (
        generating("coil100", fail),
        pytest.raises(
            ValueError, match=r"^--tfds=coil100: cannot be .* \(Conn.*: no route to host"
        ),
    ):
        tfds_clips.import_source(settings("coil100"), tmp_path, download=True, notify=said.append)
    assert said[0].startswith("coil100: downloading 0.13 GB, and preparing it in ")
    assert everything(tmp_path) == {}


@pytest.mark.parametrize(
    ("source", "more", "message"),
    [
        ("mnist", {}, "unknown --tfds=mnist; valid: bair_robot_pushing_small, coil100, moving_mn"),
        ("coil100", {"image_size": 15}, "--image_size=15: sides must be 16 to 4096 pixels"),
        ("coil100", {"channels": 4}, "unknown number of channels 4"),
        ("coil100", {"name": "teapot_1dof"}, "begins like a rendered scene's name"),
        ("coil100", {"held_out": 0.0}, "--held_out=0: must be above 0"),
        ("coil100", {"max_clips": 2}, "--max_clips=2: at least 3"),
    ],
)
def test_settings_out_of_range(source, more, message):
    with pytest.raises(ValueError, match=message):
        settings(source, **more)


def test_a_taken_name_needs_overwrite(made, prepared):
    name = "my_shapes3d"
    with pytest.raises(ValueError, match=rf"--name={name}: is taken \(.*\); --overwrite replaces"):
        tfds_clips.import_source(settings("shapes3d", name=name), prepared, download=True)
    before = everything(prepared / "inbetween_clips" / name)
    tfds_clips.import_source(settings("shapes3d", name=name), prepared, overwrite=True)
    assert everything(prepared / "inbetween_clips" / name) == before


def test_a_damaged_picture_leaves_nothing(prepared, tmp_path, monkeypatch):
    (tmp_path / "shapes3d").symlink_to(prepared / "shapes3d")
    real, calls = PIL.Image.open, itertools.count()

    def late(file):
        return real(file if next(calls) < 40 else io.BytesIO(b"not a picture"))

    monkeypatch.setattr(PIL.Image, "open", late)
    with pytest.raises(OSError, match="cannot identify image"):
        tfds_clips.import_source(settings("shapes3d"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["shapes3d"]


def test_the_command(prepared, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/smallnorb").symlink_to(prepared / "smallnorb")
    command = [sys.executable, "-m", "data_gen.import_clips", "--name=toys", "--tfds=smallnorb"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(tmp_path / "data")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "data/inbetween_clips/toys/1.0.0"
    for line in (
        r"smallnorb, train: 8 clips of 18 frames",
        r"smallnorb, test: 4 clips of 18 frames",
        r"smallnorb: 96x96 resized to 64x64 \(216 frames\)",
        r"train: 6 clips, 108 frames, 4,896 triplets",
        r"validation: 2 clips, 36 frames, 1,632 triplets",
        r"216 frames in [\d.]+ s, \d+ frames/s",
        rf"imported into {folder}",
        rf"contact sheet: {folder}/contact_sheet.png",
        r"train with --scene=toys .*--frames_per_clip=18 .*--min_gap=40 --max_gap=160",
    ):
        assert re.search(rf"^{line}$", done.stdout, re.MULTILINE), done.stdout
    assert "shots" not in done.stdout


def test_a_training(made, prepared, tiny_config, monkeypatch):
    monkeypatch.setattr(evaluation_run.figures, "draw_all", lambda *_: None)
    of_clips = {"frames_per_clip": 6, "min_gap": 120.0, "max_gap": 120.0, "steps": 2}
    config = tiny_config(scene="my_smallnorb", data_dir=str(prepared), **of_clips)
    assert training.train(config).restored_step == 0
    measured = evaluation_run.evaluate(config.run_dir, pairs=2)
    assert {row["gap_label"] for row in measured["inbetween"]} == {"80°", "160°"}
