"""Videos: their colours by FFmpeg's own values, their rate, their alpha."""

from fractions import Fraction

import numpy as np
import pytest

from frame_io import writing

av = pytest.importorskip("av")

KINDS = [".mp4", ".mov", ".mkv", ".webm"]
BT709, LIMITED = 1, 1


def decoded(path, codec=None):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = av.CodecContext.create(codec, "r") if codec else stream.codec_context
        return [frame for packet in container.demux(stream) for frame in context.decode(packet)]


@pytest.mark.parametrize("size", [(16, 18), (360, 640), (720, 1280)])
@pytest.mark.parametrize("kind", KINDS)
def test_colours_are_tagged_and_come_back(tmp_path, kind, size):
    path = tmp_path / f"a{kind}"
    writing.write(path, np.full((2, *size, 3), (40, 200, 60), np.uint8), Fraction(1, 25))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        tags = context.colorspace, context.color_primaries, context.color_trc, context.color_range
    assert tags == (BT709, BT709, BT709, LIMITED)
    for frame in decoded(path):
        pixels = frame.to_ndarray(format="rgb24")  # With the matrix of the file's own tag.
        assert pixels.shape == (*size, 3)
        np.testing.assert_allclose(pixels.reshape(-1, 3).astype(int) - (40, 200, 60), 0, atol=3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [Fraction(60), Fraction(24000, 1001), Fraction(60000, 1001)])
def test_the_rate_is_exact(tmp_path, kind, rate):
    path = tmp_path / f"a{kind}"
    written = writing.write(path, np.zeros((5, 16, 16, 3), np.uint8), 1 / rate)
    assert str(written) == (
        f"5 frames of 16x16, {float(rate):.6g} a second, {5 / float(rate):.4g} s, no sound"
    )
    with av.open(str(path)) as container:
        assert abs(container.streams.video[0].average_rate - rate) < 0.01 * rate
        assert abs(container.duration / 1e6 - 5 / rate) < 2e-3
    times = [frame.time for frame in decoded(path)]
    np.testing.assert_allclose(times, np.arange(5) / float(rate), atol=1e-3)


@pytest.mark.parametrize("kind", [".mov", ".webm"])
def test_alpha_is_kept(tmp_path, kind):
    frames = np.full((3, 24, 30, 4), (200, 40, 60, 255), np.uint8)
    frames[:, :12, :, 3] = 0
    frames[:, :, 20:, 3] = 128
    writing.write(tmp_path / f"a{kind}", frames)
    got = decoded(tmp_path / f"a{kind}", "libvpx-vp9" if kind == ".webm" else None)
    assert len(got) == 3
    pixels = got[1].to_ndarray(format="rgba").astype(int)
    np.testing.assert_allclose(pixels[2:9, 2:18, 3], 0, atol=4)
    np.testing.assert_allclose(pixels[15:, 22:, 3], 128, atol=4)
    np.testing.assert_allclose(pixels[15:, :18] - (200, 40, 60, 255), 0, atol=6)


@pytest.mark.parametrize("kind", [".mp4", ".mkv"])
def test_alpha_is_laid_over_white_elsewhere(tmp_path, kind):
    frames = np.full((2, 16, 16, 4), (200, 40, 60, 0), np.uint8)
    writing.write(tmp_path / f"a{kind}", frames)
    assert decoded(tmp_path / f"a{kind}")[0].to_ndarray(format="rgb24").min() > 250


@pytest.mark.parametrize(("kind", "size"), [(".mp4", (12, 8)), (".webm", (11, 7))])
def test_odd_sides_are_made_even_where_they_must_be(tmp_path, kind, size):
    written = writing.write(tmp_path / f"a{kind}", np.zeros((2, 11, 7, 3), np.uint8))
    assert (written.height, written.width) == size
    assert decoded(tmp_path / f"a{kind}")[0].to_ndarray(format="rgb24").shape[:2] == size
