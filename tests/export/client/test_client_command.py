"""The command `python -m export.client`, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from picture_bytes import noise, pixels_of, png

from export import client
from export.client import ServerError, __main__

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("file", [b"hello", b"", b"\x89PNG\r\n\x1a\n"])
def test_frames_that_are_no_pictures_are_an_error(file):
    asked = client.connect("http://127.0.0.1:1", "blend")
    with pytest.raises(ServerError, match="does not answer like TF Serving"):
        __main__._open(asked, file)


def run(folder, *arguments, before=""):
    """Runs the command in a process of its own, after a line of Python."""
    code = f"import runpy, sys\n{before}\nrunpy.run_module('export.client', run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def pictures(tmp_path):
    """A folder with a.png, b.png and c.png, which the model knows, and white.webp."""
    for seed, name in enumerate("abc"):
        (tmp_path / f"{name}.png").write_bytes(png(noise(seed, 64)))
    PIL.Image.new("RGB", (40, 40), "white").save(tmp_path / "white.webp", lossless=True)
    return tmp_path


LOADED = """
import atexit
@atexit.register
def tell():
    loaded = {name.partition(".")[0] for name in sys.modules}
    print(sorted(loaded & {"tensorflow", "tf_inbetween", "keras", "grpc", "google"}))
"""


def test_the_command_over_rest_imports_neither_tensorflow_nor_the_model(pictures, blend_server):
    done = run(
        pictures,
        *("--first=a.png", "--second=b.png", "--then=c.png", "--frames=3", "--output=out/x.gif"),
        *("--model=blend", f"--server={blend_server[0]}", "--scale=2"),
        before=LOADED,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "wrote out/x.gif: 9 frames of 64x64, 10 a second, 0.9 s",
        "[]",
    ]
    with PIL.Image.open(pictures / "out" / "x.gif") as picture:
        assert (picture.n_frames, picture.size) == (9, (64, 64))


def test_the_command_over_grpc_and_its_warning(pictures, blend_server):
    done = run(
        pictures,
        *("--first=white.webp", "--second=b.png", "--frames=3", "--output=x.png", "--noends"),
        *("--model=blend", f"--server={blend_server[1]}"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote x.png: 3 frames of 32x32\n"
    said = done.stderr.splitlines()[-1]  # After what TensorFlow says at its start.
    assert said == (
        "warning: white.webp, b.png: confidence 0.062: at least one of them is unlike the training"
        " pictures, or they are too far apart"
    )
    strip = pixels_of((pictures / "x.png").read_bytes())
    assert strip.shape == (32, 96, 3)


def test_the_ends_are_the_pictures_themselves(pictures, blend_server):
    given = ("--first=a.png", "--second=b.png", "--frames=1", "--output=x.png")
    done = run(pictures, *given, "--model=blend", f"--server={blend_server[0]}")
    assert done.returncode == 0, done.stderr
    strip = pixels_of((pictures / "x.png").read_bytes())
    for name, left in [("a", 0), ("b", 64)]:
        with PIL.Image.open(pictures / f"{name}.png") as picture:
            end = picture.resize((32, 32), PIL.Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(strip[:, left : left + 32], np.asarray(end))


@pytest.mark.parametrize(
    ("given", "before", "message"),
    [
        (["--first=d.png"], "", "error: d.png: no such file"),
        (["--output=b.png"], "", "error: --output=b.png: is the input itself; name another file"),
        (["--output=x.bmp"], "", "error: x.bmp: the name must end in one of .apng, "),
        (
            ["--server=here"],
            "",
            "error: 'here' is not a server: use http://HOST:PORT or grpc://HOST:PORT",
        ),
        (["--server=http://127.0.0.1:1"], "", "error: http://127.0.0.1:1 cannot be reached: Conn"),
        (["--frames=0"], "", "error: --frames=0"),
        (["--model_version=1", "--label=x"], "", "error: a version or a label, not both"),
        (["--server=grpc://127.0.0.1:1"], "sys.modules['grpc'] = None", "error: no package grpc: "),
        (
            ["--output=x.mp4"],
            "sys.modules['av'] = None",
            "error: x.mp4: videos need the package av: ",
        ),
        ([], "sys.modules['requests'] = None", "error: no package requests: pip install 'tf_inb"),
    ],
)
def test_what_goes_wrong_is_one_line(pictures, given, before, message):
    done = run(pictures, "--first=a.png", "--second=b.png", "--output=x.gif", *given, before=before)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(message)
    assert not (pictures / "x.gif").exists()
