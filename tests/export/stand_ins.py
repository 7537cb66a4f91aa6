"""Models that stand in for a trained one where only their signatures matter."""

import numpy as np
import PIL.Image
import tensorflow as tf


class Blend(tf.Module):
    """Stands in for an exported model where only its signatures matter: a cross-fade of 32x32.

    Pictures of 13x13 are refused, and of a white one it knows nothing.
    """

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "first_bytes"),
            tf.TensorSpec([None], tf.string, "second_bytes"),
            tf.TensorSpec([None], tf.float32, "t"),
        ]
    )
    def inbetween_png(self, first_bytes, second_bytes, t):
        first = tf.map_fn(self._decode, first_bytes, fn_output_signature=tf.float32)
        files = self.sequence_png(first_bytes, second_bytes, t[:, tf.newaxis])["frame_bytes"]
        known = tf.reduce_mean(first, axis=[1, 2, 3]) < 250
        return {"frame_bytes": files[:, 0], "confidence": tf.where(known, 0.875, 0.0625)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "first_bytes"),
            tf.TensorSpec([None], tf.string, "second_bytes"),
            tf.TensorSpec([None, None], tf.float32, "t"),
        ]
    )
    def sequence_png(self, first_bytes, second_bytes, t):
        first, second = (
            tf.map_fn(self._decode, files, fn_output_signature=tf.float32)[:, tf.newaxis]
            for files in (first_bytes, second_bytes)
        )
        t = t[:, :, tf.newaxis, tf.newaxis, tf.newaxis]
        frames = tf.cast(tf.round((1 - t) * first + t * second), tf.uint8)
        files = tf.map_fn(
            tf.io.encode_png, tf.reshape(frames, [-1, 32, 32, 3]), fn_output_signature=tf.string
        )
        return {"frame_bytes": tf.reshape(files, tf.shape(frames)[:2])}

    def _decode(self, file):
        pixels = tf.io.decode_image(file, channels=3, expand_animations=False)
        message = ["pictures of 13 pixels are refused"]
        with tf.control_dependencies([tf.debugging.Assert(tf.shape(pixels)[0] != 13, message)]):
            return tf.ensure_shape(tf.image.resize(pixels, [32, 32]), [32, 32, 3])


class MaskedBlend(Blend):
    """A `Blend` that says what it copied: 1 - t of the first picture, t of the second."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "first_bytes"),
            tf.TensorSpec([None], tf.string, "second_bytes"),
            tf.TensorSpec([None], tf.float32, "t"),
        ]
    )
    def mask_png(self, first_bytes, second_bytes, t):
        del first_bytes, second_bytes
        shares = tf.cast(tf.round(255 * tf.stack([1 - t, t, 0 * t], axis=-1)), tf.uint8)
        masks = tf.tile(shares[:, tf.newaxis, tf.newaxis], [1, 32, 32, 1])
        return {
            "mask_bytes": tf.map_fn(tf.io.encode_png, masks, fn_output_signature=tf.string),
        }


def blob(turn):
    """A coloured blob on its way round, uint8 [32, 32, 3]."""
    y, x = np.mgrid[:32, :32]
    away = np.hypot(y - 16 - 9 * np.sin(turn), x - 16 - 9 * np.cos(turn))
    ramp = np.clip(9 - away, 0, 1)[..., np.newaxis]
    return np.uint8(np.rint(ramp * [236, 146, 84] + (1 - ramp) * [28, 33, 45]))


def write_blend(model_dir, model, *names):
    """Writes version 1 with the signatures `names`, and its samples."""
    signatures = {name: getattr(model, name) for name in names}
    signatures["serving_default"] = model.inbetween_png
    tf.saved_model.save(model, str(model_dir / "1"), signatures)
    samples = model_dir / "1" / "assets.extra" / "samples"
    samples.mkdir(parents=True)
    for i in range(9):
        PIL.Image.fromarray(blob(i * np.pi / 4.5)).save(samples / f"{i}.png")


class Toy(tf.Module):
    """Signatures that answer at once, fail on demand, or wait for a file to appear."""

    def __init__(self, plus):
        super().__init__()
        self.plus = tf.Variable(plus)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def half_plus(self, x):
        return {"y": 0.5 * x + self.plus}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, "a"),
            tf.TensorSpec([None], tf.int32, "b"),
        ]
    )
    def pair(self, a, b):
        return {"total": tf.reduce_sum(a, 1), "scaled": a * tf.cast(b, tf.float32)[:, None]}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "image_bytes"),
            tf.TensorSpec([None], tf.string, "tag"),
        ]
    )
    def strings(self, image_bytes, tag):
        return {"same_bytes": image_bytes, "tag": tag, "size": tf.strings.length(image_bytes)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "t")])
    def checked(self, t):
        with tf.control_dependencies(
            [tf.debugging.assert_less_equal(t, 1.0, message="t must lie in [0, 1]")]
        ):
            return {"t": tf.identity(t), "rows": tf.fill(tf.shape(t), tf.size(t))}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "t")])
    def sequence(self, t):
        return {"total": tf.reduce_sum(t, 1)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([], kind, kind.name)
            for kind in (
                tf.bool,
                tf.double,
                tf.int8,
                tf.uint8,
                tf.int16,
                tf.int32,
                tf.int64,
                tf.uint32,
                tf.uint64,
            )
        ]
    )
    def types(self, *values):
        return {value.dtype.name: tf.identity(value) for value in values}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.half, "x")])
    def halves(self, x):
        return {"y": x + 1}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def any_rank(self, x):
        return {"y": 1 / tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def count(self, x):
        return {"values": tf.size(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "path")])
    def wait(self, path):
        # The graph itself looks for the file, so that a test decides when a request ends. What it
        # looks for changes with every round, or TensorFlow would look only once.
        tf.io.write_file(path[0] + ".started", "")
        tries, matches = tf.constant(0), tf.constant(0)
        while matches == 0:
            tries += 1
            matches = tf.size(tf.io.matching_files([path[0], tf.strings.as_string(tries)]))
        with tf.control_dependencies([matches]):
            return {"path": tf.identity(path)}


QUICK = ("pair", "strings", "checked", "sequence", "types", "count")


def write_toy(path, plus=3.0, names=(*QUICK, "any_rank", "halves", "wait")):
    """Writes a version of `Toy` into the folder `path`."""
    toy = Toy(plus)
    signatures = {"serving_default": toy.half_plus}
    signatures.update((name, getattr(toy, name)) for name in names)
    tf.saved_model.save(toy, str(path), signatures=signatures)
