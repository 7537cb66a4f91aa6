"""The commands of docs/own_clips.md run word for word, on few frames and with few steps."""

import json

import pytest
from page_commands import ROOT, commands, run_all

from benchmarks import footage

PAGE = ROOT / "docs" / "own_clips.md"


def test_every_command_of_the_page_runs(tmp_path):
    pytest.importorskip("av")
    install, *lines = commands(PAGE.read_text())
    assert install == ".venv/bin/pip install -e '.[video,baselines]'"
    said = run_all(lines, tmp_path, PAGE)
    assert "wrote runs/film.mp4: 125 frames" in said
    assert "contact_sheet.png" in said
    assert "wrote runs/film/smooth.mp4: 250 frames of 640x360, 50 a second, 5 s, " in said
    table = (tmp_path / "docs/own_clips.md").read_text()
    for size in ("640x360", "64", "128", "256"):
        assert f"| {size} | 16 | " in table
    assert (tmp_path / "docs/results/footage/middle.png").is_file()


def test_the_page_has_the_table_of_the_results():
    rows = json.loads((ROOT / "docs/results/footage/footage.json").read_text())
    assert f"<!-- footage -->\n{footage.table(rows)}" in PAGE.read_text()
