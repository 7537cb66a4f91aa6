"""Data sets of drawn scenes: what they store, that they repeat, and that they are read."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

import data_gen
import data_gen.build as build_main
from data_gen import builder, meshes, render, scenes
from frame_io import command_line
from tf_inbetween import data
from tf_inbetween.clips import StoredClips
from tf_inbetween.config import Config


def prepared(data_dir, scene, workers=0, image_size=16, **kwargs):
    config = data_gen.ClipsConfig(
        name="tiny", scene=scene, image_size=image_size, samples=1, **kwargs
    )
    clips = data_gen.InbetweenClips(config=config, data_dir=data_dir, workers=workers)
    clips.download_and_prepare()
    return clips


def contents(clips):
    return {path.name: path.read_bytes() for path in Path(clips.data_dir).iterdir()}


@pytest.mark.parametrize(
    "scene",
    [
        "teapot_2dof_9frames_2clips_light",
        "teapot_6dof_9frames_2clips",
        "objects_2objects_9frames_2clips_colour",
        "linked_arm_2links_9frames_2clips",
        "fast_motion_9frames_2clips_background",
        "teapot_1dof_colour",
    ],
)
def test_example(tmp_path, scene):
    """What is stored is enough to draw every frame again."""
    stride = 60 if "1dof" in scene else 1
    clips = prepared(tmp_path, scene, frame_stride=stride, seed=3)
    made = scenes.get(scene)
    for split in made.clips:
        examples = tfds.as_numpy(clips.as_dataset(split=split))
        examples = sorted(examples, key=lambda example: example["clip"])
        assert len(examples) == made.clips[split]
        for number, example in enumerate(examples):
            assert example["clip"].decode() == f"{split}_{number:06d}"
            assert example["seed"] == 3
            plan = made.clip(split, number, int(example["seed"])).strided(stride)
            np.testing.assert_array_equal(example["pose"], plan.poses.astype(np.float32))
            view = scenes.View(
                made.view.camera,
                scenes.Light(**{**vars(made.view.light), "direction": tuple(example["light"])}),
                tuple(example["background"]),
            )
            parts = [
                scenes.Part(part.mesh, part.transform, tuple(colour))
                for part, colour in zip(made.parts(plan.poses[-1]), example["colours"], strict=True)
            ]
            again = render.Renderer(view, 16, 3, 1).render(parts)
            np.testing.assert_allclose(example["frames"][-1].astype(int), again, atol=1)


def test_bytes_depend_on_the_seed_and_not_on_the_workers(tmp_path):
    scene = "objects_3frames_3clips_colour_light"
    first = contents(prepared(tmp_path / "a", scene))
    assert contents(prepared(tmp_path / "b", scene, workers=2)) == first
    other = contents(prepared(tmp_path / "c", scene, seed=1))
    for split in scenes.SPLITS:
        name = f"inbetween_clips-{split}.tfrecord-00000-of-00001"
        assert other[name] != first[name]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("linked_arm_5links",), "linked_arm_5links"),
        (("linked_arm_3links", 128, 1), "linked_arm_128px_grey"),
        (("objects_colour_4objects", 128), "objects_4objects_colour_128px"),
        (("teapot_2dof_seed7", 64, 1), "teapot_2dof_seed7_grey"),
    ],
)
def test_variants_by_name(tmp_path, arguments, name):
    assert data_gen.config_name(*arguments) == name
    config = tfds.builder(f"inbetween_clips/{name}", data_dir=tmp_path).builder_config
    assert config.name == name
    assert config.image_size == (128 if "128px" in name else 64)
    assert config.channels == (1 if "grey" in name else 3)
    assert config.seed == (7 if "seed7" in name else 0)


def test_unknown_variants(tmp_path):
    for name, message in [
        ("kettle", "unknown scene 'kettle'"),
        ("linked_arm_9links", "links must be 2 to 7, got 9"),
        ("linked_arm_3links", "did you mean 'linked_arm'"),
        ("linked_arm_grey_128px", "unknown setting 'grey' of scene 'linked_arm'"),
    ]:
        with pytest.raises(ValueError, match=message):
            data_gen.InbetweenClips(config=name, data_dir=tmp_path)


@pytest.mark.parametrize(
    ("scene", "settings", "message"),
    [
        ("objects", {"seed": -1}, "seed must be at least 0 and have 9 digits at most"),
        ("objects", {"clips": -5}, "clips must be at least 0"),
        ("objects", {"clips": 0}, "clips must be at least 1"),
        ("objects", {"seed": 12345678901}, "seed must be at least 0 and have 9 digits at most"),
        ("teapot_1dof", {"seed": 7}, "'teapot_1dof' has nothing random"),
    ],
)
def test_settings_out_of_range(scene, settings, message):
    with pytest.raises(ValueError, match=message):
        scenes.variant(scene, **settings)


def test_a_seed_counts_where_looks_vary():
    assert scenes.variant("teapot_1dof", seed=7, light=True) == "teapot_1dof_light_seed7"


def test_the_pipeline_reads_them(tmp_path):
    """Clips without a unit have gaps in frames."""
    clips = prepared(tmp_path, "linked_arm_2links_9frames_4clips", image_size=64)
    clips = StoredClips(clips)
    (first, *_) = clips.load("train")
    assert first.units_per_frame == 1.0
    config = Config(
        clips_per_batch=2,
        frames_per_clip=9,
        triplets_per_clip=5,
        inbetweens_per_clip=2,
        min_gap=2,
        max_gap=8,
    )
    for cache in ("memory", "none"):
        settings = {**vars(config), "cache": cache}
        batch = next(iter(data.batches(clips, "train", Config(**settings))))
        assert batch["frames"].shape == (18, 64, 64, 3)
        assert batch["triplets"].shape == (10, 3)


@pytest.fixture
def build(monkeypatch, capsys, tmp_path):
    """The command, on few samples to be quick."""
    monkeypatch.setattr(meshes, "MESHES", dict(meshes.MESHES))
    monkeypatch.setattr(meshes, "FILES", {})
    monkeypatch.setattr(builder.ClipsConfig, "samples", 1)
    make = builder._config

    def quick(*arguments):
        config = make(*arguments)
        config.samples = 1
        return config

    monkeypatch.setattr(builder, "_config", quick)

    def run(*arguments):
        flags = build_main.flags.FLAGS
        flags.unparse_flags()
        flags(["build", f"--data_dir={tmp_path}", "--workers=0", *arguments])
        try:
            command_line.guarded(build_main.main, bad_input=(ValueError,))(["build"])
        finally:
            for name in ("scene", "clips", "frames", "links", "colour", "mesh"):
                flags[name].unparse()
        return capsys.readouterr().out

    return run


def test_command(build):
    said = build("--scene=linked_arm", "--links=2", "--clips=3", "--frames=3", "--colour")
    assert "inbetween_clips/linked_arm_2links_3frames_3clips_colour/1.0.0: train 3 clips" in said
    assert "15 frames in " in said


def test_command_with_a_mesh(build, tmp_path):
    path = tmp_path / "Tetra.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n")
    said = build("--scene=teapot_6dof", "--clips=1", "--frames=3", f"--mesh={path}")
    assert "inbetween_clips/teapot_6dof_3frames_1clips_mesh-tetra-" in said
    path.write_text("v 0 0 0\n")
    with pytest.raises(SystemExit, match=r"^error: .*Tetra.obj: "):
        build("--scene=teapot_6dof", f"--mesh={path}")
    with pytest.raises(SystemExit, match=r"no\.glb: No such file or directory"):
        build("--scene=teapot_6dof", "--mesh=no.glb")
    with pytest.raises(SystemExit, match="'fast_motion' has no setting mesh"):
        build("--scene=fast_motion", "--mesh=no.glb")
