"""The signatures of a model of sound, and requests with the Keras model's answers.

B rows a request, K sounds a row, frames [M,T,1] in [0, 1] (see `data_gen.spectrograms`), latents
[Z]; files are WAV, 16 bits at 16 kHz:

    signature      inputs                              outputs
    inbetween_wav  first_bytes, second_bytes, t [B]    sound_bytes, confidence [B]
    sequence_wav   first_bytes, second_bytes [B],
                   t [B,K]                             sound_bytes [B,K]
    glide_wav      first_bytes, second_bytes [B],
                   t [B,K]                             sound_bytes [B]: the K sounds in one
    inbetween      first, second [B,M,T,1], t [B]      frame [B,M,T,1], confidence [B]
    sequence       first, second [B,M,T,1], t [B,K]    frames [B,K,M,T,1]
    encode         image [B,M,T,1]                     mean, stddev [B,Z]
    decode         latent [B,Z]                        image [B,M,T,1]
    reconstruct    image [B,M,T,1]                     image [B,M,T,1]
    sample         first, second, t [B], seed [B,2]    frame [B,M,T,1]

`inbetween_wav` is `serving_default` too. Channels are averaged; longer files are cut to their
middle, shorter ones padded with silence. Outputs are as long as a frame (`glide_wav`: K times as
many spectra), and scaled down if louder than full scale. Rows are independent. Other files, another
rate, no samples and t outside [0, 1] are an INVALID_ARGUMENT. `confidence` is as in
`export.signatures`.
"""

import numpy as np
import tensorflow as tf

from data_gen import spectrograms
from export import golden_requests
from export.checks import in_unit_range, same_rows
from export.signatures import signatures as of_frames
from frame_io.sounds import SAMPLE_RATE, to_wav

_LOUDEST = 1.0


def signatures(model, config, training_error):
    """The functions to export, with the specs of their inputs; arguments as of `Exported`."""
    table = {
        name: entry
        for name, entry in of_frames(model, config, training_error).items()
        if not name.endswith("_png")
    }
    shape = model.frame_shape

    def between(first_bytes, second_bytes, t):
        checks = [
            same_rows(first_bytes, second_bytes, "first_bytes and second_bytes"),
            same_rows(first_bytes, t, "first_bytes and t"),
            in_unit_range(t, "t"),
        ]
        with tf.control_dependencies(checks):
            return read(first_bytes, shape, "first_bytes"), read(
                second_bytes, shape, "second_bytes"
            )

    def inbetween_wav(first_bytes, second_bytes, t):
        drawn = table["inbetween"][0](*between(first_bytes, second_bytes, t), t)
        return {"sound_bytes": write(drawn["frame"]), "confidence": drawn["confidence"]}

    def sequence_wav(first_bytes, second_bytes, t):
        frames = model.inbetween(*between(first_bytes, second_bytes, t), t)
        files = write(tf.reshape(frames, [-1, *shape]))
        return {"sound_bytes": tf.reshape(files, tf.shape(t))}

    def glide_wav(first_bytes, second_bytes, t):
        frames = model.inbetween(*between(first_bytes, second_bytes, t), t)
        # [B, K, M, T, 1] -> [B, M, K T, 1]
        glide = tf.transpose(frames[..., 0], [0, 2, 1, 3])
        glide = tf.reshape(glide, [tf.shape(t)[0], shape[0], tf.shape(t)[1] * shape[1], 1])
        return {"sound_bytes": write(glide)}

    files = [tf.TensorSpec([None], tf.string, f"{end}_bytes") for end in ("first", "second")]
    t, times = (tf.TensorSpec(size, tf.float32, "t") for size in ([None], [None, None]))
    return {
        "inbetween_wav": (inbetween_wav, [*files, t]),
        "sequence_wav": (sequence_wav, [*files, times]),
        "glide_wav": (glide_wav, [*files, times]),
        **table,
    }


def read(files, shape, name):
    """WAV files [B] -> frames [B, mels, times, 1] float32 in [0, 1], rounded to 255ths."""
    count = spectrograms.samples_of(shape[1])
    samples = tf.map_fn(
        lambda file: _read_one(file, count, name),
        files,
        fn_output_signature=tf.TensorSpec([count], tf.float32),
    )
    return tf.round(255.0 * spectrograms.from_samples(samples, shape[0])) / 255.0


def _read_one(file, count, name):
    is_wav = (tf.strings.substr(file + b"\0" * 12, 0, 4) == b"RIFF") & (
        tf.strings.substr(file + b"\0" * 12, 8, 4) == b"WAVE"
    )
    known = tf.debugging.Assert(is_wav, [f"{name} must be a WAV file"])
    with tf.control_dependencies([known]):
        audio, rate = tf.audio.decode_wav(file)
    checks = [
        tf.debugging.Assert(
            tf.equal(rate, SAMPLE_RATE),
            [f"{name} must have {SAMPLE_RATE} samples a second, not", rate],
        ),
        tf.debugging.Assert(tf.size(audio) > 0, [f"{name} has no samples"]),
    ]
    with tf.control_dependencies(checks):
        samples = tf.reduce_mean(audio, axis=1)
    surplus = tf.size(samples) - count
    samples = samples[tf.maximum(surplus, 0) // 2 :][:count]
    lacking = tf.maximum(-surplus, 0)
    samples = tf.pad(samples, [[lacking // 2, lacking - lacking // 2]])
    return tf.ensure_shape(samples, [count])


def write(frames):
    """Frames [B, mels, times, 1] in [0, 1] -> WAV files [B]."""
    samples = spectrograms.to_samples(frames)
    peak = tf.reduce_max(tf.abs(samples), axis=1, keepdims=True)
    samples /= tf.maximum(peak, _LOUDEST)
    return tf.map_fn(
        lambda sound: tf.audio.encode_wav(sound[:, tf.newaxis], SAMPLE_RATE),
        samples,
        fn_output_signature=tf.TensorSpec([], tf.string),
    )


def cases(model, config, training_error, batch, times=2):
    """Yields (signature name, inputs, outputs), as `export.golden_requests.cases` does."""
    shape = model.frame_shape
    for name, inputs, outputs in golden_requests.cases(model, config, training_error, batch, times):
        if name == "serving_default" or name.endswith("_png"):
            continue
        yield name, inputs, outputs
    rng = np.random.default_rng(0)
    files = {f"{end}_bytes": _tones(rng, batch, shape[1]) for end in ("first", "second")}
    t = rng.uniform(size=batch).astype(np.float32)
    many_t = rng.uniform(size=[batch, times]).astype(np.float32)
    table = signatures(model, config, training_error)
    for name, places in (("inbetween_wav", t), ("sequence_wav", many_t), ("glide_wav", many_t)):
        inputs = {**files, "t": places}
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        outputs = {key: value.numpy() for key, value in table[name][0](**tensors).items()}
        yield name, inputs, outputs
        if name == "inbetween_wav":
            yield "serving_default", inputs, outputs


def _tones(rng, batch, times):
    """WAV files of three sines each: [B]."""
    seconds = np.arange(spectrograms.samples_of(times)) / SAMPLE_RATE
    frequencies = rng.uniform(200.0, 2000.0, [batch, 3, 1])
    sounds = 0.1 * np.sin(2 * np.pi * frequencies * seconds).sum(axis=1)
    return np.array([to_wav(sound) for sound in sounds] or [], object)
