"""The commands of docs/own_clips.md run word for word, on few frames and with few steps."""

import json
import re

import PIL.Image
import pytest
from page_commands import ROOT, commands, run_all

from tf_inbetween.evaluation import comparison as compare

PAGE = ROOT / "docs" / "own_clips.md"


def test_every_command_of_the_page_runs(tmp_path):
    pytest.importorskip("av")
    install, *lines = commands(PAGE.read_text())
    assert install == ".venv/bin/pip install -e '.[video,baselines]'"
    said = run_all(lines, tmp_path, PAGE)
    assert "wrote runs/turn.mp4: 432 frames" in said
    assert "contact_sheet.png" in said
    for name, start in (("turn/between.gif", b"GIF89a"), ("turn/slow.mp4", b"\0\0\0")):
        assert (tmp_path / "runs" / name).read_bytes().startswith(start)
    with PIL.Image.open(tmp_path / "docs/results/own_clips/strip.png") as strip:
        assert strip.size == (11 * 64, 64)
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", PAGE.read_text()):
        assert (tmp_path / "docs" / picture).exists(), f"no command of the page makes {picture}"


def test_the_page_has_the_table_of_the_results():
    results = json.loads((ROOT / "docs/results/own_clips/comparison.json").read_text())
    gaps = [f"{gap} frames" for gap in (8, 16, 32, 60)]
    assert f"<!-- comparison -->\n{compare.markdown_table(results, gaps)}" in PAGE.read_text()
