"""The data set: what it holds, that its bytes repeat, and that a killed build is no build."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core import shuffle

import data_gen
import data_gen.build as build_main
from data_gen import builder, render, scenes, tfds_hooks
from frame_io import command_line

ROOT = Path(builder.__file__).parent.parent


def tiny(**kwargs):
    values = {"scene": "teapot_1dof", "image_size": 24, "samples": 1, "frame_stride": 20}
    return data_gen.ClipsConfig(name="tiny", **{**values, **kwargs})


def prepared(data_dir, workers=0, **kwargs):
    clips = data_gen.InbetweenClips(config=tiny(**kwargs), data_dir=data_dir, workers=workers)
    clips.download_and_prepare()
    return clips


def contents(clips):
    return {path.name: path.read_bytes() for path in Path(clips.data_dir).iterdir()}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("data"))


def test_example(clips):
    scene = scenes.get("teapot_1dof")
    renderer = render.Renderer(scene.view, 24, 3, 1)
    for split, count, step in (
        ("train", 18, 20.0),
        ("validation", 18, 20.0),
        ("test", 36, 10.0),
    ):
        (example,) = tfds.as_numpy(clips.as_dataset(split=split))
        (plan,) = scene.plan(split, 0)
        poses = plan.strided(20).poses
        assert example["clip"] == f"{split}_000000".encode()
        assert example["frames"].shape == (count, 24, 24, 3)
        assert example["frames"].dtype == np.uint8
        assert example["cyclic"]
        assert example["units_per_frame"] == step
        np.testing.assert_array_equal(example["pose"], poses.astype(np.float32))
        for k in (0, count // 3):
            np.testing.assert_array_equal(
                example["frames"][k], renderer.render(scene.parts(poses[k]))
            )


def test_frames_can_be_left_encoded(clips):
    (example,) = tfds.as_numpy(
        clips.as_dataset(split="train", decoders={"frames": tfds.decode.SkipDecoding()})
    )
    assert example["frames"].shape == (18,)
    assert all(png.startswith(b"\x89PNG") for png in example["frames"])


def test_metadata(clips):
    again = data_gen.InbetweenClips(config=tiny(), data_dir=clips.data_dir.rsplit("/", 3)[0])
    for info in (clips.info, again.info):
        metadata = dict(info.metadata)
        assert len(metadata.pop("sha256")) == 64
        assert metadata == {
            "scene": "teapot_1dof",
            "kind": "pictures",
            "pose_names": ["azimuth"],
            "gap_unit": "°",
            "gaps": [10.0, 20.0, 40.0, 60.0, 90.0, 120.0],
            "image_size": 24,
            "channels": 3,
            "samples": 1,
            "seed": 0,
            "frame_stride": 20,
            "generator_version": "1.0.0",
        }
        assert set(info.splits) == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("metadata.json", "120.0", "124.0"),
        ("metadata.json", "{", ""),
        ("metadata.json", '"sha256"', '"other"'),
        ("dataset_info.json", "{", "["),
    ],
)
def test_a_damaged_description_is_named_and_never_used(clips, tmp_path, name, old, new):
    shutil.copytree(clips.data_dir.rsplit("/", 3)[0], tmp_path / "data")
    folder = Path(clips.data_dir.replace(clips.data_dir.rsplit("/", 3)[0], str(tmp_path / "data")))
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"^{folder}: the data set is damaged \(.+\): remove th"):
        prepared(tmp_path / "data")


def test_bytes_do_not_depend_on_the_run_or_the_workers(clips, tmp_path):
    assert contents(prepared(tmp_path, workers=2)) == contents(clips)


def test_a_large_split_goes_through_files_not_memory(tmp_path, monkeypatch):
    scene = {"scene": "fast_motion_8clips_5frames", "frame_stride": 1}
    in_memory = contents(prepared(tmp_path / "a", **scene))
    written = []
    add = shuffle._Bucket.add
    monkeypatch.setattr(
        shuffle._Bucket, "add", lambda self, *of: (written.append(of), add(self, *of))
    )
    assert contents(prepared(tmp_path / "b", **scene)) == in_memory
    assert not written
    monkeypatch.setattr(tfds_hooks, "_SHUFFLED_IN_MEMORY", 1000)
    assert contents(prepared(tmp_path / "c", **scene)) == in_memory
    assert len(written) == 10
    assert shuffle.MAX_MEM_BUFFER_SIZE > tfds_hooks._SHUFFLED_IN_MEMORY


def test_bytes_depend_on_the_config(clips, tmp_path):
    other = contents(prepared(tmp_path, samples=2))
    name = "inbetween_clips-train.tfrecord-00000-of-00001"
    assert other[name] != contents(clips)[name]


def test_grey(tmp_path):
    (example,) = tfds.as_numpy(prepared(tmp_path, channels=1).as_dataset(split="train"))
    assert example["frames"].shape == (18, 24, 24, 1)


def test_built_by_another_process_meanwhile(tmp_path):
    late = data_gen.InbetweenClips(config=tiny(), data_dir=tmp_path)
    prepared(tmp_path)
    late.download_and_prepare()
    assert late.info.splits["test"].num_examples == 1


def test_load_by_name(tmp_path):
    data = tfds.load(
        "inbetween_clips",
        split="train",
        data_dir=tmp_path,
        builder_kwargs={"config": tiny(), "workers": 0},
    )
    assert len(data) == 1


@pytest.mark.parametrize(
    ("arguments", "name", "shape"),
    [
        (("teapot_1dof",), "teapot_1dof", (None, 64, 64, 3)),
        (("teapot_1dof", 128), "teapot_1dof_128px", (None, 128, 128, 3)),
        (("teapot_1dof", 64, 1), "teapot_1dof_grey", (None, 64, 64, 1)),
        (("teapot_1dof", 128, 1), "teapot_1dof_128px_grey", (None, 128, 128, 1)),
    ],
)
def test_variants_by_name(tmp_path, arguments, name, shape):
    assert data_gen.config_name(*arguments) == name
    clips = tfds.builder(f"inbetween_clips/{name}", data_dir=tmp_path)
    assert clips.info.features["frames"].shape == shape
    assert clips.info.metadata["samples"] == 4


def test_unknown_names():
    with pytest.raises(ValueError, match=r"unknown scene 'kettle'; valid: .*teapot_1dof"):
        data_gen.config_name("kettle")
    with pytest.raises(ValueError, match=r"unknown image size 65; valid: \(64, 32, 128\)"):
        data_gen.config_name("teapot_1dof", 65)
    with pytest.raises(ValueError, match=r"unknown number of channels 2; valid: \(3, 1\)"):
        data_gen.config_name("teapot_1dof", 64, 2)


def test_killed_build_is_no_build(clips, tmp_path):
    """Killed in its second split; the next build clears up and writes the same bytes."""
    script = """
