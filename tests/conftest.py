"""What tests share: a small teapot data set, and settings that train in seconds."""

import dataclasses
import functools
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_gen.builder import ClipsConfig, InbetweenClips
from data_gen.data_set_folder import features_of
from tf_inbetween import training
from tf_inbetween.clips import StoredClips
from tf_inbetween.config import Config

TINY = {
    "frames_per_clip": 12,
    "triplets_per_clip": 16,
    "inbetweens_per_clip": 4,
    "min_gap": 60.0,
    "max_gap": 120.0,
    "filters": (4, 4, 8, 8),
    "dense_units": 16,
    "latent_dim": 3,
    "steps": 6,
    "steps_per_epoch": 2,
    "steps_per_execution": 1,
    "validation_steps": 1,
    "learning_rate_warmup_steps": 2,
    "precision": "float32",
}


def pytest_collection_modifyitems(items):
    """Puts the longest files first, so that no worker is left alone with one at the end."""
    longest = ("test_readme.py", "test_own_clips_page.py", "test_scenes_page.py")
    items.sort(key=lambda item: item.path.name not in longest)


@pytest.fixture(scope="session")
def builder(tmp_path_factory):
    """A built data set of the teapot's turn with every tenth frame, drawn with one ray a pixel."""
    config = ClipsConfig(name="tiny", scene="teapot_1dof", samples=1, frame_stride=10)
    builder = InbetweenClips(config=config, data_dir=tmp_path_factory.mktemp("data"))
    builder.download_and_prepare()
    return builder


@pytest.fixture(scope="session")
def stored(builder):
    """The clips of `builder`."""
    return StoredClips(builder)


class Several(tfds.core.GeneratorBasedBuilder):
    """Clips without a unit, whose frames hold, in red and green, their clip and their number."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos = None

    def __init__(self, splits, **kwargs):
        self._splits = splits
        super().__init__(**kwargs)

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=features_of((64, 64, 3), 1),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(gap_unit="", gaps=[4.0, 8.0], pose_names=["time"]),
        )

    def _split_generators(self, _):
        return {split: self._generate_examples(clips) for split, clips in self._splits.items()}

    def _generate_examples(self, clips):
        for number, (length, cyclic, units_per_frame) in enumerate(clips):
            frames = np.zeros((length, 64, 64, 3), np.uint8)
            frames[..., 0] = number
            frames[..., 1] = np.arange(length)[:, None, None]
            example = {
                "clip": str(number),
                "frames": frames,
                "pose": np.arange(length, dtype=np.float32)[:, None],
                "cyclic": cyclic,
                "units_per_frame": units_per_frame,
            }
            yield number, example


@pytest.fixture(scope="session")
def make_clips(tmp_path_factory):
    """Builds a data set of `Several` clips: of each split (length, cyclic, units_per_frame)."""

    def make(**splits):
        builder = Several(splits, data_dir=tmp_path_factory.mktemp("several"))
        builder.download_and_prepare()
        return StoredClips(builder)

    return make


@pytest.fixture(scope="session")
def tiny_settings():
    """The fields of a `Config` whose training takes a second."""
    return TINY


@pytest.fixture
def tiny_config(tmp_path):
    """Makes a `Config` of a tiny model; keyword arguments override its fields."""

    def make(**overrides):
        return dataclasses.replace(Config(run_dir=str(tmp_path / "run")), **{**TINY, **overrides})

    return make


@pytest.fixture
def tiny_data(stored, monkeypatch):
    """Lets everything that prepares a data set take the tiny one."""
    for module in ("tf_inbetween.training", "tf_inbetween.evaluation.run"):
        monkeypatch.setattr(f"{module}.prepare", lambda *_: stored)
    return stored


@pytest.fixture(scope="session")
def _finished_runs(stored, tmp_path_factory):
    """Trains a tiny model for some steps, once for all tests; returns the run directory."""

    @functools.cache
    def run_dir(steps):
        folder = tmp_path_factory.mktemp("finished") / "run"
        training.train(Config(run_dir=str(folder), **{**TINY, "steps": steps}), stored)
        return folder

    return run_dir


@pytest.fixture
def finished(_finished_runs, tiny_config):
    """Copies a finished training of `tiny_config`, with some steps, to the test; returns it."""

    def copy(steps=TINY["steps"], **elsewhere):
        config = tiny_config(steps=steps, **elsewhere)
        shutil.copytree(_finished_runs(steps), Path(config.run_dir))
        return config

    return copy
