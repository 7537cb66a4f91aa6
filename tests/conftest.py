"""What tests share: a small teapot data set, and settings that train in seconds."""

import dataclasses

import pytest

from data_gen.builder import ClipsConfig, InbetweenClips
from tf_inbetween.config import Config

TINY = {
    "frames_per_clip": 12,
    "triplets_per_clip": 16,
    "inbetweens_per_clip": 4,
    "min_gap": 60.0,
    "max_gap": 120.0,
    "widths": (4, 4, 8, 8),
    "hidden": 16,
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
    items.sort(key=lambda item: item.path.name not in ("test_readme.py", "test_own_clips_page.py"))


@pytest.fixture(scope="session")
def builder(tmp_path_factory):
    """A built data set of the teapot's turn with every tenth frame, drawn with one ray a pixel."""
    config = ClipsConfig(name="tiny", scene="teapot_1dof", samples=1, frame_stride=10)
    builder = InbetweenClips(config=config, data_dir=tmp_path_factory.mktemp("data"))
    builder.download_and_prepare()
    return builder


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
def tiny_data(builder, monkeypatch):
    """Lets everything that prepares a data set take the tiny one."""
    for module in ("tf_inbetween.train", "tf_inbetween.evaluate"):
        monkeypatch.setattr(f"{module}.prepare", lambda *_: builder)
    return builder