import dataclasses, itertools, sys, time
import data_gen
import data_gen.build as build_main
from data_gen import scenes

scene = scenes.get("teapot_1dof")
calls = itertools.count()
def slow_parts(pose):
    if next(calls) == 20:
        print("rendering the second split", flush=True)
        time.sleep(60)
    return scene.parts(pose)
scenes.SCENES["teapot_1dof"] = lambda: dataclasses.replace(scene, parts=slow_parts)
config = data_gen.ClipsConfig(
    name="tiny", scene="teapot_1dof", image_size=24, samples=1, frame_stride=20
)
data_gen.InbetweenClips(config=config, data_dir=sys.argv[1], workers=1).download_and_prepare()
"""
    here = tmp_path / "inbetween_clips" / "tiny"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "rendering the second split\n"
        process.send_signal(signal.SIGKILL)
    assert list(here.glob("incomplete.*/*train*"))
    again = data_gen.InbetweenClips(config=tiny(), data_dir=tmp_path, workers=0)
    assert not Path(again.data_dir).exists()
    assert not again.info.splits
    again.download_and_prepare()
    assert not list(here.glob("incomplete.*"))
    assert contents(again) == contents(clips)


def run_build(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "data_gen.build", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_on_bad_input(tmp_path):
    result = run_build("--scene=kettle", f"--data_dir={tmp_path}")
    assert result.returncode != 0
    assert (
        result.stderr
        == "error: unknown scene 'kettle'; valid: " + ", ".join(sorted(scenes.SCENES)) + "\n"
    )
    assert not list(tmp_path.iterdir())


def test_command_says_what_is_there(monkeypatch, capsys, tmp_path):
    """On the 64 px variant with few samples and frames, to be quick."""
    for config in builder.InbetweenClips.BUILDER_CONFIGS:
        monkeypatch.setattr(config, "frame_stride", 60)
        monkeypatch.setattr(config, "samples", 1)
    flags = build_main.flags.FLAGS
    flags(["build", f"--data_dir={tmp_path}", "--workers=0"])
    command_line.guarded(build_main.main, bad_input=(ValueError,))(["build"])
    first = capsys.readouterr().out
    assert "train 1 clip of 6 frames in all" in first
    assert f"built in {tmp_path}" in first
    assert "24 frames in " in first
    command_line.guarded(build_main.main, bad_input=(ValueError,))(["build"])
    assert f"already built in {tmp_path}" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="unexpected argument 'x'"):
        command_line.guarded(build_main.main, bad_input=(ValueError,))(["build", "x"])
