"""Every command as a person runs it: one clear line for what is wrong, and its help."""

import re
import subprocess
import sys

import pytest

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


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("tf_inbetween.inbetween", [], "error: missing --run_dir"),
        ("tf_inbetween.compare", ["--output=out"], "error: give either --run_dir or --recorded"),
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
            "error: --fps, --crop: cannot be used with --tfds",
        ),
        (
            "data_gen.import_clips",
            ["--name=a", "--input=b.mp4", "--download"],
            "error: --download: cannot be used with --input",
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
