"""The signatures of a model of text, and requests with the Keras model's answers.

B rows a request, K lines a row, lines UTF-8 of at most L bytes, latents [Z]:

    signature       inputs                            outputs
    inbetween_text  first, second, t [B]              text, confidence [B]
    sequence_text   first, second [B], t [B,K]        text [B,K]
    sequence        first, second [B,L,1,1], t [B,K]  frames [B,K,L,1,1]
    encode          text [B]                          mean, stddev [B,Z]
    decode          latent [B,Z]                      text [B]
    reconstruct     text [B]                          text [B]
    sample          first, second, t [B], seed [B,2]  text [B]

`inbetween_text` is `serving_default` too. Frames of `sequence` are bytes / 255, padded with zeros.
Outputs are valid UTF-8 without control characters: other bytes become U+FFFD. Rows are independent.
An empty or too long line, one that is not UTF-8 or has a control character, and t outside [0, 1]
are an INVALID_ARGUMENT. `confidence` is the share of letters that the model reconstructs in place,
for the worse of the two ends.
"""

import numpy as np
import tensorflow as tf

from export.checks import finite, in_unit_range, same_rows
from frame_io import texts
from tf_inbetween.kinds.text import to_lines

# RE2: control characters, and what else ends a line. Invalid UTF-8 matches nothing.
_CONTROL = r"\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}"
_LINE = rf"[^{_CONTROL}]*[^ {_CONTROL}][^{_CONTROL}]*"
LINES = ("ten past four", "a quarter to nine", "überall 東京 🙂", "12 < 34 & $5", "x")


def signatures(model, config, training_error):
    """The functions to export, with the specs of their inputs; arguments as of `Exported`."""
    del config, training_error
    length = model.frame_shape[0]

    def between(first, second, t):
        checks = [same_rows(first, second, "first and second"), same_rows(first, t, "first and t")]
        with tf.control_dependencies([*checks, in_unit_range(t, "t")]):
            return read(first, length, "first"), read(second, length, "second")

    def inbetween_text(first, second, t):
        ends = between(first, second, t)
        *again, drawn = model.decode_between(*ends, t[:, tf.newaxis])
        known = (_share_alike(*pair) for pair in zip(again, ends, strict=True))
        return {"text": write(drawn), "confidence": tf.minimum(*known)}

    def sequence_text(first, second, t):
        return {"text": write(model.inbetween(*between(first, second, t), t))}

    def sequence(first, second, t):
        checks = [same_rows(first, second, "first and second"), same_rows(first, t, "first and t")]
        values = {"first": first, "second": second, "t": t}
        checks += [in_unit_range(value, name) for name, value in values.items()]
        with tf.control_dependencies(checks):
            return {"frames": model.inbetween(first, second, t)}

    def encode(text):
        q = model.encode(read(text, length, "text"))
        return {"mean": q.mean(), "stddev": q.stddev()}

    def decode(latent):
        with tf.control_dependencies([finite(latent, "latent")]):
            return {"text": write(model.decode(latent))}

    def reconstruct(text):
        return {"text": write(model.reconstruct(read(text, length, "text")))}

    def sample(first, second, t, seed):
        with tf.control_dependencies([same_rows(first, seed, "first and seed")]):
            ends = between(first, second, t)
        return {"text": write(model.sample_inbetween(*ends, t, seed))}

    lines = [tf.TensorSpec([None], tf.string, end) for end in ("first", "second")]
    frames = [
        tf.TensorSpec([None, *model.frame_shape], tf.float32, end) for end in ("first", "second")
    ]
    text = tf.TensorSpec([None], tf.string, "text")
    t, times = (tf.TensorSpec(shape, tf.float32, "t") for shape in ([None], [None, None]))
    latent = tf.TensorSpec([None, model.encoder.latent_dim], tf.float32, "latent")
    return {
        "inbetween_text": (inbetween_text, [*lines, t]),
        "sequence_text": (sequence_text, [*lines, times]),
        "sequence": (sequence, [*frames, times]),
        "encode": (encode, [text]),
        "decode": (decode, [latent]),
        "reconstruct": (reconstruct, [text]),
        "sample": (sample, [*lines, t, tf.TensorSpec([None, 2], tf.int64, "seed")]),
    }


