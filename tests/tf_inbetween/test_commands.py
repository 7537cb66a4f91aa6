"""The commands as a person runs them: one clear line for what is wrong, and what they write."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from tf_inbetween import drawing, interpolation, run_directory, training
from tf_inbetween.config import Config, InputError

ROOT = Path(__file__).parents[2]

TENSORFLOW_SAYS = r"(?m)^([IWE]\d{4} |WARNING: All log messages before absl).*\n"

# Runs commands one by one, each in a fork of a process that has imported TensorFlow already; what
# a command does is the same, and ten of them take no longer than one.
SERVER = """
import json, os, runpy, signal, sys
import data_gen.builder, tf_inbetween.callbacks, tf_inbetween.checkpoints

for line in sys.stdin:
    module, arguments, folder = json.loads(line)
    child = os.fork()
    if not child:
        signal.alarm(60)
        os.chdir(folder)
        for stream in (1, 2):
            os.dup2(os.open(f"{folder}/.out{stream}", os.O_CREAT | os.O_RDWR | os.O_TRUNC), stream)
        sys.argv = [module, *arguments]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as stop:
            code = stop.code
            if isinstance(code, str):
                print(code, file=sys.stderr)
                code = 1
        sys.stdout.flush()
        os._exit(code or 0)  # TensorFlow takes a second to go the ordinary way.
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""

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

# What `run` makes of what a command raises.
RAISE = """
import builtins, sys
import tensorflow as tf
from frame_io import command_line
from tf_inbetween.config import InputError

def reading():
    tf.io.read_file("nowhere.tfrecord")

@tf.function
def graph(x):
    tf.debugging.assert_greater(x, 3, message="no such gap")

def asserting():
    graph(tf.constant(1))

def raising(error):
    def main():
        raise error
    return main

def opening():
    open("nowhere.txt")

for main, more in (
    (raising(InputError("--x=1: must be 2")), {}),
    (opening, {}),
    (raising(OSError("no file, no number,\\nbut two lines")), {}),
    (raising(RuntimeError("a rendering process ended with code -9")), {}),
    (reading, {}),
    (asserting, {}),
    (raising(KeyboardInterrupt()), {}),
    (raising(KeyboardInterrupt()), {"on_interrupt": "it goes on"}),
):
    try:
        command_line.run(main, **more)
    except SystemExit as stop:
        print(stop.code)
"""


@pytest.fixture(scope="module")
def server():
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.stdin.close()


