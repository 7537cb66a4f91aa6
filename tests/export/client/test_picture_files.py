"""Pictures that are sent, and frames that are written."""

import io
import struct
from pathlib import Path

import av
import icc_profiles
import numpy as np
import PIL.Image
import pytest
from hostile_files import png_of, transparent_colour
from picture_bytes import pixels_of, png

from export.client import picture_files
from frame_io import writing
from frame_io.errors import InputError


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
        pixels = np.asarray(picture.convert("RGB"), np.float32)
    np.testing.assert_allclose(pixels, gradient(), atol=24 if name == "a.gif" else 0)


def test_what_exif_turns_is_sent_upright(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees, clockwise.
    PIL.Image.fromarray(gradient()).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    pixels = pixels_of(picture_files.read(tmp_path / "a.jpg"))
    np.testing.assert_allclose(pixels, np.rot90(gradient(), -1), atol=12)


def test_sixteen_bits_floats_and_cmyk_are_sent_as_eight_bits(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
    PIL.Image.fromarray(ramp).save(tmp_path / "a.png")
    PIL.Image.fromarray((ramp / 65535).astype(np.float32)).save(tmp_path / "a.tiff")
    for name in ("a.png", "a.tiff"):
        np.testing.assert_allclose(
            pixels_of(picture_files.read(tmp_path / name)), ramp / 257, atol=0.51
        )
    PIL.Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
    pixels = pixels_of(picture_files.read(tmp_path / "a.jpg"))
    np.testing.assert_allclose(pixels, np.broadcast_to([0, 255, 255], pixels.shape), atol=5)


def test_colours_of_a_profile_are_sent_as_srgb(tmp_path):
    green = PIL.Image.new("RGB", (8, 8), (117, 199, 75))
    green.save(tmp_path / "a.png", icc_profile=icc_profiles.adobe_rgb())
    pixels = pixels_of(picture_files.read(tmp_path / "a.png"))
    np.testing.assert_allclose(pixels, np.broadcast_to([40, 200, 60], pixels.shape), atol=2)


def test_a_transparent_colour_of_sixteen_bits_is_sent_as_alpha(tmp_path):
    rows = [struct.pack(">3H", 0, 30000, 65535)] * 3
    (tmp_path / "a.png").write_bytes(png_of(rows, 3, 16, 0, transparent_colour(30000)))
    with PIL.Image.open(io.BytesIO(picture_files.read(tmp_path / "a.png"))) as picture:
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(alpha, np.tile([255, 0, 255], (3, 1)))


def test_large_pictures_are_sent_smaller(tmp_path):
    PIL.Image.fromarray(gradient(2048, 512)).save(tmp_path / "a.png")
    assert pixels_of(picture_files.read(tmp_path / "a.png")).shape == (256, 1024, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"a\.png: no such file$"),
        (b"hello", r"a\.png: not a readable picture \(unknown format\)"),
        (b"", r"a\.png: not a readable picture \(unknown format\)"),
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
        ("a.bmp", r"must end in one of \.apng, \.gif, \.webp, \.mp4, \.mov, \.mkv, \.webm, \.png$"),
        ("folder.png", "is a folder"),
        ("file/a.png", "cannot be written: .*file is not a folder you can write to"),
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
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
