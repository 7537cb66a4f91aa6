"""Optical flow without weights, in TensorFlow operations, so that a server can compute it too.

Lucas and Kanade, "An Iterative Image Registration Technique with an Application to Stereo Vision",
IJCAI 1981, for every pixel and from coarse to fine as in Bouguet, "Pyramidal Implementation of the
Lucas Kanade Feature Tracker", 2000; pixels that fit badly weigh less, as in Black and Anandan, "The
Robust Estimation of Multiple Motions", CVIU 1996.
"""

import numpy as np
import tensorflow as tf

from tf_inbetween.networks.warping import warp

# From coarse to fine. Chosen on the training part of tests/film.py, see BUILD_NOTES.md, 2026-11-30.
_ITERATIONS = (6, 5, 4, 3, 3)
_WINDOWS = (3.0, 2.75, 2.5, 2.25, 2.0)  # Sigma of the Gaussian window in pixels.
_COARSEST = 12  # Pixels of a side at the least.
_ROBUST = 0.1  # The difference of grey levels, of 1, at which a pixel weighs half.
_LONGEST_STEP = 2.0  # Pixels in an iteration.


def lucas_kanade(first, second):
    """The way of every pixel of frames to that which looks alike in others.

    It is computed at half the resolution: at 640x360 the frames warped along it were worse by 0.1
    dB at the most than at full resolution, in a quarter of the time.

    Args:
        first, second: [N, H, W, C] floats in [0, 1]; no gradient passes.

    Returns:
        [N, H, W, 2] float32, (x, y) in pixels: first(p) looks like second(p + flow(p)).
    """
    size = tf.shape(first)[1:3]
    pair = [
        tf.reduce_mean(tf.cast(frames, tf.float32), -1, keepdims=True) for frames in (first, second)
    ]
    flow = None
    for level, (iterations, sigma) in enumerate(zip(_ITERATIONS, _WINDOWS, strict=True)):
        halvings = len(_ITERATIONS) - level
        smaller = tf.maximum((size + 2**halvings - 1) // 2**halvings, _COARSEST)
        a, b = (tf.image.resize(frames, smaller, antialias=True) for frames in pair)
        flow = tf.zeros_like(a) * [1.0, 1.0] if flow is None else resize_flow(flow, smaller)
        flow = _refined(a, b, flow, iterations, sigma)
    return tf.stop_gradient(resize_flow(flow, size))


def resize_flow(flow, size):
    """A flow [N, h, w, 2 n] for frames of `size`, (H, W): [N, H, W, 2 n], in their pixels."""
    times = tf.cast(size, tf.float32) / tf.cast(tf.shape(flow)[1:3], tf.float32)
    times = tf.tile(times[::-1], [flow.shape[-1] // 2])
    return tf.image.resize(flow, size, antialias=True) * times


def _refined(a, b, flow, iterations, sigma):
    """The flow from `a` to `b`, [N, h, w, 1], after some iterations."""
    padded = tf.pad(a, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    dx = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    dy = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    for _ in range(iterations):
        difference = a - warp(b, flow)
        weight = 1 / (1 + (difference / _ROBUST) ** 2)
        sums = [dx * dx, dx * dy, dy * dy, dx * difference, dy * difference]
        sums = _blurred(tf.concat([weight * each for each in sums], axis=-1), sigma)
        xx, xy, yy, x, y = tf.unstack(sums, axis=-1)
        flat = 1e-4 + 0.01 * (xx + yy)  # Where there is no structure, there is no step.
        xx, yy = xx + flat, yy + flat
        step = tf.stack([yy * x - xy * y, xx * y - xy * x], -1) / (xx * yy - xy * xy)[..., None]
        flow = _blurred(flow + tf.clip_by_value(step, -_LONGEST_STEP, _LONGEST_STEP), 1.0)
    return flow


def _blurred(maps, sigma):
    """Maps [N, h, w, C] blurred by a Gaussian, mirrored at the border."""
    reach = int(np.ceil(2.5 * sigma))
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    window = tf.constant(np.tile(window / window.sum(), [maps.shape[-1], 1]).T, tf.float32)
    margins = [[0, 0], [reach, reach], [reach, reach], [0, 0]]
    maps = tf.pad(maps, margins, "SYMMETRIC")
    for kernel in (window[:, tf.newaxis, :, tf.newaxis], window[tf.newaxis, :, :, tf.newaxis]):
        maps = tf.nn.depthwise_conv2d(maps, kernel, [1, 1, 1, 1], "VALID")
    return maps
