"""The signatures of an exported model: functions of named tensors with one first dimension.

B rows a request, K frames a row, frames [H, W, C] and latents [Z] of the model's sizes:

    signature      inputs                               outputs
    inbetween_png  first_bytes, second_bytes, t [B]     frame_bytes, confidence [B]
    inbetween      first, second [B,H,W,C], t [B]       frame, confidence [B]
    sequence       first, second, t [B,K]               frames [B,K,H,W,C]
    sequence_png   first_bytes, second_bytes, t [B,K]   frame_bytes [B,K]
    encode         image [B,H,W,C]                      mean, stddev [B,Z]
    decode         latent [B,Z]                         image [B,H,W,C]
    reconstruct    image                                image
    sample         first, second, t [B], seed [B,2]     frame
    mask           first, second, t [B]                 mask [B,H,W,3]
    mask_png       first_bytes, second_bytes, t [B]     mask_bytes [B]

Only a `FusionVAE` has `mask` and `mask_png`: the shares of each pixel of `inbetween` copied from
the first frame (red), copied from the second (green), and drawn from the latent (blue); they sum to
1. Its `inbetween` and `sequence` fuse both frames; `sample`, `encode`, `decode` and `reconstruct`
use the latent model.

`inbetween_png` is `serving_default` too. Pixels are float32 in [0, 1], `*_bytes` are PNG files, or
JPEG on the way in, of any size; t is in [0, 1], seeds are integers. Rows are independent, so a
server may batch requests. Invalid inputs (NaN, pixels in 0..255, t outside [0, 1], different
numbers of rows) are an INVALID_ARGUMENT.

`confidence` says how close both ends are to the training data. It is

    min(1, (2 u / e)^2)     e: the larger root mean square error of the two ends' reconstructions
                            u: that of the training, the calibrated likelihood's scale

so 1 while both ends are reconstructed within twice the usual error, 1/4 at four times that error,
and 1/100 at twenty. For a `FusionVAE` e^2 has one more term, 4 t (1-t) d^2, where d is the root
mean
square difference of the two ends once they are warped to t: two copies that disagree cannot both be
right. (The share that is drawn says little of the error: BUILD_NOTES.md, 2026-11-29.)
"""

import tensorflow as tf

from export import pictures
from export.checks import finite, in_unit_range, same_rows
from tf_inbetween.models import FusionVAE


def signatures(model, config, training_rmse):
    """The functions to export, with the specs of their inputs.

    Args:
        model: a built `TripletVAE` or `FusionVAE`.
        config: the `Config` of its run; its sizes count.
        training_rmse: root mean square error of a training frame's reconstruction, in [0, 1].

    Returns:
        A dict: name -> (function, list of `tf.TensorSpec` named as the function's arguments).
    """
    size, channels = config.image_size, config.channels
    fuses = isinstance(model, FusionVAE)

    def decode_ends(first_bytes, second_bytes):
        return (
            pictures.decode(first_bytes, size, channels, "first_bytes"),
            pictures.decode(second_bytes, size, channels, "second_bytes"),
        )

    def draw(first, second, t):
        """The "frame" at t [B], and both ends' reconstructions; see `FusionVAE.parts`."""
        with tf.control_dependencies(_pair_is_valid(first, second, t)):
            if fuses:
                return model.parts(first, second, t)
            names = ("first_again", "second_again", "frame")
            return dict(zip(names, model.decode_between(first, second, t[:, None]), strict=True))

    def inbetween(first, second, t):
        drawn = draw(first, second, t)
        error = tf.maximum(_mse(drawn["first_again"], first), _mse(drawn["second_again"], second))
        if fuses:
            error += 4 * t * (1 - t) * _mse(drawn["first_warped"], drawn["second_warped"])
        bound = 4 * training_rmse**2
        return {"frame": drawn["frame"], "confidence": bound / tf.maximum(error, bound)}

    def inbetween_png(first_bytes, second_bytes, t):
        drawn = inbetween(*decode_ends(first_bytes, second_bytes), t)
        return {
            "frame_bytes": pictures.encode_png(drawn["frame"]),
            "confidence": drawn["confidence"],
        }

    def sequence(first, second, t):
        with tf.control_dependencies(_pair_is_valid(first, second, t)):
            return {"frames": model.inbetween(first, second, t)}

    def sequence_png(first_bytes, second_bytes, t):
        frames = sequence(*decode_ends(first_bytes, second_bytes), t)["frames"]
        return {"frame_bytes": pictures.encode_png(frames)}

    def encode(image):
        with tf.control_dependencies([in_unit_range(image, "image")]):
            q = model.encode(image)
        return {"mean": q.mean(), "stddev": q.stddev()}

    def decode(latent):
        with tf.control_dependencies([finite(latent, "latent")]):
            return {"image": model.decode(latent, size)}

    def reconstruct(image):
        with tf.control_dependencies([in_unit_range(image, "image")]):
            return {"image": model.reconstruct(image)}

    def sample(first, second, t, seed):
        checks = [*_pair_is_valid(first, second, t), same_rows(first, seed, "first and seed")]
        with tf.control_dependencies(checks):
            return {"frame": model.sample_inbetween(first, second, t, seed)}

    def mask(first, second, t):
        return {"mask": draw(first, second, t)["mask"]}

    def mask_png(first_bytes, second_bytes, t):
        shares = mask(*decode_ends(first_bytes, second_bytes), t)["mask"]
        return {"mask_bytes": pictures.encode_png(shares)}

    def image(name):
        return tf.TensorSpec([None, *size, channels], tf.float32, name)

    files = [tf.TensorSpec([None], tf.string, f"{end}_bytes") for end in ("first", "second")]
    ends = [image("first"), image("second")]
    t = tf.TensorSpec([None], tf.float32, "t")
    times = tf.TensorSpec([None, None], tf.float32, "t")
    table = {
        "inbetween_png": (inbetween_png, [*files, t]),
        "inbetween": (inbetween, [*ends, t]),
        "sequence": (sequence, [*ends, times]),
        "sequence_png": (sequence_png, [*files, times]),
        "encode": (encode, [image("image")]),
        "decode": (decode, [tf.TensorSpec([None, config.latent_dim], tf.float32, "latent")]),
        "reconstruct": (reconstruct, [image("image")]),
        "sample": (sample, [*ends, t, tf.TensorSpec([None, 2], tf.int64, "seed")]),
    }
    if fuses:
        table |= {"mask": (mask, [*ends, t]), "mask_png": (mask_png, [*files, t])}
    return table


def _mse(a, b):
    """[B, H, W, C] -> [B]."""
    return tf.reduce_mean((a - b) ** 2, axis=[1, 2, 3])


def _pair_is_valid(first, second, t):
    return [
        same_rows(first, second, "first and second"),
        same_rows(first, t, "first and t"),
        in_unit_range(first, "first"),
        in_unit_range(second, "second"),
        in_unit_range(t, "t"),
    ]
