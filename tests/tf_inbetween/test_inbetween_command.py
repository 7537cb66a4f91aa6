"""The in-between command, the pictures it writes, and the frames it draws them from."""

import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from tf_inbetween import drawing, interpolation, run_directory, training
from tf_inbetween.config import Config, InputError


@pytest.fixture(scope="module")
def trained(stored, tiny_settings, tmp_path_factory):
    """A tiny trained run."""
    run_dir = tmp_path_factory.mktemp("trained") / "run"
    config = Config(run_dir=str(run_dir), **{**tiny_settings, "steps": 2})
    training.train(config, stored)
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
    command = [sys.executable, "-m", "tf_inbetween.inbetween", f"--run_dir={trained}", *pictures]
    result = subprocess.run(
        [*command, "--frames=7", f"--output={output}"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    with PIL.Image.open(output) as picture:
        told = f"wrote {output}: {picture.n_frames} frame"
        assert result.stdout.startswith(told)
        assert result.stdout.endswith(", 10 a second, 0.9 s\n")
        # Pillow joins equal frames, so count their time.
        shown = 0
        for i in range(picture.n_frames):
            picture.seek(i)
            shown += picture.info["duration"]
    assert shown == 9 * 100


def test_inbetween_of_a_missing_picture_writes_nothing(fork, trained, pictures, tmp_path):
    result = fork(
        "tf_inbetween.inbetween",
        f"--run_dir={trained}",
        pictures[0],
        f"--second={tmp_path}/c.png",
        f"--output={tmp_path}/between.gif",
    )
    assert result.returncode == 1
    assert result.stderr == f"error: {tmp_path}/c.png: no such file\n"
    assert result.left == ["a.png", "b.png"]


def test_the_drawn_frames_are_the_models_inbetweens(trained):
    model = run_directory.load_model(trained)
    rng = np.random.default_rng(0)
    first, second = rng.uniform(size=(2, 64, 64, 3)).astype(np.float32)
    drawn = drawing.draw(model, first, second, 3)
    for frame, t in zip(drawn, (0.25, 0.5, 0.75), strict=True):
        expected = model.inbetween(first[None], second[None], np.float32([t]))[0]
        np.testing.assert_allclose(frame, expected, atol=1e-5)
    with pytest.raises(InputError, match="must be at least 1"):
        drawing.draw(model, first, second, 0)


def key_frames(count):
    return np.random.default_rng(1).uniform(size=(count, 64, 64, 3)).astype(np.float32)


@pytest.mark.parametrize("path", ["linear", "spline"])
def test_a_path_through_many_key_frames(trained, path, monkeypatch):
    monkeypatch.setattr(drawing, "_BATCH", 4)
    model, keys = run_directory.load_model(trained), key_frames(6)
    z = model.encode(keys).mean()
    expected = model.decode(interpolation.PATHS[path](z, np.arange(16) / 3)).numpy()
    drawn = np.stack(list(drawing.draw_through(model, keys, 2, path, "drawn")))
    np.testing.assert_allclose(drawn, expected, atol=1e-5)
    given = np.stack(list(drawing.draw_through(model, keys, 2, path)))
    np.testing.assert_array_equal(given[::3], keys)
    between = np.stack(list(drawing.draw_through(model, keys, 2, path, "none")))
    np.testing.assert_array_equal(np.delete(given, np.s_[::3], axis=0), between)
    np.testing.assert_allclose(between, np.delete(expected, np.s_[::3], axis=0), atol=1e-5)


def test_two_key_frames_are_the_first_and_the_second(trained):
    model, keys = run_directory.load_model(trained), key_frames(2)
    np.testing.assert_allclose(
        np.stack(list(drawing.draw_through(model, keys, 3, show="none"))),
        drawing.draw(model, *keys, 3),
        atol=1e-5,
    )
    with pytest.raises(InputError, match="unknown path 'round': must be one of linear, spline"):
        next(drawing.draw_through(model, keys, 3, "round"))


def test_inbetween_fills_the_gaps_of_footage(fork, trained, tmp_path):
    pytest.importorskip("av")
    (tmp_path / "frames").mkdir()
    for i in range(5):
        pixels = np.full((64, 80, 3), 50 * i, np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / f"frames/f{i}.png")
    command = ["tf_inbetween.inbetween", f"--run_dir={trained}", "--frames=3"]
    result = fork(*command, "--input=frames", "--output=slow.mp4", "--redraw")
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        "frames: 80x64 cut to the middle 64x64\n"
        "wrote slow.mp4: 17 frames of 64x64, 10 a second, 1.7 s, no sound\n"
    )
    again = fork(
        *command, "--input=slow.mp4", "--fps=5", "--keyframe_path=spline", "--output=slow.gif"
    )
    assert again.returncode == 0, again.stderr
    with PIL.Image.open(tmp_path / "slow.gif") as picture:
        assert again.stdout.startswith(f"wrote slow.gif: {picture.n_frames} frame")
        assert picture.n_frames <= 33  # Pillow joins equal frames.
    slower = ["--input=frames", "--folder_fps=10", "--fps=5", "--start=0.1"]
    paced = fork(*command, *slower, "--output=paced.gif")
    assert paced.returncode == 0, paced.stderr
    with PIL.Image.open(tmp_path / "paced.gif") as picture:
        assert f"\nwrote paced.gif: {picture.n_frames} frame" in paced.stdout
        assert picture.n_frames <= 5
    three = [f"--frame=frames/f{i}.png" for i in (0, 2, 4)]
    strip = fork(*command, *three, "--noends", "--output=strip.png")
    assert strip.stdout.endswith("wrote strip.png: 6 frames of 64x64\n")
    with PIL.Image.open(tmp_path / "strip.png") as picture:
        assert picture.size == (6 * 64, 64)
    (tmp_path / "frames/f4.png").write_text("to be a picture")
    failed = fork(*command, "--input=frames", "--output=other.mp4")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: frames/f4.png: not a readable picture")
    assert failed.left == ["frames", "paced.gif", "slow.gif", "slow.mp4", "strip.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "missing --first and --second, or --frame twice or more, or --input, or --pairs"),
        (["--first=a.png"], "missing --second"),
        (["--second=a.png"], "missing --first"),
        (["--frame=a.png"], "--frame=a.png: give two key frames or more"),
        (["--frame=a.png", "--input=b.mp4"], "--frame and --input: give one or the other"),
        (["--first=a.png", "--input=b.mp4"], "--first and --input: give one or the other"),
        (["--input=b.mp4"], "b.mp4: no such file or folder"),
        (["--input=b", "--folder_fps=0"], "--folder_fps=0: "),
        (
            ["--frame=a.png", "--frame=b.png", "--keyframe_path=round"],
            "--keyframe_path=round: value should be one",
        ),
    ],
)
def test_inbetween_without_key_frames(fork, trained, arguments, message):
    result = fork("tf_inbetween.inbetween", f"--run_dir={trained}", "--output=a.gif", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {message}"), result.stderr
    assert result.stderr.count("\n") == 1
    assert result.left == []
