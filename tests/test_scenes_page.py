"""The commands of docs/scenes.md run word for word, on few clips and with few steps."""

import json
import re

import pytest
from page_commands import ROOT, commands, run_all

from tf_inbetween.evaluation import comparison as compare

PAGE = ROOT / "docs" / "scenes.md"
TEXT = PAGE.read_text()
LINES = [line.replace("--clips=100000", "--clips=2") for line in commands(TEXT)]
MODELS = ("linked_arm", "teapot_2dof", "teapot_6dof", "objects", "fast_motion")
GAPS = ["8 frames", "16 frames", "32 frames"]


def is_by_beam(line):
    return "--beam_pipeline_options" in line


def lines_of(model):
    """The page's lines that train and judge one of the models."""
    return [line for line in LINES if re.search(rf"(runs|flags)/{model}\b", line)]


def results_of(name):
    return json.loads((ROOT / f"docs/results/{name}/comparison.json").read_text())


def test_the_page_builds_and_previews_scenes(tmp_path):
    models = [line for model in MODELS for line in lines_of(model)]
    lines = [line for line in LINES if line not in models and not is_by_beam(line)]
    said = run_all(lines, tmp_path, PAGE)
    assert "inbetween_clips/teapot_2dof/1.0.0: train 4 clips of 132 frames" in said
    assert "inbetween_clips/teapot_6dof_2clips/1.0.0: train 2 clips of 66 frames" in said
    assert (tmp_path / "objects.png").exists()
    assert (tmp_path / "objects.gif").exists()


@pytest.mark.parametrize(
    "model", [MODELS[0], *(pytest.param(model, marks=pytest.mark.slow) for model in MODELS[1:])]
)
def test_the_page_trains_and_judges_a_model(model, tmp_path):
    lines = lines_of(model)
    assert sum("-m tf_inbetween.train " in line for line in lines) == 1
    run_all([line.replace("_2000clips", "") for line in lines], tmp_path, PAGE)
    for picture in re.findall(rf"!\[.*?\]\((results/{model}\b.*?)\)", TEXT):
        assert (tmp_path / "docs" / picture).exists(), f"no command of the page makes {picture}"


@pytest.mark.parametrize("name", [*MODELS, "teapot_2dof_heldout"])
def test_the_page_has_the_tables_of_the_results(name):
    table = compare.markdown_table(results_of(name), GAPS)
    assert f"<!-- {name} -->\n{table}" in TEXT


def lab_note(result):
    """What the head of a flag file says of its run."""
    (row,) = (r for r in result["inbetween"] if (r["gap_label"], r["t"]) == ("16 frames", 0.5))
    latent, flow, fade = (row["methods"][m] for m in ("latent", "optical_flow", "crossfade"))
    reconstruction = result["reconstruction"]["test"]["mse"]
    return (
        f"# On test clips at a gap of 16 frames, half a clip: hit rate {latent['hit_rate']:.2f}, "
        f"timing error\n# {latent['timing_error']:.2f} frames (optical flow "
        f"{flow['timing_error']:.2f}, cross-fade {fade['timing_error']:.2f}), MSE "
        f"{1e4 * latent['mse']:.2f}e-4;\n# reconstruction {1e4 * reconstruction:.2f}e-4. Trains "
        f"for {result['train_seconds'] / 60:.0f} minutes on 2 cores.\n"
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_flag_file_says_what_its_run_reached(model):
    (result,) = results_of(model).values()
    assert lab_note(result) in (ROOT / f"flags/{model}.flags").read_text(), lab_note(result)


@pytest.mark.slow
def test_the_build_by_beam_runs(tmp_path):
    pytest.importorskip("apache_beam")
    (line,) = filter(is_by_beam, LINES)
    line = line.replace("direct_num_workers=16", "direct_num_workers=2")
    assert "teapot_6dof_2clips/1.0.0: train 2 clips of 66 frames" in run_all([line], tmp_path, PAGE)
