"""Optical flow without weights, in TensorFlow operations, so that a server can compute it too.

From coarse to fine, each size in three steps:

1. Every pixel follows the window around it: Lucas and Kanade, "An Iterative Image Registration
   Technique with an Application to Stereo Vision", IJCAI 1981. Pixels that fit badly weigh less, as
   in Black and Anandan, "The Robust Estimation of Multiple Motions", CVIU 1996, and those that
   leave the frame not at all.
2. Every pixel takes the mean of its neighbours' flows, weighted by how well each fits there, so
   that flows do not bleed over edges: the densification of Kroeger et al., "Fast Optical Flow using
   Dense Inverse Search", ECCV 2016.
3. The flow is made smooth where the frames do not object: Brox et al., "High Accuracy Optical Flow
   Estimation Based on a Theory for Warping", ECCV 2004, grey levels alone, by Jacobi's method.
"""

import numpy as np
import tensorflow as tf

from tf_inbetween.networks.warping import is_inside, warp

# From coarse to fine. All constants were chosen on training and validation clips of tests/film.py,
# see BUILD_NOTES.md, 2026-11-30.
_ITERATIONS = (6, 5, 4, 3, 3)
_WINDOWS = (3.0, 2.75, 2.5, 2.25, 2.0)  # Sigma of the Gaussian window in pixels.
_COARSEST = 12  # Pixels of a side at the least.
_ROBUST = 0.1  # The difference of grey levels, of 1, at which a pixel weighs half.
_LONGEST_STEP = 2.0  # Pixels in an iteration.
_NEIGHBOURS = 3  # Pixels to the neighbours whose flows a pixel may take.
_WELL_ENOUGH = 0.01  # Flows that fit better than this weigh the same.
_SMOOTHNESS = 0.3
_SMOOTHING_STEPS = 10


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
        flow = _follow_windows(a, b, flow, iterations, sigma)
        flow = _take_from_neighbours(a, b, flow)
        flow = _smooth(a, b, flow)
    return tf.stop_gradient(resize_flow(flow, size))


def resize_flow(flow, size):
    """A flow [N, h, w, 2 n] for frames of `size`, (H, W): [N, H, W, 2 n], in their pixels."""
    times = tf.cast(size, tf.float32) / tf.cast(tf.shape(flow)[1:3], tf.float32)
    times = tf.tile(times[::-1], [flow.shape[-1] // 2])
    return tf.image.resize(flow, size, antialias=True) * times


def _follow_windows(a, b, flow, iterations, sigma):
    """Step 1, of the flow from `a` to `b`, both [N, h, w, 1]."""
    dx, dy = _gradient(a)
    for _ in range(iterations):
        difference = a - warp(b, flow)
        weight = is_inside(flow) / (1 + (difference / _ROBUST) ** 2)
        sums = [dx * dx, dx * dy, dy * dy, dx * difference, dy * difference]
        sums = _blurred(tf.concat([weight * each for each in sums], axis=-1), sigma)
        xx, xy, yy, x, y = tf.split(sums, 5, axis=-1)
        flat = 1e-4 + 0.01 * (xx + yy)  # Where there is no structure, there is no step.
        step = _solve(xx + flat, xy, yy + flat, x, y)
        flow += tf.clip_by_value(step, -_LONGEST_STEP, _LONGEST_STEP)
    return flow


def _take_from_neighbours(a, b, flow):
    """Step 2."""
    reach = _NEIGHBOURS
    margins = [[0, 0], [reach, reach], [reach, reach], [0, 0]]
    padded, size = tf.pad(flow, margins, "SYMMETRIC"), tf.shape(flow)
    total = weights = 0.0
    for down in (0, reach, 2 * reach):
        for right in (0, reach, 2 * reach):
            other = padded[:, down : down + size[1], right : right + size[2]]
            misfit = _blurred(tf.abs(a - warp(b, other)), 1.0)
            weight = (is_inside(other) + 1e-3) / tf.maximum(misfit, _WELL_ENOUGH) ** 2
            total, weights = total + weight * other, weights + weight
    return total / weights


def _smooth(a, b, flow):
    """Step 3: the change of the flow that makes less of

        |a - b(p + flow)| / |gradient|  +  _SMOOTHNESS |how the flow differs from pixel to pixel|

    with both terms linear, and their weights those at the flow given.
    """
    warped = warp(b, flow)
    dx, dy = (tf.add_n(both) / 2 for both in zip(_gradient(a), _gradient(warped), strict=True))
    difference = a - warped
    weight = is_inside(flow) * tf.math.rsqrt(difference**2 + 1e-6)
    weight *= tf.math.rsqrt(dx**2 + dy**2 + 1e-4)
    xx, xy, yy = weight * dx * dx, weight * dx * dy, weight * dy * dy
    x, y = weight * dx * difference, weight * dy * difference

    _, right, _, below = _neighbours(flow)
    squares = tf.reduce_sum((right - flow) ** 2 + (below - flow) ** 2, -1, keepdims=True)
    stiffness = _SMOOTHNESS * tf.math.rsqrt(squares + 1e-2)
    ties = [(stiffness + other) / 2 for other in _neighbours(stiffness)]
    tied = tf.add_n(ties)
    change = tf.zeros_like(flow)
    for _ in range(_SMOOTHING_STEPS):
        others = _neighbours(flow + change)
        pull = tf.add_n([tie * other for tie, other in zip(ties, others, strict=True)])
        pull_x, pull_y = tf.split(pull - tied * flow, 2, axis=-1)
        change = _solve(xx + tied, xy, yy + tied, x + pull_x, y + pull_y)
    return flow + tf.clip_by_value(change, -_LONGEST_STEP, _LONGEST_STEP)


def _solve(xx, xy, yy, x, y):
    """The solution of [[xx, xy], [xy, yy]] step = [x, y] in every pixel, [N, h, w, 2]."""
    return tf.concat([yy * x - xy * y, xx * y - xy * x], axis=-1) / (xx * yy - xy * xy)


def _gradient(maps):
    left, right, above, below = _neighbours(maps)
    return (right - left) / 2, (below - above) / 2


def _neighbours(maps):
    """Maps [N, h, w, C] as the pixels left, right, above and below have them, mirrored outside."""
    padded = tf.pad(maps, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return (
        padded[:, 1:-1, :-2],
        padded[:, 1:-1, 2:],
        padded[:, :-2, 1:-1],
        padded[:, 2:, 1:-1],
    )


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
