"""Colours of pictures: ICC profiles, and colours that stand for transparency."""

import struct

import icc_profiles
import numpy as np
import PIL.Image
import pytest
from footage_files import write_animation
from hostile_files import png_of, transparent_colour

from frame_io import footage, pictures

GREEN = (40, 200, 60)
ADOBE_GREEN = (117, 199, 75)


def frame_of(path, channels=3):
    return pictures.convert(pictures.read(path), 4, channels)


@pytest.mark.parametrize(
    ("mode", "stored", "profile", "shown"),
    [
        ("RGB", ADOBE_GREEN, icc_profiles.adobe_rgb(), GREEN),
        ("RGB", (97, 197, 81), icc_profiles.display_p3(), GREEN),
        ("RGBA", (*ADOBE_GREEN, 255), icc_profiles.adobe_rgb(), GREEN),
        ("RGBA", (*ADOBE_GREEN, 0), icc_profiles.adobe_rgb(), (255, 255, 255)),
        ("L", 128, icc_profiles.grey(1.0), (188, 188, 188)),
        ("L", 128, icc_profiles.grey(1.8), (148, 148, 148)),
        ("LA", (128, 255), icc_profiles.grey(1.0), (188, 188, 188)),
        ("I;16", 128 * 257, icc_profiles.grey(1.0), (188, 188, 188)),
        ("CMYK", (255, 0, 0, 0), icc_profiles.cmyk((55, -37, -50)), (0, 150, 218)),
        ("RGB", GREEN, icc_profiles.grey(1.0), GREEN),  # Of another kind of colours.
        ("RGB", GREEN, b"damaged", GREEN),
        ("RGB", GREEN, None, GREEN),
    ],
)
def test_a_profile_is_converted_to_srgb(tmp_path, mode, stored, profile, shown):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    PIL.Image.new(mode, (4, 4), stored).save(path, icc_profile=profile)
    np.testing.assert_allclose(frame_of(path)[0, 0], shown, atol=2)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_profiles_of_every_kind_of_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    picture = PIL.Image.new("RGB", (16, 16), ADOBE_GREEN)
    picture.save(path, icc_profile=icc_profiles.adobe_rgb(), quality=100, lossless=True)
    np.testing.assert_allclose(frame_of(path)[0, 0], GREEN, atol=4)


def test_a_palette_with_a_profile(tmp_path):
    picture = PIL.Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, *ADOBE_GREEN])
    picture.paste(0, (0, 0, 4, 2))
    path = tmp_path / "a.png"
    picture.save(path, icc_profile=icc_profiles.adobe_rgb(), transparency=0)
    frame = frame_of(path)
    np.testing.assert_array_equal(frame[0, 0], (255, 255, 255))
    np.testing.assert_allclose(frame[3, 3], GREEN, atol=2)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_the_profile_of_an_animated_image(tmp_path, suffix):
    frames = np.broadcast_to(np.uint8([ADOBE_GREEN, (0, 0, 0)])[:, None, None], (2, 4, 4, 3))
    path = write_animation(tmp_path / f"a{suffix}", frames, icc_profile=icc_profiles.adobe_rgb())
    first, second = (picture for _, picture in footage.look(path).pictures(np.arange(2)))
    np.testing.assert_allclose(pictures.convert(first, 4, 3)[0, 0], GREEN, atol=2)
    np.testing.assert_array_equal(pictures.convert(second, 4, 3)[0, 0], (0, 0, 0))


SQUARES = {
    "grey16": (
        png_of([struct.pack(">4H", 0, 1000, 1001, 65535)] * 4, 4, 16, 0, transparent_colour(1000)),
        1,
    ),
    "grey8": (png_of([bytes([0, 100, 101, 200])] * 4, 4, 8, 0, transparent_colour(100)), 1),
    "grey4": (png_of([bytes([0x01, 0x2F])] * 4, 4, 4, 0, transparent_colour(1)), 1),
    "grey2": (png_of([bytes([0b00011011])] * 4, 4, 2, 0, transparent_colour(1)), 1),
    "grey1": (png_of([bytes([0b00010000])] * 4, 4, 1, 0, transparent_colour(1)), 3),
    "rgb16": (
        png_of(
            [struct.pack(">12H", *range(0, 60000, 5000))] * 4,
            4,
            16,
            2,
            transparent_colour(15000, 20000, 25000),
        ),
        1,
    ),
}


@pytest.mark.parametrize("name", SQUARES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_is_laid_over_white(tmp_path, name, channels):
    content, place = SQUARES[name]
    (tmp_path / "a.png").write_bytes(content)
    said = []
    picture = pictures.read(tmp_path / "a.png")
    frame = pictures.convert(picture, 4, channels, notify=said.append)
    assert said == ["its transparent parts are laid over white"]
    if name == "grey1":
        place = slice(None)  # The rest of it is black, and then white.
        np.testing.assert_array_equal(frame[0, :3], 0)
        np.testing.assert_array_equal(frame[0, 3], 255)
        return
    assert np.all(frame[:, place] == 255)
    assert frame[0, 0].max() < 60
    assert frame[0, 2].max() < 200
