"""The example notebook runs, cell by cell, as it stands but for the steps of its training."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "arrays.ipynb"
STEPS = "steps=800"


def run(cells, folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    for cell in cells:
        exec(compile(cell, str(NOTEBOOK), "exec"), names)
    return names


@pytest.fixture
def cells():
    """The code of every cell."""
    notebook = json.loads(NOTEBOOK.read_text())
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]


def test_the_notebook_runs(cells, tmp_path, monkeypatch):
    assert sum(STEPS in cell for cell in cells) == 1
    short = "steps=1, validation_steps=1, learning_rate_warmup_steps=0"
    names = run([cell.replace(STEPS, short) for cell in cells], tmp_path, monkeypatch)
    assert names["frames"].shape == (5, 64, 64, 3)
    assert (tmp_path / "runs" / "hand" / "between.gif").is_file()


@pytest.mark.slow
def test_it_draws_the_hand_between(cells, tmp_path, monkeypatch):
    names = run(cells, tmp_path, monkeypatch)
    assert names["error"] < names["fade"] / 3
