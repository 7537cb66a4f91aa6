"""The client against a real server of a stand-in model, and against servers that misbehave."""

import contextlib
import http.server
import io
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest

from export import client
from export.client import ServerError, __main__, picture_files
from frame_io import writing
from frame_io.errors import InputError

ROOT = Path(__file__).parents[2]


def png(pixels):
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def pixels_of(content):
    with PIL.Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture)


def blend(first, second, t):
    """What the stand-in draws."""
    return np.rint((1 - np.float32(t)) * first + np.float32(t) * second).astype(np.uint8)


def noise(seed, size=32):
    return np.random.default_rng(seed).integers(0, 200, (size, size, 3), np.uint8)


@pytest.fixture(params=["rest", "grpc"])
def server(request, blend_server):
    return blend_server[request.param == "grpc"]


@pytest.fixture
def blend_client(server):
    return client.connect(server, "blend")


def test_frames_and_confidence(blend_client):
    first, second = noise(0), noise(1)
    frames, confidence = client.draw(blend_client, png(first), png(second), [0, 0.25, 1])
    assert confidence == 0.875
    for frame, t in zip(frames, [0, 0.25, 1], strict=True):
        np.testing.assert_allclose(pixels_of(frame), blend(first, second, t), atol=1)


def test_frames_are_the_same_in_many_requests_as_in_one(blend_client, monkeypatch):
    first, second = png(noise(0)), png(noise(1))
    t = np.linspace(0, 1, 5)
    whole, _ = client.draw(blend_client, first, second, t)
    monkeypatch.setattr(client, "_MAX_FRAMES", 2)
    assert client.draw(blend_client, first, second, t)[0] == whole


def test_predict_returns_what_the_signature_says(blend_client):
    file = png(noise(0))
    found = blend_client.predict({"first_bytes": [file], "second_bytes": [file], "t": [1]})
    assert found.keys() == {"frame_bytes", "confidence"}
    assert found["confidence"].dtype == np.float32
    assert found["frame_bytes"].shape == (1,)
    assert isinstance(found["frame_bytes"][0], bytes)


def test_a_single_output_has_its_name(blend_client):
    file = png(noise(0))
    inputs = {"first_bytes": [file] * 2, "second_bytes": [file] * 2, "t": np.zeros([2, 3])}
    found = blend_client.predict(inputs, "sequence_png")
    assert found.keys() == {"frame_bytes"}
    assert found["frame_bytes"].shape == (2, 3)


def test_status_and_metadata_are_alike_over_both_protocols(blend_server):
    rest, grpc = (client.connect(server, "blend") for server in blend_server)
    (version,) = rest.status()["model_version_status"]
    assert (version["version"], version["state"]) == ("1", "AVAILABLE")
    assert grpc.status() == rest.status()
    for each in (rest, grpc):
        assert each.metadata()["model_spec"]["name"] == "blend"
        signatures = each.metadata()["metadata"]["signature_def"]["signature_def"]
        assert signatures["inbetween_png"]["inputs"]["t"]["dtype"] == "DT_FLOAT"


def test_a_version_can_be_asked_for(server):
    file = png(noise(0))
    for version, known in [(1, True), (2, False)]:
        asked = client.connect(server, "blend", version=version)
        if known:
            assert client.draw(asked, file, file, [0.5])[1] == 0.875
        else:
            with pytest.raises(ServerError, match=f"{server} has no model blend version 2: .+"):
                client.draw(asked, file, file, [0.5])


def test_an_unknown_model(server):
    with pytest.raises(ServerError, match=f"{server} has no model kettle: .+"):
        client.connect(server, "kettle").metadata()


def test_an_unknown_label(server):
    with pytest.raises(ServerError, match=f"{server}.*: .+"):
        client.connect(server, "blend", label="no such").metadata()


