"""Requests for every signature with the Keras model's answers, as a server logs them.

The export's check uses them, and those with one row become the warmup requests.
"""

import io

import numpy as np
import PIL.Image
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tf_inbetween import images
from tf_inbetween.models import FusionVAE

_KEYS = ("first", "second", "t")


def cases(model, config, training_rmse, batch, times=3):
    """Yields (signature name, inputs, outputs) with `batch` rows each, as NumPy arrays by name.

    The pictures are smooth noise of a fixed seed and the same at every call. `training_rmse` is as
    in `export.signatures`; `times` is the K of the sequences.
    """
    rng = np.random.default_rng(0)
    first, second = (_noise(rng, batch, config) for _ in range(2))
    t = rng.uniform(size=batch).astype(np.float32)
    many_t = rng.uniform(size=[batch, times]).astype(np.float32)
    latent = rng.normal(size=[batch, config.latent_dim]).astype(np.float32)
    seed = rng.integers(0, 2**31, size=[batch, 2])

    ends = {"first": first, "second": second}
    files = {"first_bytes": _png(first), "second_bytes": _png(second)}
    frame = model.inbetween(first, second, t).numpy()
    frames = model.inbetween(first, second, many_t).numpy()
    again = [model.reconstruct(end).numpy() for end in (first, second)]
    error = np.maximum(*(_mse(a, end) for a, end in zip(again, ends.values(), strict=True)))
    if isinstance(model, FusionVAE):
        parts = {name: part.numpy() for name, part in model.parts(first, second, t).items()}
        error += 4 * t * (1 - t) * _mse(parts["first_warped"], parts["second_warped"])
    confidence = np.minimum(1, 4 * training_rmse**2 / error).astype(np.float32)
    q = model.encode(first)
    drawn = model.sample_inbetween(first, second, t, seed).numpy()

    shown = {"frame_bytes": _png(frame), "confidence": confidence}
    yield "inbetween_png", {**files, "t": t}, shown
    yield "serving_default", {**files, "t": t}, shown
    yield "inbetween", {**ends, "t": t}, {"frame": frame, "confidence": confidence}
    yield "sequence", {**ends, "t": many_t}, {"frames": frames}
    yield "sequence_png", {**files, "t": many_t}, {"frame_bytes": _png(frames)}
    yield "encode", {"image": first}, {"mean": q.mean().numpy(), "stddev": q.stddev().numpy()}
    yield "decode", {"latent": latent}, {"image": model.decode(latent, config.image_size).numpy()}
    yield "reconstruct", {"image": first}, {"image": again[0]}
    yield "sample", {**ends, "t": t, "seed": seed}, {"frame": drawn}
    if isinstance(model, FusionVAE):
        yield "mask", {**ends, "t": t}, {"mask": parts["mask"]}
        yield "mask_png", {**files, "t": t}, {"mask_bytes": _png(parts["mask"])}


def write(path, logged, model_name):
    """Writes cases as a TFRecord of PredictionLog, the format of warmup requests."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs, outputs in logged:
            log = prediction_log_pb2.PredictionLog()
            spec = log.predict_log.request.model_spec
            spec.name, spec.signature_name = model_name, signature
            for key, value in inputs.items():
                log.predict_log.request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            for key, value in outputs.items():
                log.predict_log.response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())


def _mse(a, b):
    """[B, H, W, C] -> [B]."""
    return np.mean((a - b) ** 2, axis=(1, 2, 3))


def _noise(rng, batch, config):
    """Frames of whole grey levels, coarse noise made smooth: [B, H, W, C] in [0, 1]."""
    coarse = rng.uniform(size=[batch, 5, 5, config.channels]).astype(np.float32)
    return images.to_uint8(tf.image.resize(coarse, config.image_size).numpy()) / np.float32(255)


def _png(frames):
    """Frames [..., H, W, C] -> PNG files [...]."""
    files = np.empty(frames.shape[:-3], object)
    for index in np.ndindex(files.shape):
        with io.BytesIO() as file:
            pixels = images.to_uint8(frames[index])
            PIL.Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(
                file, "PNG"
            )
            files[index] = file.getvalue()
    return files
