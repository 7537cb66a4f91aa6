"""The commands as a person runs them: one clear line for what is wrong, and what they write."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest

from tf_inbetween import inbetween, run_directory, train
from tf_inbetween.config import Config, InputError


def run(module, *arguments, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **kwargs,
    )


def last_line(result):
    return (result.stdout + result.stderr).strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alhpa=3"], "error: Unknown command line flag 'alhpa'. Did you mean: alpha"),
        (["--flagfile=nowhere.flags"], "error: .*nowhere.flags"),
        (["--alpha=much"], "error: flag --alpha=much"),
        (["--scene=kettle"], "error: unknown scene 'kettle'.*teapot_1dof"),
        (["--steps=300", "--steps_per_epoch=200"], "error: --steps=300: must be a multiple of"),
        (["teapot.flags"], "error: unexpected argument 'teapot.flags'"),
    ],
)
def test_a_wrong_training_command_ends_in_one_clear_line(tmp_path, arguments, message):
    result = run("tf_inbetween.train", f"--run_dir={tmp_path}/run", *arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert re.search(message, last_line(result)), result.stderr
    assert list(tmp_path.iterdir()) == []


def test_flags_after_the_flagfile_win(tmp_path):
    (tmp_path / "a.flags").write_text("# a note\n--alpha=3\n--seed=0\n--steps=7\n")
    result = run(
        "tf_inbetween.train",
        f"--flagfile={tmp_path}/a.flags",
        "--steps=11",
        "--steps_per_epoch=5",
        cwd=tmp_path,
    )
    assert "error: --steps=11: must be a multiple of --steps_per_epoch=5" in result.stderr


@pytest.fixture(scope="module")
def trained(builder, tiny_settings, tmp_path_factory):
    """A tiny trained run."""
    run_dir = tmp_path_factory.mktemp("trained") / "run"
    config = Config(run_dir=str(run_dir), **{**tiny_settings, "steps": 2})
    patch = pytest.MonkeyPatch()
    patch.setattr(train, "prepare", lambda *_: builder)
    train.train(config)
    patch.undo()
    return run_dir


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        pixels = rng.integers(0, 255, size=(64, 64, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return [f"--first={tmp_path}/a.png", f"--second={tmp_path}/b.png"]


def test_inbetween_writes_the_animation(trained, pictures, tmp_path):
    output = tmp_path / "between.gif"
    result = run(
        "tf_inbetween.inbetween",
        f"--run_dir={trained}",
        *pictures,
        "--frames=7",
        f"--output={output}",
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == f"wrote {output}: 9 frames"
    with PIL.Image.open(output) as picture:
        # Pillow joins equal frames, so count their time.
        shown = 0
        for i in range(picture.n_frames):
            picture.seek(i)
            shown += picture.info["duration"]
    assert shown == 9 * 100


def test_inbetween_of_a_missing_picture_writes_nothing(trained, pictures, tmp_path):
    result = run(
        "tf_inbetween.inbetween",
        f"--run_dir={trained}",
        pictures[0],
        f"--second={tmp_path}/c.png",
        f"--output={tmp_path}/between.gif",
    )
    assert result.returncode == 1
    assert last_line(result) == f"error: {tmp_path}/c.png: no such file"
    assert not (tmp_path / "between.gif").exists()


def test_the_drawn_frames_are_the_models_inbetweens(trained):
    model = run_directory.load_model(trained)
    rng = np.random.default_rng(0)
    first, second = rng.uniform(size=(2, 64, 64, 3)).astype(np.float32)
    drawn = inbetween.draw(model, first, second, 3)
    for frame, t in zip(drawn, (0.25, 0.5, 0.75), strict=True):
        expected = model.inbetween(first[None], second[None], np.float32([t]))[0]
        np.testing.assert_allclose(frame, expected, atol=1e-5)
    with pytest.raises(InputError, match="must be at least 1"):
        inbetween.draw(model, first, second, 0)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_training_command_resumes(tmp_path, sent):
    command = [
        *(sys.executable, "-m", "tf_inbetween.train", "--flagfile=teapot.flags"),
        *(f"--run_dir={tmp_path}/run", "--steps=60", "--steps_per_epoch=10", "--pairs=4"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=os.getcwd())
    checkpoints = tmp_path / "run" / "checkpoints"
    while not list(checkpoints.glob("ckpt-2*.index")):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(sent)
    process.wait(timeout=60)
    assert process.returncode != 0
    if sent == signal.SIGINT:
        assert "interrupted: the same command goes on" in process.stderr.read()
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "resuming at step" in result.stdout
    assert (tmp_path / "run" / "metrics.json").exists()
