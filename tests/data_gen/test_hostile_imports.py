"""Names and data sets that a stranger made: one line, and nothing outside the folder is touched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from footage_files import moving_square, write_animation, write_folder
from hostile_files import QUICK, outcome_of
from hypothesis import given
from hypothesis import strategies as st
from small_imports import settings

from data_gen import clip_store, footage_clips, imported

ROOT = Path(imported.__file__).parent.parent


def odd_gif(folder):
    path = write_animation(folder / "a.gif", moving_square(24))
    return path.rename(folder / os.fsdecode(b"walk\xff\n.gif"))


def test_names_that_are_no_unicode(tmp_path):
    five = footage_clips.Settings(name="odd", frames_per_clip=5)
    made = footage_clips.import_clips([odd_gif(tmp_path)], five, tmp_path / "data")
    assert made.clips == {"train": 2, "validation": 1, "test": 1}
    description = imported.open_clips("odd", 64, 3, tmp_path / "data").info.metadata
    assert description["inputs"] == ["walk\\udcff\n.gif"]


@pytest.mark.slow
def test_the_command_prints_names_that_are_no_unicode(tmp_path):
    command = [sys.executable, "-m", "data_gen.import_clips", "--name=odd", "--frames_per_clip=5"]
    done = subprocess.run(
        [*command, f"--input={odd_gif(tmp_path)}", f"--data_dir={tmp_path}/data"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rb"walk\udcff" in done.stdout


@QUICK
@given(name=st.text(max_size=20) | st.sampled_from(["../x", "..", "/x", "a/b", "a\n", ".a", "a\0"]))
def test_a_name_stays_in_the_folder_of_data_sets(tmp_path_factory, name):
    data_dir = tmp_path_factory.getbasetemp() / "data"
    settled = outcome_of(lambda: footage_clips.Settings(name=name))
    if isinstance(settled, str):
        assert settled.startswith("--name=")
    else:
        folder = clip_store.free_folder(name, data_dir)
        assert folder.resolve().parent.parent == data_dir.resolve() / "inbetween_clips"
    with pytest.raises(ValueError, match="unknown scene"):
        imported.open_clips(name, 64, 3, data_dir)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """An imported data set."""
    folder = tmp_path_factory.mktemp("described")
    frames = write_folder(folder / "frames", moving_square(24))
    made = footage_clips.import_clips([frames], settings(name="a"), folder)
    return folder, made.data_dir


@pytest.mark.parametrize("key", ["pythonClassName", "type", "python_class_name"])
def test_a_data_set_cannot_have_modules_imported(described, key, monkeypatch, tmp_path):
    (tmp_path / "evil_module.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)
    folder, data_dir = described
    path, before = data_dir / "features.json", (data_dir / "features.json").read_text()
    kind = "tensorflow_datasets.core.features.text_feature.Text"
    assert kind in before
    path.write_text(before.replace(f'"pythonClassName": "{kind}"', f'"{key}": "evil_module.Text"'))
    with pytest.raises(
        ValueError, match=r"features\.json: 'evil_module\.Text' is not a feature of TF"
    ):
        imported.open_clips("a", 64, 3, folder)
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"features\.json: missing or damaged"):
        imported.open_clips("a", 64, 3, folder)
    path.write_text(before)
    assert imported.open_clips("a", 64, 3, folder).info.metadata["channels"] == 3
