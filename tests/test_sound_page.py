"""The commands of docs/sound.md run word for word, with few steps; flag files say the results."""

import json

import numpy as np
import pytest
from page_commands import ROOT, commands, run_all

from frame_io import sounds
from tests.sound_files import sine
from tf_inbetween.evaluation import comparison as compare
from tf_inbetween.kinds import KINDS

PAGE = ROOT / "docs" / "sound.md"
GAPS_OF_TABLES = {
    "tone": ["0.25 octave", "0.5 octave", "1 octave"],
    "vowel": ["8 frames", "16 frames", "32 frames"],
}
GAPS = {"tone": "1 octave", "vowel": "16 frames", "chord": "16 frames"}


@pytest.mark.slow
def test_every_command_of_the_page_runs(tmp_path):
    sounds.write(tmp_path / "song.wav", np.concatenate([sine(f, 8.0) for f in (200, 300, 400)]))
    said = run_all(commands(PAGE.read_text()), tmp_path, PAGE)
    assert "wrote runs/glide.wav: 9 sounds, 9.26 s; and runs/glide.png" in said
    assert (tmp_path / "runs" / "fast.flac").is_file()


def lab_note(result, gap):
    """What the head of a flag file says of its run."""
    (row,) = (r for r in result["inbetween"] if (r["gap_label"], r["t"]) == (gap, 0.5))
    latent, fade = (row["methods"][method] for method in ("latent", "wave_crossfade"))
    pitch = f", pitch error {latent['pitch_cents']:.0f} cents" if "pitch_cents" in latent else ""
    return (
        f"# On test clips at a gap of {gap}: hit rate {latent['hit_rate']:.2f}{pitch},\n"
        f"# log-spectral distance {latent['lsd']:.1f} dB (cross-fade of waves {fade['lsd']:.1f});\n"
        f"# reconstruction {result['reconstruction']['test']['lsd']:.1f} dB. Trains for "
        f"{result['train_seconds'] / 60:.0f} minutes on one core.\n"
    )


@pytest.mark.parametrize("model", GAPS)
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
    table = compare.markdown_table(results, GAPS_OF_TABLES[name], KINDS["sound"])
    assert f"<!-- {name} -->\n{table}" in PAGE.read_text()
