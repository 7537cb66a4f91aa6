"""The contact sheet and the GIF of a scene."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data_gen
from data_gen import preview

ROOT = Path(data_gen.__file__).parent.parent


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "data_gen.preview", *arguments],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_sheet():
    clips = [np.full((5, 4, 4, 3), 50 * k, np.uint8) for k in range(3)]
    for k in range(5):
        clips[2][k] += np.uint8(k)
    sheet = preview.sheet(clips, 3)
    assert sheet.shape == (3 * 4 + 2 * 2, 3 * 4 + 2 * 2, 3)
    np.testing.assert_array_equal(sheet[13, [1, 7, 13], 0], [100, 102, 104])
    assert (sheet[4:6] == 255).all()
    assert (sheet[:, 4:6] == 255).all()
    assert preview.sheet(clips, 9).shape == (16, 5 * 4 + 4 * 2, 3)


def test_command(tmp_path):
    said = run(
        "--scene=fast_motion", "--objects=2", "--frames=5", "--rows=2", "--columns=3",
        "--channels=1", "--output=new/sheet.png", cwd=tmp_path,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert "fast_motion_2objects_5frames_grey: the first 2 of the split train" in said.stdout
    with Image.open(tmp_path / "new/sheet.png") as picture:
        assert picture.size == (3 * 64 + 2 * 2, 2 * 64 + 2)
    with Image.open(tmp_path / "new/sheet.gif") as animation:
        assert animation.n_frames == 5
        assert animation.size == (2 * 64 + 2, 64)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--scene=kettle", "error: unknown scene 'kettle'; valid: "),
        ("--split=heldout", "error: unknown split 'heldout'; valid: train, validation, test"),
        ("--output=sheet.jpg", "error: --output=sheet.jpg: must end in .png"),
        ("--links=3", "error: scene 'teapot_1dof' has no setting links"),
    ],
)
def test_bad_input(tmp_path, argument, message):
    said = run(argument, cwd=tmp_path)
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1].startswith(message)
    assert not list(tmp_path.iterdir())