@pytest.fixture
def fork(server, tmp_path):
    """Runs a command like `run`, in the folder `tmp_path`; what it wrote there is `left`."""

    def run_forked(module, *arguments):
        request = [module, [str(argument) for argument in arguments], str(tmp_path)]
        print(json.dumps(request), file=server.stdin, flush=True)
        returncode = int(server.stdout.readline())
        stdout, stderr = (
            re.sub(TENSORFLOW_SAYS, "", (tmp_path / f".out{stream}").read_text())
            for stream in (1, 2)
        )
        left = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".out"))
        return SimpleNamespace(returncode=returncode, stdout=stdout, stderr=stderr, left=left)

    return run_forked


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


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("tf_inbetween.inbetween", [], "error: missing --run_dir, --output"),
        ("tf_inbetween.compare", ["--output=out"], "error: missing --run_dir"),
        ("tf_inbetween.study", ["--only=a,b"], "error: --only=a,b: must be among opening,paper,"),
        ("tf_inbetween.study", ["--seeds=a"], "error: --seeds=a: must be different whole numbers"),
        ("tf_inbetween.inbetween", ["--frames=0"], "error: --frames=0: 0 is not an integer in"),
        ("data_gen.build", ["--workers=-1"], "error: --workers=-1: -1 is not a non-negative"),
        ("data_gen.build", ["--seen=x"], "error: Unknown command line flag 'seen'. Did you mean"),
        ("data_gen.build", ["--flagfile=a"], "error: --flagfile=a: No such file or directory"),
        (
            "data_gen.build",
            [f"--flagfile={sys.executable}"],
            "error: --flagfile=.*: cannot be read as text$",
        ),
        ("data_gen.build", ["--scene=kettle"], "error: unknown scene 'kettle'; valid: .*teapot_1"),
        ("data_gen.build", ["teapot"], "error: unexpected argument 'teapot'"),
        ("data_gen.import_clips", [], "error: missing --name"),
        ("data_gen.import_clips", ["--name=a"], "error: missing --input, or --tfds"),
        (
            "data_gen.import_clips",
            ["--name=a", "--input=b.mp4"],
            "error: b.mp4: no such file or f",
        ),
        ("data_gen.import_clips", ["--name=a/b", "--input=."], "error: --name=a/b: only letters"),
        (
            "data_gen.import_clips",
            ["--name=a", "--input=b", "--crop=c"],
            "error: --crop=c: must be centre or x,y,w,h",
        ),
        (
            "data_gen.import_clips",
            ["--name=a", "--tfds=mnist"],
            "error: unknown --tfds=mnist; valid: bair_robot_pushing_small, coil100, moving_mnist, ",
        ),
        (
            "data_gen.import_clips",
            ["--name=a", "--tfds=coil100", "--input=b.mp4"],
            "error: --input and --tfds: give one or the other",
        ),
        (
            "data_gen.import_clips",
            ["--name=a", "--tfds=coil100", "--fps=3", "--crop=centre"],
            "error: --fps, --crop: means nothing with --tfds",
        ),
        (
            "data_gen.import_clips",
            ["--name=a", "--input=b.mp4", "--download"],
            "error: --download: means nothing with --input",
        ),
        (
            "data_gen.import_clips",
            ["--name=a", "--tfds=coil100", "--data_dir=data"],
            "error: --tfds=coil100: is not in data/coil100/2.0.0; --download gets it, 0.13 GB",
        ),
        ("data_gen.import_clips", ["a.mp4"], "error: unexpected argument|error: missing"),
    ],
)
def test_any_wrong_command_ends_in_one_clear_line(fork, module, arguments, message):
    result = fork(module, *arguments)
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


def test_help_lists_the_settings_of_the_command(fork):
    text = fork("tf_inbetween.train", "--help").stdout
    assert text.startswith("Trains a model")
    for flag in ("--alpha:", "--run_dir:", "--pairs:", "--[no]deterministic:", "--filters:"):
        assert f"  {flag}" in text
    text = fork("tf_inbetween.inbetween", "--help").stdout
    assert "  --first:" in text
    assert "  --alpha:" not in text


def test_what_a_command_raises_is_one_line(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", RAISE], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = [
        "error: --x=1: must be 2",
        "error: nowhere.txt: No such file or directory",
        "error: no file, no number, but two lines",
        "error: a rendering process ended with code -9",
        "error: nowhere.tfrecord; No such file or directory",
        r"error: assertion failed: \[no such gap\].*[^ ]",
        "interrupted",
        "interrupted: it goes on",
    ]
    for line, pattern in zip(result.stdout.splitlines(), expected, strict=True):
        assert re.fullmatch(pattern, line)


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
    assert result.stdout.strip() == f"wrote {output}: 9 frames"
    with PIL.Image.open(output) as picture:
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
    assert result.stdout == ("frames: 80x64 cut to the middle 64x64\nwrote slow.mp4: 17 frames\n")
    again = fork(
        *command, "--input=slow.mp4", "--fps=5", "--keyframe_path=spline", "--output=slow.gif"
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout == "wrote slow.gif: 33 frames\n"
    slower = ["--input=frames", "--folder_fps=10", "--fps=5", "--start=0.1"]
    paced = fork(*command, *slower, "--output=paced.gif")
    assert paced.returncode == 0, paced.stderr
    assert paced.stdout.endswith("wrote paced.gif: 5 frames\n")
    three = [f"--frame=frames/f{i}.png" for i in (0, 2, 4)]
    strip = fork(*command, *three, "--noends", "--output=strip.png")
    assert strip.stdout.endswith("wrote strip.png: 6 frames\n")
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
        ([], "missing --first and --second, or --frame twice or more, or --input"),
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


def final_weights(run_dir):
    """Model and optimizer, as the last checkpoint has them."""
    reader = tf.train.load_checkpoint(run_dir / "checkpoints")
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith(("model/", "optimizer/"))
    }


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
    weights, expected = final_weights(run_dir), final_weights(whole)
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
        text = ",".join(map(str, value)) if isinstance(value, tuple) else value
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
