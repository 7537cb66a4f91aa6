"""The training command: one clear line for what is wrong, and an equal end after a kill."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from interrupted import checkpoint_weights

from tf_inbetween import training
from tf_inbetween.config import Config, as_text

ROOT = Path(__file__).parents[2]


# The training command on the tests' own small data set.
TRAIN = """
import sys
import tensorflow_datasets as tfds
import tf_inbetween.train as command
from frame_io import command_line
from tf_inbetween import training
from tf_inbetween.clips import StoredClips

data = sys.argv.pop(1)
training.prepare = lambda *_: StoredClips(tfds.builder_from_directory(data))
command.define_flags()
command_line.run(command.main)
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alhpa=3"], "error: Unknown command line flag 'alhpa'. Did you mean: alpha"),
        (["--flagfile=nowhere.flags"], "error: --flagfile=nowhere.flags: No such file or directo"),
        (["--flagfile=."], "error: --flagfile=.: Is a directory"),
        ([f"--flagfile={sys.executable}"], "error: --flagfile=.*: cannot be read as text$"),
        (["--flagfile", sys.executable], "error: --flagfile=.*: cannot be read as text$"),
        (["--alpha=much"], "error: --alpha=much: could not convert"),
        (["--scene=kettle"], "error: unknown scene 'kettle'.*teapot_1dof"),
        (["--steps=300", "--steps_per_epoch=200"], "error: --steps=300: must be a multiple of"),
        (["teapot.flags"], "error: unexpected argument 'teapot.flags'"),
    ],
)
def test_a_wrong_training_command_ends_in_one_clear_line(fork, arguments, message):
    result = fork("tf_inbetween.train", "--run_dir=run", *arguments)
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.match(message, result.stderr), result.stderr
    assert result.stderr.count("\n") == 1
    assert result.left == []


def test_a_run_directory_that_is_a_file(fork, tmp_path):
    (tmp_path / "afile").write_text("mine")
    result = fork("tf_inbetween.train", "--run_dir=afile")
    assert result.returncode == 1
    assert re.fullmatch(r"error: (--run_dir=)?afile: .*\n", result.stderr), result.stderr
    assert (tmp_path / "afile").read_text() == "mine"


def test_flags_after_the_flagfile_win(fork, tmp_path):
    (tmp_path / "a.flags").write_text("# a note\n--alpha=3\n--seed=0\n--steps=7\n")
    result = fork("tf_inbetween.train", "--flagfile=a.flags", "--steps=11", "--steps_per_epoch=5")
    assert "error: --steps=11: must be a multiple of --steps_per_epoch=5" in result.stderr


def check_stopped_and_resumed(command, run_dir, sent, whole):
    """Stops `command` by a signal after a checkpoint, starts it again and compares the end."""
    process = subprocess.Popen(
        [*command, f"--run_dir={run_dir}"], stderr=subprocess.PIPE, text=True
    )
    while not (run_dir / "checkpoints" / "checkpoint").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 1}[sent]
    if sent == signal.SIGINT:
        assert said.splitlines()[-1].startswith("interrupted")
        assert "Traceback" not in said
    again = subprocess.run(
        [*command, f"--run_dir={run_dir}"], capture_output=True, text=True, timeout=300, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "resuming at step" in again.stdout
    weights, expected = checkpoint_weights(run_dir), checkpoint_weights(whole)
    assert weights.keys() == expected.keys()
    assert len(weights) > 20
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)


def test_a_killed_training_ends_as_an_undisturbed_one(stored, tiny_settings, tmp_path):
    # Ten epochs and checkpoints, so that the signal arrives long before the end.
    settings = {**tiny_settings, "steps": 20}
    training.train(Config(run_dir=str(tmp_path / "whole"), **settings), stored)
    command = [sys.executable, "-c", TRAIN, str(stored.builder.data_dir), "--noevaluate"]
    for name, value in settings.items():
        text = as_text(value) if isinstance(value, tuple) else value
        command.append(f"--{name}={text}")
    check_stopped_and_resumed(command, tmp_path / "run", signal.SIGKILL, tmp_path / "whole")


@pytest.mark.slow
def test_a_stopped_training_command_resumes(tmp_path):
    command = [
        *(sys.executable, "-m", "tf_inbetween.train", f"--flagfile={ROOT}/teapot.flags"),
        *(f"--data_dir={tmp_path}/data", "--steps=60", "--steps_per_epoch=10", "--pairs=4"),
    ]
    subprocess.run([*command, f"--run_dir={tmp_path}/whole"], check=True, capture_output=True)
    for sent in (signal.SIGINT, signal.SIGKILL):
        run_dir = tmp_path / sent.name
        check_stopped_and_resumed(command, run_dir, sent, tmp_path / "whole")
        assert (run_dir / "metrics.json").exists()
