"""Pictures of every kind that people have."""

import struct
import sys
import zlib

import numpy as np
import PIL.Image
import pytest

from frame_io import writing
from tf_inbetween import images
from tf_inbetween.config import InputError


def gradient(size=64):
    ramp = np.linspace(0, 255, size).astype(np.uint8)
    return np.stack(
        [
            np.tile(ramp, (size, 1)),
            np.tile(ramp[:, None], (1, size)),
            np.full((size, size), 90, np.uint8),
        ],
        -1,
    )


def save(path, array, **kwargs):
    PIL.Image.fromarray(array).save(path, **kwargs)
    return path


def test_rgb_is_read_as_it_is_without_a_word(tmp_path):
    said = []
    frame = images.read_frame(save(tmp_path / "a.png", gradient()), 64, 3, said.append)
    np.testing.assert_array_equal(frame, gradient().astype(np.float32) / 255)
    assert frame.dtype == np.float32
    assert said == []


def test_grey_is_repeated_to_rgb(tmp_path):
    frame = images.read_frame(save(tmp_path / "a.png", gradient()[..., 0]), 64, 3)
    for channel in range(3):
        np.testing.assert_allclose(frame[..., channel], gradient()[..., 0] / 255)


def test_rgb_becomes_luma_for_a_grey_model(tmp_path):
    frame = images.read_frame(save(tmp_path / "a.png", gradient()), 64, 1)
    expected = gradient() @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(frame[..., 0] * 255, expected, atol=0.6)


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.dstack([gradient(), np.tile(np.uint8([0, 255]), (64, 32))])
    frame = images.read_frame(save(tmp_path / "a.png", rgba), 64, 3)
    np.testing.assert_allclose(frame[:, ::2], 1)
    np.testing.assert_allclose(frame[:, 1::2], gradient()[:, 1::2] / 255)


