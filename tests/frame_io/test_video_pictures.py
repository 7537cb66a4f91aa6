"""Frames of videos as players show them: colours, alpha, shape, orientation."""

import fractions

import numpy as np
import pytest
from footage_files import moving_square, read_frames, write_video

from frame_io import footage, pictures, video_pictures, videos

GREEN = (40, 200, 60)


def first(path):
    """The first frame, and what there is to say of the video."""
    clip = footage.look(path)
    _, picture = next(clip.pictures(np.arange(1)))
    return np.asarray(picture), clip.notes


def plain(width, height, colour=GREEN, count=2):
    return np.broadcast_to(np.uint8(colour), (count, height, width, len(colour)))


def tagged(matrix, primaries=1, transfer=1, full=False):
    """Of `write_video`: converts frames by a matrix, and says so in the stream."""

    def prepare(stream):
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, 2 if full else 1
        context.color_primaries, context.color_trc = primaries, transfer

    def convert(frame):
        converted = frame.reformat(
            format="yuv444p",
            dst_colorspace=9 if matrix == 10 else matrix,
            dst_color_range=2 if full else 1,
        )
        converted.colorspace = matrix
        return converted

    return {"prepare": prepare, "convert": convert, "pixels": "yuv444p"}


def untagged(matrix):
    def convert(frame):
        frame = frame.reformat(format="yuv420p", dst_colorspace=matrix)
        frame.colorspace = 2
        return frame

    return {"convert": convert}