def test_an_unknown_signature_or_input_names_those_there_are(blend_client):
    with pytest.raises(InputError, match=r"no signature 'x'; it has inbetween_png, s"):
        blend_client.predict({}, "x")
    with pytest.raises(InputError, match=r"no input 'z'; it has first_bytes, second_bytes, t$"):
        blend_client.predict({"z": [1]}, "inbetween_png")
    with pytest.raises(InputError, match="input t: "):
        blend_client.predict({"t": ["soon"]}, "inbetween_png")


def test_what_the_server_refuses_is_said_in_its_words(server, blend_client):
    with pytest.raises(ServerError) as refused:
        client.draw(blend_client, png(noise(0, 13)), png(noise(1)), [0.5])
    assert str(refused.value).startswith(server)
    assert "pictures of 13 pixels are refused" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.fixture
def silent_port():
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_does_not_answer(scheme, silent_port):
    late = client.connect(f"{scheme}://127.0.0.1:{silent_port}", "blend", timeout_s=0.2)
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:\d+: no answer within 0\.2 s$"):
        late.status()


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_no_server(scheme, silent_port):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServerError, match=rf":{port} cannot be reached: .*[Cc]onnection refused"):
        client.connect(f"{scheme}://127.0.0.1:{port}", "blend").status()


