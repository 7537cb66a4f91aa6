"""PNG and JPEG bytes to frames and back, in TensorFlow operations, for servers.

The result is that of `tf_inbetween.images.read_frame`, within a grey level or two, except that EXIF
orientation and embedded ICC profiles are ignored: `export.client` converts such pictures before it
sends them.
"""

import tensorflow as tf

from frame_io.sizes import Size

MAX_SERVED_PIXELS = 2**24  # 16.8 million; checked in the header, before decoding.

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_LUMA = (0.299, 0.587, 0.114)  # Rec. 601


def decode(pictures, size, channels, name):
    """PNG or JPEG files [B] -> frames [B, *size, channels] float32 in [0, 1].

    Transparency is composited over white, 16 bits are rounded to 8, channels become the model's,
    and a picture of another size is cropped to its largest central part with the shape of `size`,
    (height, width), and resized (Lanczos, antialiased).

    Raises (when the graph runs):
        InvalidArgumentError: for other bytes, a damaged file, or more than `MAX_SERVED_PIXELS`
            pixels; the message has `name`.
    """
    size = Size.of(size)
    return tf.map_fn(
        lambda picture: _decode_one(picture, size, channels, name),
        pictures,
        fn_output_signature=tf.TensorSpec([*size, channels], tf.float32),
        parallel_iterations=4,
    )


def encode_png(frames):
    """Frames [..., H, W, C] in [0, 1] -> PNG files [...]."""
    pixels = tf.cast(tf.round(255 * tf.clip_by_value(frames, 0.0, 1.0)), tf.uint8)
    files = tf.map_fn(
        lambda frame: tf.io.encode_png(frame, compression=3),  # Of 9; 2/3 of the time, 5 % larger.
        tf.reshape(pixels, [-1, *frames.shape[-3:]]),
        fn_output_signature=tf.TensorSpec([], tf.string),
    )
    return tf.reshape(files, tf.shape(frames)[:-3])


def _decode_one(picture, size, channels, name):
    is_png = tf.strings.substr(picture, 0, len(_PNG)) == _PNG
    is_jpeg = tf.strings.substr(picture, 0, len(_JPEG)) == _JPEG
    known = tf.debugging.Assert(is_png | is_jpeg, [f"{name} must be a PNG or a JPEG file"])
    with tf.control_dependencies([known]):
        file = tf.identity(picture)  # What is in the branches of a cond would not wait.
    height, width = tf.unstack(tf.cond(is_png, lambda: _png_sides(file), lambda: _jpeg_sides(file)))
    small = tf.debugging.Assert(
        (height > 0) & (width > 0) & (height * width <= MAX_SERVED_PIXELS),
        [f"{name} must have at most {MAX_SERVED_PIXELS} pixels"],
    )
    with tf.control_dependencies([small]):
        small_file = tf.identity(file)
    part_height, part_width = _part_of_shape(height, width, size)
    box = tf.cast([(height - part_height) // 2, (width - part_width) // 2, 0], tf.int32)
    box_size = tf.cast([part_height, part_width, -1], tf.int32)
    frame = tf.cond(
        is_png,
        lambda: _decode_png(small_file, box, box_size),
        lambda: _decode_jpeg(small_file, box, box_size),
    )
    if channels == 1:
        frame = tf.round(tf.tensordot(frame, tf.constant(_LUMA), axes=1)[..., tf.newaxis])
    fits = tf.reduce_all(tf.equal([part_height, part_width], tf.constant(size, tf.int64)))
    frame = tf.cond(fits, lambda: frame, lambda: _resize(frame, size))
    return tf.ensure_shape(frame, [*size, channels]) / 255.0


def _part_of_shape(height, width, size):
    """Height and width of the largest part of a picture that has the shape of `size`."""
    wanted_height, wanted_width = size
    alike = tf.abs(width * wanted_height - height * wanted_width) < max(size)
    high, wide = tf.cast(height, tf.float64), tf.cast(width, tf.float64)
    by_width = tf.cast(tf.round(wide * wanted_height / wanted_width), tf.int64)
    by_height = tf.cast(tf.round(high * wanted_width / wanted_height), tf.int64)
    part = (tf.minimum(height, by_width), tf.minimum(width, by_height))
    return tuple(
        tf.where(alike, side, tf.maximum(cut, 1))
        for side, cut in zip((height, width), part, strict=True)
    )


def _resize(frame, size):
    """[h, w, C] in 0..255 -> [*size, C] whole numbers in 0..255."""
    frame = tf.image.resize(frame, size, "lanczos3", antialias=True)
    return tf.round(tf.clip_by_value(frame, 0.0, 255.0))


def _png_sides(picture):
    """[height, width] int64 of a PNG's header; [0, 0] where it is cut off."""
    header = tf.strings.substr(picture + b"\0" * 24, 16, 8)
    width, height = tf.unstack(tf.io.decode_raw(header, tf.int32, little_endian=False), num=2)
    return tf.cast([height, width], tf.int64)


def _jpeg_sides(picture):
    return tf.cast(tf.image.extract_jpeg_shape(picture)[:2], tf.int64)


def _decode_png(picture, box, box_size):
    """[h, w, 3] float32 in 0..255, over white."""
    pixels = tf.io.decode_png(picture, channels=4, dtype=tf.uint16)
    pixels = tf.round(tf.cast(tf.slice(pixels, box, box_size), tf.float32) / 257.0)
    colours, opacity = pixels[..., :3], pixels[..., 3:]
    # TensorFlow fills a missing alpha with 2^bits - 1 of the file: opaque only at 8 and 16 bits.
    bits = tf.io.decode_raw(tf.strings.substr(picture, 24, 1), tf.uint8)[0]
    filled = 2.0 ** tf.cast(bits, tf.float32) - 1
    opacity = tf.where(tf.reduce_all(opacity == filled), 1.0, opacity / 255.0)
    return tf.round(opacity * colours + (1 - opacity) * 255.0)


def _decode_jpeg(picture, box, box_size):
    """[h, w, 3] float32 in 0..255."""
    pixels = tf.io.decode_jpeg(picture, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.cast(tf.slice(pixels, box, box_size), tf.float32)
