"""The commands of docs/text.md run word for word, with few steps."""

import json

import pytest
from page_commands import ROOT, commands, run_all

from tf_inbetween.evaluation import comparison as compare
from tf_inbetween.kinds import KINDS

PAGE = ROOT / "docs" / "text.md"
MODELS = ("clock", "weather", "counting")
GAPS = {"clock": "40 min", "weather": "4 frames", "counting": "4 frames"}

GAPS_OF_TABLES = {
    "clock": ["20 min", "40 min", "80 min", "120 min"],
    "weather": ["4 frames", "8 frames"],
}


@pytest.mark.slow
def test_every_command_of_the_page_runs(tmp_path):
    clips = ["\n".join(f"step {clip} {i}" for i in range(6)) for clip in range(4)]
    (tmp_path / "steps.txt").write_text("\n\n".join(clips))
    said = run_all(commands(PAGE.read_text()), tmp_path, PAGE)
    assert "twelve o'clock" in said
    assert "ten past four\n" in said
    assert "train: 2 clips, 12 frames" in said
    assert "--network=text --likelihood=ctc" in said
    assert (tmp_path / "runs" / "between.txt").read_text().startswith("ten past four\n")


def lab_note(result, gap):
    """What the head of a flag file says of its run."""
    (row,) = (r for r in result["inbetween"] if (r["gap_label"], r["t"]) == (gap, 0.5))
    latent, fade = (row["methods"][method] for method in ("latent", "letter_crossfade"))
    reconstruction = result["reconstruction"]["test"]
    return (
        f"# On test clips at a gap of {gap}: exact match {latent['exact_match']:.2f}, character\n"
        f"# error rate {latent['character_error_rate']:.3f} (letter-wise cross-fade "
        f"{fade['character_error_rate']:.3f}), hit rate {latent['hit_rate']:.2f};\n"
        f"# reconstruction, exact match {reconstruction['exact_match']:.2f}. Trains for "
        f"{result['train_seconds'] / 60:.0f} minutes on one core.\n"
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_flag_file_says_what_its_run_reached(model):
    path = ROOT / f"docs/results/{model}/comparison.json"
    flags = (ROOT / f"flags/{model}.flags").read_text()
    if not path.exists():
        assert "# Not measured yet.\n" in flags
        return
    (result,) = json.loads(path.read_text()).values()
    note = lab_note(result, GAPS[model])
    assert note in flags, note


@pytest.mark.parametrize("name", GAPS_OF_TABLES)
def test_the_page_has_the_tables_of_the_results(name):
    results = json.loads((ROOT / f"docs/results/{name}/comparison.json").read_text())
    table = compare.markdown_table(results, GAPS_OF_TABLES[name], KINDS["text"])
    assert f"<!-- {name} -->\n{table}" in PAGE.read_text()