def read(lines, length, name):
    """Lines [B], UTF-8 -> frames [B, length, 1, 1] float32 in [0, 1]."""
    size = tf.strings.length(lines)
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(size <= length), [f"{name} must be lines of at most {length} bytes"]
        ),
        tf.debugging.Assert(
            tf.reduce_all(tf.strings.regex_full_match(lines, _LINE)),
            [f"{name} must be lines of text, UTF-8 without control characters, not empty"],
        ),
    ]
    with tf.control_dependencies(checks):
        content = tf.io.decode_raw(lines, tf.uint8, fixed_length=length)
    return tf.cast(content, tf.float32)[:, :, tf.newaxis, tf.newaxis] / 255.0


def write(frames):
    """Frames [..., length, 1, 1] in [0, 1] -> lines [...], UTF-8, up to the first zero."""
    content = tf.cast(tf.round(255.0 * frames[..., 0, 0]), tf.int32)
    inside = tf.math.cumprod(tf.cast(content > 0, tf.int32), axis=-1)
    letters = tf.constant([b"", *(bytes([byte]) for byte in range(1, 256))])
    lines = tf.strings.reduce_join(tf.gather(letters, content * inside), axis=-1)
    lines = tf.strings.unicode_transcode(lines, "UTF-8", "UTF-8", errors="replace")
    return tf.strings.regex_replace(lines, f"[{_CONTROL}]", "\N{REPLACEMENT CHARACTER}")


def _share_alike(again, frames):
    """The share of the letters of frames [B, L, 1, 1] that others have in the same place: [B]."""
    is_letter = tf.cast(frames > 0, tf.float32)
    alike = tf.cast(tf.round(255.0 * (again - frames)) == 0, tf.float32) * is_letter
    axes = [1, 2, 3]
    return tf.reduce_sum(alike, axes) / tf.reduce_sum(is_letter, axes)


def cases(model, config, training_error, batch, times=3):
    """Yields (signature name, inputs, outputs), as `export.golden_requests.cases` does."""
    del config, training_error
    length = model.frame_shape[0]
    rng = np.random.default_rng(0)
    first, second = (np.resize(np.roll(LINES, shift), batch) for shift in (0, 2))
    t = rng.uniform(size=batch).astype(np.float32)
    many_t = rng.uniform(size=[batch, times]).astype(np.float32)
    latent = rng.normal(size=[batch, model.encoder.latent_dim]).astype(np.float32)
    seed = rng.integers(0, 2**31, size=[batch, 2])

    ends = [_frames(lines, length) for lines in (first, second)]
    again = [model.reconstruct(end).numpy() for end in ends]
    known = [_share_alike(*pair).numpy() for pair in zip(again, ends, strict=True)]
    q, frames = model.encode(ends[0]), model.inbetween(*ends, many_t).numpy()
    lines = {"first": _strings(first), "second": _strings(second)}
    shown = {
        "text": _strings(to_lines(model.inbetween(*ends, t))),
        "confidence": np.minimum(*known).astype(np.float32),
    }
    yield "inbetween_text", {**lines, "t": t}, shown
    yield "serving_default", {**lines, "t": t}, shown
    drawn = to_lines(frames.reshape(-1, *model.frame_shape))
    yield (
        "sequence_text",
        {**lines, "t": many_t},
        {"text": _strings(drawn).reshape(batch, times)},
    )
    yield (
        "sequence",
        {"first": ends[0], "second": ends[1], "t": many_t},
        {"frames": frames},
    )
    text = {"text": lines["first"]}
    yield "encode", text, {"mean": q.mean().numpy(), "stddev": q.stddev().numpy()}
    yield "decode", {"latent": latent}, {"text": _strings(to_lines(model.decode(latent)))}
    yield "reconstruct", text, {"text": _strings(to_lines(again[0]))}
    sampled = model.sample_inbetween(*ends, t, seed)
    yield "sample", {**lines, "t": t, "seed": seed}, {"text": _strings(to_lines(sampled))}


def _frames(lines, length):
    frames = [texts.to_frame(str(line), length) for line in lines]
    return np.float32(np.reshape(frames, [-1, length, 1, 1])) / np.float32(255)


def _strings(lines):
    return np.array([str(line).encode() for line in lines], object)
