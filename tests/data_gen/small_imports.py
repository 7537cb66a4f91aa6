"""Imports of footage for the tests: settings of small clips, and an import that fails."""

import pytest

from data_gen import footage_clips


def settings(**more):
    return footage_clips.Settings(**{"name": "my_clips", "frames_per_clip": 8, **more})


def refused(inputs, tmp_path, error=ValueError, **more):
    """The one line of an import that fails, and that nothing is left of it."""
    data_dir = tmp_path / "data"
    with pytest.raises(error) as raised:
        footage_clips.import_clips(inputs, settings(**more), data_dir)
    assert not data_dir.exists()
    assert "\n" not in str(raised.value)
    return str(raised.value)