@pytest.mark.parametrize(
    ("width", "height", "matrix"),
    [(1280, 544, 1), (1280, 720, 1), (406, 720, 1), (1024, 576, 5), (720, 576, 5), (64, 48, 5)],
)
def test_untagged_colours_are_by_size(tmp_path, width, height, matrix):
    path = write_video(tmp_path / "a.mp4", plain(width, height), **untagged(matrix))
    frame, _ = first(path)
    np.testing.assert_allclose(frame[height // 2, width // 2], GREEN, atol=3)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9, 10])
def test_tagged_colours_are_by_their_tags(tmp_path, matrix, full):
    path = write_video(tmp_path / "a.mp4", plain(64, 48), **tagged(matrix, full=full))
    frame, notes = first(path)
    np.testing.assert_allclose(frame[24, 32], GREEN, atol=3)
    assert notes == ()


def test_wide_colours_become_those_of_srgb(tmp_path):
    # (200, 120, 60) in the primaries of Display P3.
    path = write_video(tmp_path / "a.mp4", plain(64, 48, (189, 124, 72)), **tagged(1, 12, 13))
    frame, notes = first(path)
    np.testing.assert_allclose(frame[24, 32], (200, 120, 60), atol=3)
    assert notes == ("its wide colours: converted to sRGB",)


@pytest.mark.parametrize(
    ("transfer", "name"), [(16, "PQ"), pytest.param(18, "HLG", marks=pytest.mark.slow)]
)
def test_a_high_dynamic_range_is_tone_mapped(tmp_path, transfer, name):
    steps = np.repeat(np.linspace(0, 255, 6).astype(np.uint8), 16)
    frames = np.broadcast_to(steps[:, None], (2, 48, 96, 3))
    path = write_video(tmp_path / "a.mp4", frames, **tagged(9, 9, transfer))
    frame, notes = first(path)
    assert notes == (f"its high dynamic range ({name}): tone-mapped",)
    shades = frame[24, 8::16].astype(int)
    assert np.ptp(shades, axis=1).max() <= 3
    shades = shades.mean(axis=1)
    assert shades[0] < 3
    assert shades[-1] > 250
    assert np.all(np.diff(shades) > 10)
    # Of the dark fifth a display of high range shows next to nothing; read as it is, it is a grey.
    assert shades[1] < 40


def test_where_ffmpeg_cannot_tone_map_one_line_says_so(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", plain(64, 48), **tagged(9, 9, 16))

    def missing(frame, *filters):
        raise ValueError("no such option")

    monkeypatch.setattr(video_pictures, "graph", missing)
    frame, (note,) = first(path)
    assert "(PQ): not tone-mapped, so it looks pale; FFmpeg 8 can" in note
    np.testing.assert_allclose(frame[24, 32], GREEN, atol=3)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.webm", "libvpx"), ("a.webm", "libvpx-vp9"), ("a.mkv", "libvpx-vp9")]
)
def test_the_alpha_of_vp8_and_vp9_is_read(tmp_path, name, codec):
    frames = np.dstack([moving_square(1)[0], np.full((48, 64), 255, np.uint8)])
    frames[24:, :, 3], frames[:24, 32:, 3] = 0, 128
    path = write_video(
        tmp_path / name,
        np.stack([frames] * 4),
        codec=codec,
        pixels="yuva420p",
        encoding={"auto-alt-ref": "0"},
        prepare=lambda stream: stream.metadata.update(alpha_mode="1"),
    )
    clip = footage.look(path)
    pictured = [picture for _, picture in clip.pictures(np.arange(4))]
    assert [picture.mode for picture in pictured] == ["RGBA"] * 4
    alpha = np.asarray(pictured[-1])[..., 3].astype(int)
    np.testing.assert_allclose(alpha[[12, 12, 36], [16, 48, 48]], (255, 128, 0), atol=2)
    assert np.all(pictures.convert(pictured[-1], 48, 3)[30:] == 255)


def turned_matrix(a, b, c, d):
    return {
        "prepare": lambda stream: stream.set_display_matrix(
            [65536 * a, 65536 * b, 0, 65536 * c, 65536 * d, 0, 0, 0, 1 << 30]
        )
    }


# By ISO 14496-12, 6.2.2: x' = a x + c y, y' = b x + d y, y downwards.
ORIENTATIONS = {
    (1, 0, 0, 1): lambda frame: frame,
    (-1, 0, 0, 1): np.fliplr,
    (1, 0, 0, -1): np.flipud,
    (-1, 0, 0, -1): lambda frame: np.rot90(frame, 2),
    (0, 1, -1, 0): lambda frame: np.rot90(frame, -1),
    (0, -1, 1, 0): np.rot90,
    (0, 1, 1, 0): lambda frame: frame.swapaxes(0, 1),
    (0, -1, -1, 0): lambda frame: np.rot90(frame, 2).swapaxes(0, 1),
}


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("matrix", ORIENTATIONS)
def test_a_video_stands_as_its_display_matrix_says(tmp_path, matrix, name):
    stored = np.full((48, 64, 3), 60, np.uint8)
    stored[:24, :32], stored[:24, 32:], stored[24:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    path = write_video(tmp_path / name, np.stack([stored] * 2), **turned_matrix(*matrix))
    frame, _ = first(path)
    shown = ORIENTATIONS[matrix](stored)
    assert frame.shape == shown.shape
    assert np.abs(frame.astype(int) - shown).mean() < 5


@pytest.mark.parametrize(
    ("name", "codec", "aspect", "size"),
    [
        ("a.mp4", "libx264", (64, 45), (91, 48)),
        ("a.mkv", "libx264", (8, 9), (64, 54)),
        ("a.avi", "mpeg4", (12, 11), (70, 48)),
        ("a.ts", "mpeg2video", (4, 3), (85, 48)),
    ],
)
def test_pixels_are_made_square(tmp_path, name, codec, aspect, size):
    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = fractions.Fraction(*aspect)

    path = write_video(tmp_path / name, moving_square(12), codec=codec, prepare=prepare)
    frame, (note,) = first(path)
    assert frame.shape == (*size[::-1], 3)
    assert f"{aspect[0]}:{aspect[1]}, are made square: 64x48 becomes {size[0]}x{size[1]}" in note
    assert np.abs(frame[1].astype(int) - (0, 0, 255)).mean() < 8  # The bar, all across.
    turned = write_video(
        tmp_path / "b.mp4", moving_square(3), rotation=90, prepare=prepare, encoding={"bf": "0"}
    )
    assert first(turned)[0].shape == (*size, 3)


def test_pixels_that_become_too_many_as_squares_are_refused(tmp_path, monkeypatch):
    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = fractions.Fraction(2, 1)

    path = write_video(tmp_path / "a.mp4", moving_square(3), prepare=prepare)
    monkeypatch.setattr(videos, "MAX_FRAME_PIXELS", 4000)  # 64x48 are 3,072.
    with pytest.raises(ValueError, match=r"a\.mp4: more than 4,000 pixels"):
        footage.look(path)


@pytest.mark.parametrize(
    ("name", "codec", "encoding"),
    [
        ("a.mp4", "libx264", {"x264-params": "bff=1:interlaced=1", "crf": "8"}),
        ("a.ts", "mpeg2video", {"flags": "+ildct+ilme", "qscale": "2"}),
    ],
)
def test_interlaced_frames_are_deinterlaced(tmp_path, name, codec, encoding):
    moments = np.full((24, 96, 128, 3), 30, np.uint8)
    for i, frame in enumerate(moments):
        frame[:, 2 * i : 2 * i + 20] = 220
    frames = moments[::2].copy()  # The lower field comes first, as these encoders say.
    frames[:, ::2] = moments[1::2, ::2]
    path = write_video(tmp_path / name, frames, codec=codec, encoding=encoding)
    assert footage.look(path).notes == ("its interlaced frames are deinterlaced",)
    shown = read_frames(path).astype(int)
    assert np.abs(shown - moments[::2]).mean() < 1
    assert np.abs(np.diff(shown, axis=1)).mean() < 0.5  # Combs are 6.


def test_what_is_not_interlaced_stays_as_it_is(tmp_path):
    frames = moving_square(6)
    frames[:, 8::2] //= 2
    path = write_video(tmp_path / "a.mp4", frames)
    assert footage.look(path).notes == ()
    assert np.abs(read_frames(path).astype(int) - frames).mean() < 4