def test_sixteen_bits_and_palettes_are_scaled_not_clipped(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    frame = images.read_frame(save(tmp_path / "deep.png", ramp), 64, 1)
    np.testing.assert_allclose(frame[..., 0], ramp / 65535, atol=0.003)
    PIL.Image.fromarray(gradient()).quantize(255).save(tmp_path / "palette.png")
    frame = images.read_frame(tmp_path / "palette.png", 64, 3)
    assert np.abs(frame - gradient() / 255).mean() < 0.05


def png(width, height, depth, colour_type, rows=()):
    """The bytes of a PNG that Pillow would not write; big-endian samples, row by row."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_sixteen_bit_rgb(tmp_path):
    deep = gradient().astype(">u2") * 257
    (tmp_path / "a.png").write_bytes(png(64, 64, 16, 2, deep))
    frame = images.read_frame(tmp_path / "a.png", 64, 3)
    np.testing.assert_allclose(frame * 255, gradient(), atol=1)


def test_big_endian_sixteen_bits(tmp_path):
    values = np.tile(np.linspace(0, 65535, 64).astype(">u2"), (64, 1))
    path = tmp_path / "a.tiff"
    PIL.Image.frombytes("I;16B", (64, 64), values.tobytes()).save(path)
    frame = images.read_frame(path, 64, 1)
    np.testing.assert_allclose(frame[..., 0], values / 65535, atol=0.003)


@pytest.mark.parametrize("channels", [1, 3])
def test_black_and_white(tmp_path, channels):
    black_and_white = gradient()[..., 0] > 128
    frame = images.read_frame(save(tmp_path / "a.png", black_and_white), 64, channels)
    np.testing.assert_array_equal(frame, np.repeat(black_and_white[..., None], channels, -1))


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_grey_and_transparent_palettes_are_laid_over_white(tmp_path, channels):
    grey = PIL.Image.new("LA", (64, 64), (0, 0))
    grey.paste((102, 255), (0, 0, 64, 32))
    grey.save(tmp_path / "grey.png")
    palette = PIL.Image.new("P", (64, 64), 1)
    palette.putpalette([102, 102, 102, 0, 0, 0])
    palette.paste(0, (0, 0, 64, 32))
    palette.save(tmp_path / "palette.png", transparency=1)
    for name in ("grey", "palette"):
        frame = images.read_frame(tmp_path / f"{name}.png", 64, channels)
        np.testing.assert_allclose(frame[:32], 0.4, atol=1e-6)
        np.testing.assert_array_equal(frame[32:], 1)


def test_cmyk(tmp_path):
    PIL.Image.new("CMYK", (64, 64), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
    frame = images.read_frame(tmp_path / "a.jpg", 64, 3)
    np.testing.assert_allclose(frame, np.broadcast_to([0, 1, 1], frame.shape), atol=0.02)


def test_floats_and_whole_numbers_are_read_only_in_their_range(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    frame = images.read_frame(save(tmp_path / "a.tiff", ramp), 64, 1)
    np.testing.assert_allclose(frame[..., 0], ramp, atol=0.003)
    for bad in (np.nan, -0.1, 1.5):
        path = save(tmp_path / "a.tiff", np.where(ramp == 1, np.float32(bad), ramp))
        with pytest.raises(InputError, match=r"a\.tiff: its values must be numbers from 0 to 1$"):
            images.read_frame(path, 64, 1)
    path = save(tmp_path / "a.tiff", np.full((64, 64), 70_000, np.int32))
    with pytest.raises(InputError, match="its values must be numbers from 0 to 65535"):
        images.read_frame(path, 64, 1)


def test_another_size_is_resized_with_a_notice(tmp_path):
    said = []
    frame = images.read_frame(save(tmp_path / "a.png", gradient(200)), 64, 3, said.append)
    assert frame.shape == (64, 64, 3)
    assert np.abs(frame - gradient() / 255).mean() < 0.01
    (notice,) = said
    assert "200x200 resized to 64x64" in notice


def test_a_wide_picture_is_cut_in_the_middle_not_squeezed(tmp_path):
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, 64:128] = 255
    said = []
    frame = images.read_frame(save(tmp_path / "a.png", wide), 64, 3, said.append)
    assert frame.min() == 1
    assert said == [f"{tmp_path}/a.png: 192x64 cut to the middle 64x64"]
    images.read_frame(tmp_path / "a.png", 32, 3, said.append)
    assert said[1] == f"{tmp_path}/a.png: 192x64 cut to the middle 64x64, resized to 32x32"


def test_names_beyond_ascii(tmp_path):
    path = tmp_path / "żółty czajnik 茶壶.png"
    frame = images.read_frame(save(path, gradient()), 64, 3)
    out = tmp_path / "między.gif"
    images.write_frames(out, frame[None])
    assert out.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"hello", "not a readable picture"), (b"", "not a readable picture")],
)
def test_what_is_no_picture(tmp_path, content, message):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        images.read_frame(path, 64, 3)


def test_a_truncated_picture(tmp_path):
    path = save(tmp_path / "a.png", gradient())
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="not a readable picture"):
        images.read_frame(path, 64, 3)


# Pillow reads the first size gladly, warns of the second and refuses the third.
@pytest.mark.parametrize(("width", "height"), [(2**14 + 1, 2**13), (13_000, 12_000), (20_000,) * 2])
def test_a_picture_of_too_many_pixels_is_refused(tmp_path, width, height):
    path = tmp_path / "a.png"
    path.write_bytes(png(width, height, 8, 0))
    with pytest.raises(
        InputError, match=r"a\.png: more than the 134,217,728 pixels that a picture"
    ):
        images.read_frame(path, 64, 1)


def test_a_large_picture_is_read_without_pillows_warning(tmp_path):
    path = tmp_path / "a.png"
    row = np.full(2**15 // 8, 255, np.uint8)
    path.write_bytes(png(2**15, 2800, 1, 0, [row] * 2800))
    said = []
    assert images.read_frame(path, 64, 1, said.append).min() == 1
    assert said == [f"{path}: 32768x2800 cut to the middle 2800x2800, resized to 64x64"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_an_animation_has_every_frame_and_loops(tmp_path, suffix, channels):
    frames = np.linspace(0, 1, 5)[:, None, None, None] * np.ones((5, 8, 8, channels))
    images.write_frames(tmp_path / f"a{suffix}", frames, seconds_per_frame=0.2, scale=2)
    with PIL.Image.open(tmp_path / f"a{suffix}") as picture:
        assert picture.n_frames == 5
        assert picture.size == (16, 16)
        assert picture.info["loop"] == 0
        picture.seek(4)
        assert np.asarray(picture.convert("L")).min() > 250


def test_a_strip_is_side_by_side(tmp_path):
    frames = np.stack([np.zeros((8, 8, 3)), np.ones((8, 8, 3))])
    images.write_frames(tmp_path / "a.png", frames)
    with PIL.Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (8, 16, 3)
    assert pixels[:, :8].max() == 0
    assert pixels[:, 8:].min() == 255


def test_an_unwritable_name_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(InputError, match=r"must end in one of \.apng, \.gif, .*, \.webm, \.png"):
        images.write_frames(tmp_path / "a.bmp", np.zeros((1, 8, 8, 3)))
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        writing.check_writable(tmp_path / "folder.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png"]


def test_a_number_in_the_name_gives_a_file_for_each_frame(tmp_path):
    frames = np.arange(12).reshape(12, 1, 1, 1) / 255 * np.ones((1, 2, 2, 3))
    images.write_frames(tmp_path / "new" / "%03d.png", frames)
    assert sorted(path.name for path in (tmp_path / "new").iterdir())[-1] == "012.png"
    with PIL.Image.open(tmp_path / "new" / "012.png") as picture:
        assert picture.getpixel((0, 0)) == (11, 11, 11)
    for name in ("%d.gif", "%s.png", "%d_%d.png", "100%.png"):
        with pytest.raises(InputError, match="% must be a number's, such as %04d, in the name of"):
            writing.check_writable(tmp_path / name)


def test_the_output_may_not_be_an_input(tmp_path):
    (tmp_path / "a.gif").touch()
    (tmp_path / "link.gif").symlink_to("a.gif")
    sources = [None, tmp_path / "nowhere.gif", str(tmp_path / "a.gif")]
    for name in ("a.gif", "link.gif"):
        with pytest.raises(InputError, match="is the input itself; name another file"):
            writing.check_writable(tmp_path / name, sources)
    writing.check_writable(tmp_path / "nowhere.gif", sources)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    images.write_frames(path, np.ones((1, 8, 8, 3)))
    before = path.read_bytes()

    def fail(self, target, **_):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(PIL.Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        images.write_frames(path, np.zeros((1, 8, 8, 3)))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_a_video_has_every_frame(tmp_path):
    av = pytest.importorskip("av")
    for channels in (1, 3):
        frames = (np.full((9, 7, channels), i / 4) for i in range(5))  # Odd sides, one by one.
        path = tmp_path / "żółw: 1.mp4"
        images.write_frames(path, frames, seconds_per_frame=0.04, scale=3)
        with av.open(f"file:{path}") as container:
            assert container.streams.video[0].average_rate == 25
            shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert [frame.shape for frame in shown] == [(28, 22, 3)] * 5
        np.testing.assert_allclose(
            [frame.mean() / 255 for frame in shown], np.arange(5) / 4, atol=0.02
        )
        assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_video_without_pyav_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"videos need the package av: pip install"):
        writing.check_writable(tmp_path / "a.mp4")


def test_the_frames_of_a_folder_are_read_as_pictures_are(tmp_path):
    (tmp_path / "frames").mkdir()
    for i in (10, 9):
        save(tmp_path / f"frames/f{i}.png", np.roll(gradient(100), 9 * i, axis=1))
    said = []
    frames = images.Footage(tmp_path / "frames", 64, 3, notify=said.append)
    assert len(frames) == 2
    for _ in range(2):
        for frame, i in zip(frames, (9, 10), strict=True):
            path = tmp_path / f"frames/f{i}.png"
            np.testing.assert_array_equal(frame, images.read_frame(path, 64, 3, said.append))
    assert said[0] == f"{tmp_path}/frames: 100x100 resized to 64x64"
    with pytest.raises(InputError, match="--crop=left: must be centre or x,y,w,h"):
        images.Footage(tmp_path / "frames", 64, 3, crop="left")
    with pytest.raises(InputError, match="frames: has no two frames from 1 to"):
        images.Footage(tmp_path / "frames", 64, 3, start=1)
    with pytest.raises(InputError, match="frames: has no two frames from 1 to 2 s; it is 2 s"):
        images.Footage(tmp_path / "frames", 64, 3, start=1, folder_fps=0.5)
    (tmp_path / "frames/f9.png").write_text("to be a picture")
    with pytest.raises(InputError, match=r"f9\.png: not a readable picture"):
        list(images.Footage(tmp_path / "frames", 64, 3))
