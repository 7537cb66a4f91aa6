"""The commands of docs/scenes.md run word for word, on few clips and with few steps."""

import pytest
from page_commands import ROOT, commands, run_all

PAGE = ROOT / "docs" / "scenes.md"
LINES = [line.replace("--clips=100000", "--clips=2") for line in commands(PAGE.read_text())]
# What the page takes for granted.
MY_RUN = (
    ".venv/bin/python -m tf_inbetween.train --scene=teapot_2dof --run_dir=runs/my_run "
    "--frames_per_clip=9 --triplets_per_clip=8 --inbetweens_per_clip=2 --min_gap=4 --max_gap=32 "
    "--noevaluate"
)


def is_by_beam(line):
    return "--beam_pipeline_options" in line


def test_every_command_of_the_page_runs(tmp_path):
    said = run_all([MY_RUN, *(line for line in LINES if not is_by_beam(line))], tmp_path, PAGE)
    assert "inbetween_clips/teapot_2dof/1.0.0: train 4 clips of 132 frames" in said
    assert "inbetween_clips/teapot_6dof_2clips/1.0.0: train 2 clips of 66 frames" in said
    assert (tmp_path / "objects.png").exists()
    assert (tmp_path / "objects.gif").exists()
    assert (tmp_path / "runs/my_run/metrics.heldout.json").exists()


@pytest.mark.slow
def test_the_build_by_beam_runs(tmp_path):
    pytest.importorskip("apache_beam")
    (line,) = filter(is_by_beam, LINES)
    line = line.replace("direct_num_workers=16", "direct_num_workers=2")
    assert "teapot_6dof_2clips/1.0.0: train 2 clips of 66 frames" in run_all([line], tmp_path, PAGE)
