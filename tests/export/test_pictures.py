"""Pictures decoded by graph operations come out as Pillow's do."""

import io
import struct

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from hostile_files import png_of, transparent_colour

from export import pictures
from tf_inbetween.images import read_frame

SIZE = 32


def photo(height, width, mode, seed=0):
    """A smooth coloured picture with some edges."""
    rng = np.random.default_rng(seed)
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    coarse = rng.integers(0, 256, (6, 6, channels), np.uint8)
    bands = [PIL.Image.fromarray(coarse[..., i]).resize((width, height)) for i in range(channels)]
    picture = PIL.Image.merge(mode, bands) if channels > 1 else bands[0]
    picture.paste(picture.crop((0, 0, width // 3, height // 4)), (width // 2, height // 2))
    return picture


def as_file(picture, kind="PNG", **options):
    with io.BytesIO() as file:
        picture.save(file, kind, **options)
        return file.getvalue()


def decode(file, channels=3):
    return pictures.decode(tf.constant([file]), SIZE, channels, "first_bytes")[0].numpy()


FILES = {
    "png": as_file(photo(SIZE, SIZE, "RGB")),
    "wide": as_file(photo(50, 91, "RGB")),
    "tall": as_file(photo(201, 40, "RGB")),
    "tiny": as_file(photo(5, 7, "RGB")),
    "grey": as_file(photo(40, 40, "L")),
    "grey_alpha": as_file(photo(40, 40, "LA")),
    "transparent": as_file(photo(64, 64, "RGBA")),
    "palette": as_file(photo(64, 64, "RGB").quantize(64)),
    "sixteen_colours": as_file(photo(64, 64, "RGB").quantize(16)),
    "sixteen_colours_transparent": as_file(photo(64, 64, "RGB").quantize(16), transparency=3),
    "one_bit": as_file(photo(SIZE, SIZE, "L").convert("1")),
    "sixteen_bits": as_file(
        PIL.Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 15)
    ),
    "transparent_grey_of_16_bits": png_of(
        [struct.pack(">3H", 0, 30000, 65535)] * 3, 3, 16, 0, transparent_colour(30000)
    ),
    "transparent_grey_of_4_bits": png_of([bytes([0x01, 0x2F])] * 4, 4, 4, 0, transparent_colour(2)),
    "transparent_rgb_of_16_bits": png_of(
        [struct.pack(">6H", *range(0, 60000, 10000))] * 2,
        2,
        16,
        2,
        transparent_colour(0, 10000, 20000),
    ),
    "interlaced_jpeg": as_file(photo(64, 64, "RGB"), "JPEG", progressive=True, quality=90),
    "jpeg": as_file(photo(300, 200, "RGB"), "JPEG", quality=95),
    "grey_jpeg": as_file(photo(64, 64, "L"), "JPEG"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_the_frame_that_read_frame_makes(name, channels, tmp_path):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    expected = read_frame(path, SIZE, channels, notify=lambda _: None)
    drawn = decode(FILES[name], channels)
    assert drawn.shape == (SIZE, SIZE, channels)
    difference = np.abs(drawn - expected) * 255
    if name == "png" and channels == 3:
        assert difference.max() < 1e-4
    # Pillow rounds to whole levels between the two passes of its filter, and after the overlay.
    assert difference.mean() < 0.7
    assert np.quantile(difference, 0.99) < 2.5
    assert difference.max() < 10


def test_rows_are_decoded_one_by_one_and_none_gives_none():
    files = tf.constant([FILES["png"], FILES["jpeg"], FILES["wide"]])
    frames = pictures.decode(files, SIZE, 3, "first_bytes")
    for frame, name in zip(frames, ("png", "jpeg", "wide"), strict=True):
        np.testing.assert_array_equal(frame, decode(FILES[name]))
    none = tf.function(lambda files: pictures.decode(files, SIZE, 3, "x"))(tf.zeros([0], tf.string))
    assert none.shape == (0, SIZE, SIZE, 3)
    assert pictures.encode_png(none).shape == (0,)


def bomb(width, height):
    """A PNG whose header promises more than the file holds."""
    file = bytearray(FILES["png"])
    file[16:24] = np.array([width, height], ">u4").tobytes()
    return bytes(file)


def jpeg_bomb():
    file = bytearray(FILES["jpeg"])
    place = file.index(b"\xff\xc0") + 5
    file[place : place + 4] = np.array([65000, 65000], ">u2").tobytes()
    return bytes(file)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"", "must be a PNG or a JPEG"),
        (b"\x89PNG", "must be a PNG or a JPEG"),
        (b"GIF89a" + bytes(50), "must be a PNG or a JPEG"),
        (b"\x89PNG\r\n\x1a\n", "at most 16777216 pixels"),
        (bomb(4097, 4096), "at most 16777216 pixels"),
        (bomb(2**31 + 5, 2**31 + 5), "at most 16777216 pixels"),
        (bomb(2**32 - 1, 2**32 - 1), "at most 16777216 pixels"),
        (bomb(0, 10), "at most 16777216 pixels"),
        (jpeg_bomb(), "at most 16777216 pixels"),
        (bomb(100, 100), "Invalid PNG"),
        (FILES["png"][:-40], "Invalid PNG"),
        (FILES["jpeg"][:300], "Invalid JPEG"),
        (b"\xff\xd8\xff" + bytes(20), "Invalid JPEG"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(file, said):
    decode_in_graph = tf.function(lambda files: pictures.decode(files, SIZE, 3, "first_bytes"))
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        decode_in_graph(tf.constant([FILES["png"], file]))


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_come_back_from_their_png(channels):
    levels = np.random.default_rng(0).integers(0, 256, (2, 3, SIZE, SIZE, channels), np.uint8)
    files = pictures.encode_png(tf.constant(levels / np.float32(255)))
    assert files.shape == (2, 3)
    for index in np.ndindex(2, 3):
        picture = np.asarray(PIL.Image.open(io.BytesIO(files[index].numpy())))
        np.testing.assert_array_equal(picture, levels[index].squeeze())
