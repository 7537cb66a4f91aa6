"""Faults injected: a few by default, all of them by `-m slow`. docs/faults.md has the tables."""

import json
import random
import subprocess
import sys

import pytest

from benchmarks.faults import corruption, kills, run, subjects
from benchmarks.faults.commands import ROOT, Commands


def test_a_killed_import_ends_as_if_it_had_not_been(tmp_path):
    with Commands(tmp_path / "said") as commands:
        place = subjects.Workplace(tmp_path / "place", commands)
        row = kills.kill_often(place, "import", 3, random.Random(0), say=lambda line: None)
    assert row["injected"] == 3
    assert row["ends"] >= 1
    assert row["lost"] == "nothing"


def test_what_is_not_whole_and_what_differs_is_told(tmp_path):
    (tmp_path / "a.json").write_text('{"a": ')
    (tmp_path / ".b.partial.json").write_text('{"a": ')
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    broken = kills.check_whole(tmp_path)
    assert [line.partition(" ")[0] for line in broken] == ["a.json", "picture.png"]
    before = subjects.files(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "picture.png").rename(tmp_path / "other.png")
    assert kills.differences(before, subjects.files(tmp_path)) == [
        "picture.png is missing",
        "other.png is left over",
        "a.json differs",
    ]


def test_damage_that_is_used_or_not_named_is_told(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "number.txt").write_text("1000000000")

    def read(folder):
        text = (folder / "number.txt").read_text()
        return [int(text)]  # A ValueError without the file's name, and no checksum.

    kind = corruption.Kind("number", "", "*.txt", read)
    row = corruption.damage_often(kind, tmp_path / "whole", tmp_path / "work", 40, random.Random(0))
    assert row["injected"] == 60
    assert "used: " in row["lost"]
    assert "not named: " in row["lost"]
    assert row["found"] > 0


def test_rows_are_written_one_by_one_and_the_others_stay(tmp_path, monkeypatch):
    output, page = tmp_path / "faults.json", tmp_path / "faults.md"
    page.write_text("<!-- total -->\n<!-- /total -->\n<!-- kills -->\n<!-- /kills -->\n")
    monkeypatch.setattr(run, "FLAGS", type("Flags", (), {"seed": 0}))
    for what, injected, lost in (("a", 3, "nothing"), ("b", 4, "all"), ("a", 5, "nothing")):
        row = {"fault": "SIGKILL", "what": what, "injected": injected, "lost": lost}
        run.write("kills", row, str(output), str(page))
    rows = json.loads(output.read_text())["kills"]["rows"]
    assert [(row["what"], row["injected"]) for row in rows] == [("a", 5), ("b", 4)]
    said = page.read_text()
    assert "| SIGKILL | a | 5 | nothing |\n| SIGKILL | b | 4 | all |\n" in said
    assert "| kills | 9 | 1 | python -m benchmarks.faults.run --only=kills |\n" in said


@pytest.mark.slow
@pytest.mark.parametrize("part", list(run.PARTS))
def test_nothing_is_lost(part, tmp_path):
    output = tmp_path / "faults.json"
    command = [sys.executable, "-m", "benchmarks.faults.run", f"--only={part}", "--page="]
    done = subprocess.run(
        [*command, f"--output={output}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "needs to be root" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout
    rows = json.loads(output.read_text())[part]["rows"]
    assert sum(row["injected"] for row in rows) >= (50 if part == "kills" else 10)
