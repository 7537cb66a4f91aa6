"""How good a drawn frame is, and whether it shows the right moment.

Frames are float arrays [N, H, W, C] in [0, 1]. Times are frame indices of a true clip of K frames;
on a closed clip they go round, and every distance is the shorter way.
"""

import numpy as np
import tensorflow as tf

_BEST_PSNR = 100.0  # dB; identical frames would be infinitely good, which JSON cannot say.
_HIT_SHARE = 0.05


def mse(frames, truth):
    """Mean squared error over pixels and channels: [N]."""
    return np.mean((np.asarray(frames, np.float64) - truth) ** 2, axis=(1, 2, 3))


def psnr(frames, truth):
    """Peak signal-to-noise ratio for a peak of 1, in dB, at most 100: [N]."""
    return -10.0 * np.log10(np.maximum(mse(frames, truth), 10 ** (-_BEST_PSNR / 10)))


def ssim(frames, truth):
    """Structural similarity (Wang et al., 2004; Gaussian window, sigma 1.5): [N], 1 is best."""
    return tf.image.ssim(
        tf.constant(frames, tf.float32), tf.constant(truth, tf.float32), max_val=1.0
    ).numpy()


def nearest_times(frames, clip):
    """The index of the frame of `clip` [K, H, W, C] nearest in MSE to each of `frames`: [N]."""
    flat = np.asarray(frames, np.float32).reshape(len(frames), -1)
    flat_clip = np.asarray(clip, np.float32).reshape(len(clip), -1)
    # Not NumPy's product: its threads spin while they wait, which beside other work took 100 times
    # as long as the product.
    product = tf.matmul(flat, flat_clip, transpose_b=True).numpy()
    return ((flat_clip**2).sum(axis=1) - 2 * product).argmin(axis=1)


def signed_steps(start, end, length, closed):
    """From `start` to `end` in frames: the shorter way round where closed (then at most K/2)."""
    steps = np.asarray(end, np.float64) - np.asarray(start)
    return (steps + length / 2) % length - length / 2 if closed else steps


def timing_error(frames, clip, wanted, closed):
    """How far, in frames, the moment that each frame shows lies from the one wanted: [N].

    Args:
        frames: [N, H, W, C], drawn.
        clip: [K, H, W, C], true.
        wanted: [N], indices into the clip, possibly fractional.
        closed: whether the clip is.
    """
    return np.abs(signed_steps(wanted, nearest_times(frames, clip), len(clip), closed))


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


def smoothness(path, clip, closed):
    """ACAI's Smoothness of a path [n, H, W, C]: how uneven the steps of its true times are.

    max |step| / |whole way| - 1/(n-1), the whole way being that from the first time to the last,
    step by step (so it may go more than once round a closed clip). 0 is best. The worst value is
    1 - 1/(n-1): a single jump, and also any path that ends where it began or that goes back and
    forth by more than it gets ahead.
    """
    times = nearest_times(path, clip)
    steps = signed_steps(times[:-1], times[1:], len(clip), closed)
    worst = 1.0 - 1.0 / len(steps)
    whole = abs(steps.sum())
    if whole == 0:
        return worst
    return float(min(np.abs(steps).max() / whole - 1.0 / len(steps), worst))


def _normalised(frames):
    flat = np.asarray(frames, np.float64).reshape(len(frames), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
