"""The quality of a drawn frame, and whether it has the right time.

Frames are float arrays [N, H, W, C] in [0, 1]. Times are frame indices of a true clip of K frames;
on a closed clip they wrap around, and every distance is the shorter way.
"""

from concurrent import futures

import numpy as np
import tensorflow as tf

from data_gen.pool import default_workers

_BEST_PSNR = 100.0  # dB; JSON cannot represent the infinity of identical frames.
_HIT_SHARE = 0.05
_REACH = 4  # of the window of `amplitude`, in pixels
_BLOCK = 8  # frames at a time, which fit a cache; 100 took 1.5 times as long.
_FLAT = 1e-6  # Less than one pixel that is off by one 8-bit step.


def mse(frames, truth):
    """Mean squared error over pixels and channels: [N]."""
    return np.mean((np.asarray(frames, np.float64) - truth) ** 2, axis=(1, 2, 3))


def psnr(frames, truth):
    """Peak signal-to-noise ratio for a peak of 1, in dB, at most 100: [N]."""
    return -10.0 * np.log10(np.maximum(mse(frames, truth), 10 ** (-_BEST_PSNR / 10)))


def ssim(frames, truth):
    """Structural similarity (Wang et al., 2004; Gaussian window, sigma 1.5): [N], 1 is best.

    The values of `tf.image.ssim`, which has one pass of 11 x 11 weights in place of two of 11 and
    takes 17 times as long. Frames need at least 11 x 11 pixels.
    """
    return _in_blocks(_ssim, frames, truth)


def _ssim(frames, truth):
    x, y = np.asarray(frames, np.float32), np.asarray(truth, np.float32)
    window = _gaussian(1.5, 5)
    mean_x, mean_y = _blurred(x, window), _blurred(y, window)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    luminance = (2 * product + 0.01**2) / (squares + 0.01**2)
    covariance = 2 * (_blurred(x * y, window) - product) + 0.03**2
    variances = _blurred(x**2 + y**2, window) - squares + 0.03**2
    return np.mean(luminance * covariance / variances, axis=(1, 2, 3))


def detail(frames, truth):
    """How much of the fine structure of `truth` is in `frames`, at its place: [N] in [0, 1].

    With a and b the `amplitude` of a frame and of its truth,

        detail = 2 sum(a b) / (sum(a^2) + sum(b^2))

    summed over pixels. 1 for the truth, near 0 for a blur, lower for structure that is misplaced or
    that the truth lacks. 1 if both are flat and 0 if only one is.
    """
    a, b = amplitude(frames), amplitude(truth)
    products, squares = (np.sum(x, axis=(1, 2)) for x in (2 * a * b, a**2 + b**2))
    flat = squares < _FLAT
    return np.where(flat, 1.0, products / np.where(flat, 1.0, squares))


def amplitude(frames):
    """The local amplitude of the Laplacian of frames [N, H, W, C]: [N, H, W], 0 where flat.

    The square root of the squared Laplacian of the four neighbours, averaged over the channels and
    blurred by a Gaussian with sigma 1 px. Edges are replicated.
    """
    return _in_blocks(_amplitude, frames)


def _in_blocks(measure, *frames):
    """A function of frames, or of frames and truths, of a few at a time on all cores."""
    starts = range(0, max(len(frames[0]), 1), _BLOCK)
    blocks = ([each[i : i + _BLOCK] for i in starts] for each in frames)
    with futures.ThreadPoolExecutor(default_workers()) as pool:
        return np.concatenate(list(pool.map(measure, *blocks)))


def _amplitude(frames):
    frames = np.asarray(frames, np.float64)
    padded = np.pad(frames, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    neighbours = (
        *(padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]),
        *(padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]),
    )
    # Differences, not a sum less four times the centre: a flat frame then has exactly 0.
    laplacian = sum(neighbour - frames for neighbour in neighbours)
    energy = np.mean(laplacian**2, axis=-1)
    edges = [(0, 0), (_REACH, _REACH), (_REACH, _REACH)]
    return np.sqrt(_blurred(np.pad(energy, edges, mode="edge"), _gaussian(1.0, _REACH)))


def _gaussian(sigma, reach):
    """Weights at -`reach` to `reach` pixels whose sum is 1."""
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


def _blurred(images, window):
    """Images [N, H, W, ...] blurred along both sides, which are shorter by len(window) - 1 then."""
    for axis in (1, 2):
        length = images.shape[axis] - len(window) + 1
        ahead = (slice(None),) * axis
        total = 0.0
        for i, weight in enumerate(window.astype(images.dtype)):
            total += weight * images[(*ahead, slice(i, i + length))]
        images = total
    return images


def nearest_times(frames, clip):
    """The index of the frame of `clip` [K, H, W, C] nearest in MSE to each of `frames`: [N]."""
    flat = np.asarray(frames, np.float32).reshape(len(frames), -1)
    flat_clip = np.asarray(clip, np.float32).reshape(len(clip), -1)
    # Not NumPy's product: its threads spin while they wait, which beside other work took 100 times
    # as long as the product.
    product = tf.matmul(flat, flat_clip, transpose_b=True).numpy()
    return ((flat_clip**2).sum(axis=1) - 2 * product).argmin(axis=1)


def signed_steps(start, end, length, cyclic):
    """From `start` to `end` in frames: the shorter way round where closed (then at most K/2)."""
    steps = np.asarray(end, np.float64) - np.asarray(start)
    return (steps + length / 2) % length - length / 2 if cyclic else steps


def hits(errors, gap):
    """Whether each timing error is at most 5 % of the gap, and always if at most one frame: [N]."""
    return np.asarray(errors) <= max(_HIT_SHARE * gap, 1.0)


def mean_distance(path, clip):
    """ACAI's Mean Distance of a path [n, H, W, C]: cosine distance to the nearest true frame.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and Improving Interpolation in Autoencoders
    via an Adversarial Regularizer", 2018, section 4. Averaged over the path; 0 is best.
    """
    cosines = tf.matmul(_normalised(path), _normalised(clip), transpose_b=True).numpy()
    return float(np.mean(1.0 - cosines.max(axis=1)))


def smoothness(times, length, cyclic):
    """ACAI's Smoothness of a path by its true times [n]: how uneven their steps are.

    max |step| / |whole way| - 1/(n-1), the whole way being that from the first time to the last,
    step by step (so it may go more than once round a closed clip). 0 is best. The worst value is
    1 - 1/(n-1): a single jump, and also any path that ends where it began or that goes back and
    forth by more than it gets ahead.

    Args:
        times: the index of the true frame that is nearest to each of the path's.
        length: frames of the true clip.
        cyclic: whether the clip is.
    """
    steps = signed_steps(times[:-1], times[1:], length, cyclic)
    worst = 1.0 - 1.0 / len(steps)
    whole = abs(steps.sum())
    if whole == 0:
        return worst
    return float(min(np.abs(steps).max() / whole - 1.0 / len(steps), worst))


def _normalised(frames):
    flat = np.asarray(frames, np.float64).reshape(len(frames), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