@contextlib.contextmanager
def answering(status, content, length=None):
    """The address of a server that gives every request the same answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(length or len(content)))
            self.end_headers()
            self.wfile.write(content)
            if length:
                wait.wait(10)

        def log_message(self, *_):
            pass

    wait = threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as stub:
        thread = threading.Thread(target=stub.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{stub.server_port}"
        finally:
            wait.set()
            stub.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (200, b"<p>Welcome</p>", "answers, but not as TF Serving does"),
        (200, b"[1]", "answers, but not as TF Serving does"),
        (200, b'{"hello": 1}', "answers, but not as TF Serving does"),
        (502, b"<p>Bad\nGateway</p>", "HTTP 502: Bad Gateway"),
        (503, b'{"error": "queue\\nis full"}', "HTTP 503: queue is full"),
        (404, b"<p>Nothing here</p>", "HTTP 404: Not Found"),
    ],
)
def test_servers_of_other_kinds(status, content, message):
    with (
        answering(status, content) as address,
        pytest.raises(ServerError, match=f"^{address}:? {message}$"),
    ):
        client.connect(address, "blend").predict({"t": [0]})


FOREIGN = {
    "too few frames": {"frame_bytes": np.array([[b"x", b"x"]], object)},
    "a flat list": {"frame_bytes": np.array([b"x", b"x", b"x"], object)},
    "numbers": {"frame_bytes": np.array([[1, 2, 3]], object)},
    "no frames": {"frames": np.zeros(3)},
    "no confidence": {"confidence": None},
    "two confidences": {"confidence": np.float32([1, 1])},
    "confidence in words": {"confidence": np.array([b"high"], object)},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_answers_that_are_not_of_such_a_model_are_an_error(name, monkeypatch):
    """Whatever another model makes of the same signatures, no wrong film comes of it."""

    def predict(inputs, signature):
        found = {"confidence": np.float32([1])}
        if signature == "sequence_png":
            found = {"frame_bytes": np.array([[b"x"] * 3], object)}
        if found.keys() & FOREIGN[name].keys() or "frames" in FOREIGN[name]:
            found = {key: value for key, value in FOREIGN[name].items() if value is not None}
        return found

    asked = client.connect("http://127.0.0.1:1", "blend")
    monkeypatch.setattr(asked, "predict", predict)
    with pytest.raises(ServerError, match="answers, but not as TF Serving does"):
        client.draw(asked, b"", b"", [0.1, 0.5, 0.9])


@pytest.mark.parametrize("file", [b"hello", b"", b"\x89PNG\r\n\x1a\n"])
def test_frames_that_are_no_pictures_are_an_error(file):
    asked = client.connect("http://127.0.0.1:1", "blend")
    with pytest.raises(ServerError, match="answers, but not as TF Serving does"):
        __main__._open(asked, file)


@pytest.mark.parametrize(
    "signatures", [{"serving_default": "x"}, {"serving_default": {"inputs": []}}, [], "x"]
)
def test_metadata_of_another_shape_is_an_error(signatures):
    content = {"metadata": {"signature_def": {"signature_def": signatures}}}
    with (
        answering(200, json.dumps(content).encode()) as address,
        pytest.raises(ServerError, match="answers, but not as TF Serving does"),
    ):
        client.connect(address, "blend").predict({"t": [0]})


def test_an_answer_that_stops_half_way_is_late():
    with (
        answering(200, b"{", length=100) as address,
        pytest.raises(ServerError, match=r"no answer within 0\.2 s$"),
    ):
        client.connect(address, "blend", timeout_s=0.2).status()


@pytest.mark.parametrize("address", ["127.0.0.1:8501", "ftp://a", "http://", "http://a:b", ""])
def test_addresses_that_are_none(address):
    with pytest.raises(InputError, match="is no server: http://HOST:PORT or grpc://HOST:PORT"):
        client.connect(address, "blend")


def test_a_version_or_a_label():
    with pytest.raises(InputError, match="a version or a label, not both"):
        client.connect("http://a", "blend", version=1, label="stable")


def gradient(width=40, height=30):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 / width, y * 255 / height, 0 * x + 90], -1).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "mode"), [("a.png", "RGB"), ("a.jpg", "RGB"), ("a.png", "L"), ("a.png", "RGBA")]
)
def test_png_and_jpeg_are_sent_as_they_are(tmp_path, name, mode):
    PIL.Image.fromarray(gradient()).convert(mode).save(tmp_path / name)
    assert picture_files.read(tmp_path / name) == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("name", ["a.webp", "a.tiff", "a.bmp", "a.gif"])
def test_other_kinds_are_sent_as_png(tmp_path, name):
    PIL.Image.fromarray(gradient()).save(tmp_path / name, lossless=True)
    content = picture_files.read(tmp_path / name)
    assert content.startswith(b"\x89PNG")
    with PIL.Image.open(io.BytesIO(content)) as picture:
        found = np.asarray(picture.convert("RGB"), np.float32)
    np.testing.assert_allclose(found, gradient(), atol=24 if name == "a.gif" else 0)


def test_what_exif_turns_is_sent_upright(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees, clockwise.
    PIL.Image.fromarray(gradient()).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    found = pixels_of(picture_files.read(tmp_path / "a.jpg"))
    np.testing.assert_allclose(found, np.rot90(gradient(), -1), atol=12)


def test_sixteen_bits_floats_and_cmyk_are_sent_as_eight_bits(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
    PIL.Image.fromarray(ramp).save(tmp_path / "a.png")
    PIL.Image.fromarray((ramp / 65535).astype(np.float32)).save(tmp_path / "a.tiff")
    for name in ("a.png", "a.tiff"):
        np.testing.assert_allclose(
            pixels_of(picture_files.read(tmp_path / name)), ramp / 257, atol=0.51
        )
    PIL.Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
    found = pixels_of(picture_files.read(tmp_path / "a.jpg"))
    np.testing.assert_allclose(found, np.broadcast_to([0, 255, 255], found.shape), atol=5)


def test_large_pictures_are_sent_smaller(tmp_path):
    PIL.Image.fromarray(gradient(2048, 512)).save(tmp_path / "a.png")
    assert pixels_of(picture_files.read(tmp_path / "a.png")).shape == (256, 1024, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"a\.png: no such file$"),
        (b"hello", r"a\.png: not a readable picture \(of no kind that is known\)"),
        (b"", r"a\.png: not a readable picture \(of no kind that is known\)"),
        (png(gradient())[:100], r"a\.png: not a readable picture \("),
    ],
)
def test_what_is_no_picture(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=message):
        picture_files.read(tmp_path / "a.png")


def frames_of(*shades, size=(7, 5)):
    return [PIL.Image.new("RGB", size, (shade, 0, 0)) for shade in shades]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_animations_have_every_frame_and_loop(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    picture_files.write(path, frames_of(10, 100, 200), seconds_per_frame=0.2, scale=2)
    with PIL.Image.open(path) as picture:
        assert (picture.n_frames, picture.size, picture.info["loop"]) == (3, (14, 10), 0)
        picture.seek(2)
        assert abs(picture.convert("RGB").getpixel((13, 9))[0] - 200) < 2
        assert picture.info["duration"] == 200


def test_frames_of_any_mode_are_written_in_their_colours(tmp_path):
    """Another server's PNGs may have a palette or an alpha channel."""
    for mode in ("P", "RGBA", "1"):
        frame = PIL.Image.new("RGB", (2, 2), "white").convert(mode)
        picture_files.write(tmp_path / "a.png", [frame, frame])
        with PIL.Image.open(tmp_path / "a.png") as picture:
            assert (picture.mode, picture.size) == ("RGB", (4, 2))
            assert picture.getpixel((3, 1)) == (255, 255, 255)


