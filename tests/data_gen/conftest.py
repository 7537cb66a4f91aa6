"""What tests of data sets share: footage of two kinds."""

import pytest
from footage_files import moving_square, write_folder, write_video
from small_imports import settings

from data_gen import footage_clips


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """A video of 40 frames, and a folder of 24 of another size."""
    folder = tmp_path_factory.mktemp("footage")
    video = write_video(folder / "walk.mp4", moving_square(40))
    return [video, write_folder(folder / "frames", moving_square(24, 30, 30))]


@pytest.fixture(scope="session")
def made(inputs, tmp_path_factory):
    """The import of `inputs`: where data sets are, what it returned, and what it said."""
    data_dir = tmp_path_factory.mktemp("data")
    said = []
    result = footage_clips.import_clips(inputs, settings(), data_dir, notify=said.append)
    return data_dir, result, said
