"""A run on sound, from training to a glide: the commands on a tiny model."""

import numpy as np
import pytest

from data_gen import builder, spectrograms
from data_gen.scenes import synthesis
from frame_io import sounds
from frame_io.files import read_checked_json
from tf_inbetween import run_directory, training
from tf_inbetween.config import Config
from tf_inbetween.evaluation.run import evaluate
from tf_inbetween.kinds import KINDS

pytest.importorskip("av")

TINY = {
    "scene": "tone_2clips_9frames",
    "channels": 1,
    "t_sampling": "uniform",
    "frames_per_clip": 9,
    "triplets_per_clip": 8,
    "inbetweens_per_clip": 4,
    "min_gap": 0.25,
    "max_gap": 1.0,
    "filters": (4, 4, 8, 8),
    "dense_units": 16,
    "latent_dim": 3,
    "steps": 4,
    "steps_per_epoch": 4,
    "steps_per_execution": 1,
    "validation_steps": 1,
    "learning_rate_warmup_steps": 2,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("run") / "run"
    builder.build(TINY["scene"], channels=1, data_dir=data)
    training.train(Config(run_dir=str(folder), data_dir=str(data), **TINY), judged=True)
    return folder


def test_a_run_knows_its_kind_without_the_data(run):
    assert run_directory.kind_of(run) == "sound"
    model = run_directory.load_model(run)
    assert (model.kind, model.frame_shape) == ("sound", (64, 64, 1))


def test_an_evaluation_has_the_measures_of_sound(run):
    evaluate(run, pairs=4)
    metrics = read_checked_json(run / "metrics.json")
    kind = KINDS["sound"]
    assert [row["gap_label"] for row in metrics["inbetween"][::3]] == ["0.5 octave", "1 octave"]
    for row in metrics["inbetween"]:
        assert set(row["methods"]) == set(kind.default_methods)
        for measures in row["methods"].values():
            own = {"pitch_cents", "one_pitch", "timing_error", "hit_rate"}
            assert set(measures) == {*kind.measure_names, *own}
            assert all(np.isfinite(value) for value in measures.values())
    drawn = {path.name for path in (run / "figures").iterdir()}
    assert drawn == {
        *("inbetween.png", "path.png", "reconstruction.png", "latent_pca.png"),
        *("error_by_gap.png", "first.wav", "second.wav", "samples", "training.png"),
    }
    assert len(sounds.read(run / "figures" / "first.wav")) == spectrograms.samples_of(64)


@pytest.fixture
def ends(tmp_path):
    for name, frequency in (("a", 200), ("b", 400), ("c", 300)):
        sound = synthesis.tone(frequency, -8, -20, spectrograms.samples_of(64))
        sounds.write(tmp_path / f"{name}.wav", sound)
    return tmp_path


def test_the_command_writes_a_glide_without_clicks(run, fork, ends):
    """Its largest step from sample to sample is no larger than within one of its sounds."""
    command = ["tf_inbetween.inbetween", f"--run_dir={run}", "--first=a.wav", "--second=b.wav"]
    written = fork(*command, "--frames=1", "--output=glide.flac")
    assert written.returncode == 0, written.stderr
    assert written.stdout == "wrote glide.flac: 3 sounds, 3.12 s; and glide.png\n"
    assert written.left == ["a.wav", "b.wav", "c.wav", "glide.flac", "glide.png"]
    glide = sounds.read(ends / "glide.flac")
    assert len(glide) == spectrograms.samples_of(3 * 64)
    steps = np.abs(np.diff(glide))
    join = spectrograms.HOP * 64
    within = max(steps[2000 : join - 2000].max(), steps[2 * join + 2000 : -2000].max())
    assert steps[1000:-1000].max() < 1.5 * within


def test_key_sounds_and_their_length(run, fork, ends):
    keys = [f"--frame={name}.wav" for name in "abc"]
    written = fork(
        "tf_inbetween.inbetween",
        f"--run_dir={run}",
        *keys,
        "--frames=2",
        "--seconds_per_frame=0.08",
        "--keyframe_path=spline",
        "--output=glide.wav",
    )
    assert written.stdout == "wrote glide.wav: 7 sounds, 0.61 s; and glide.png\n", written.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--output=a.gif"], "a.gif: the name must end in one of .wav, .flac, .ogg, .opus"),
        ([], "missing --output"),
        (["--output=a.wav"], "--output=a.wav: is the input itself; name another file"),
        (["--output=x.wav", "--scale=2"], "--scale: is not for sound; "),
        (["--output=x.wav", "--frames=9999"], "--output=x.wav: would be 10241 s long, more than"),
        (["--output=x.wav", "--first=none.wav"], "none.wav: no such file"),
    ],
)
def test_the_command_refuses_in_one_line(run, fork, ends, flags, said):
    before = sorted(path.name for path in ends.iterdir())
    failed = fork(
        *("tf_inbetween.inbetween", f"--run_dir={run}", "--first=a.wav", "--second=b.wav"), *flags
    )
    assert failed.returncode == 1
    assert failed.stderr.removeprefix("error: ").startswith(said), failed.stderr
    assert failed.stderr.count("\n") == 1
    assert failed.left == before