def test_a_film_has_every_frame_and_even_sides(tmp_path):
    path = tmp_path / "12:30.mp4"  # To FFmpeg "12:" is a protocol.
    picture_files.write(path, frames_of(10, 100, 200), seconds_per_frame=0.25)
    with av.open(f"file:{path}") as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate) == (8, 6, 4)
        shades = [frame.to_ndarray(format="rgb24")[..., 0].mean() for frame in film.decode(stream)]
    np.testing.assert_allclose(shades, [10, 100, 200], atol=6)


def test_a_strip_is_side_by_side(tmp_path):
    picture_files.write(tmp_path / "a.png", frames_of(0, 200))
    with PIL.Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (5, 14, 3)
    np.testing.assert_array_equal(pixels[0, :, 0], [0] * 7 + [200] * 7)


def test_unwritable_names(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    for name, message in [
        ("a.bmp", r"must end in one of \.apng, \.gif, \.webp, \.mp4, \.png$"),
        ("folder.png", "is a folder"),
        ("file/a.png", "cannot be written: .*file is no folder that you may write to"),
    ]:
        with pytest.raises(InputError, match=message):
            writing.check_writable(tmp_path / name)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    picture_files.write(path, frames_of(1))
    before = path.read_bytes()

    def fail(self, target, **_):
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(PIL.Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        picture_files.write(path, frames_of(2))
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["a.png"]


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
    assert done.stdout.splitlines() == ["wrote out/x.gif: 9 frames", "[]"]
    with PIL.Image.open(pictures / "out" / "x.gif") as picture:
        assert (picture.n_frames, picture.size) == (9, (64, 64))


def test_the_command_over_grpc_and_its_warning(pictures, blend_server):
    done = run(
        pictures,
        *("--first=white.webp", "--second=b.png", "--frames=3", "--output=x.png", "--noends"),
        *("--model=blend", f"--server={blend_server[1]}"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote x.png: 3 frames\n"
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
        (["--server=here"], "", "error: 'here' is no server: http://HOST:PORT or grpc://HOST:PORT"),
        (["--server=http://127.0.0.1:1"], "", "error: http://127.0.0.1:1 cannot be reached: Conn"),
        (["--frames=0"], "", "error: --frames=0"),
        (["--model_version=1", "--label=x"], "", "error: a version or a label, not both"),
        (["--server=grpc://127.0.0.1:1"], "sys.modules['grpc'] = None", "error: no package grpc: "),
        (
            ["--output=x.mp4"],
            "sys.modules['av'] = None",
            "error: x.mp4: films need the package av: ",
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


def test_no_proxy_stands_between_here_and_this_machine(blend_server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for server in blend_server:
        (version,) = client.connect(server, "blend").status()["model_version_status"]
        assert json.loads(version["version"]) == 1
