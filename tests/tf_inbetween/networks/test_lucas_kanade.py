"""That the optical flow finds known motions, and that the fusion decoder begins from it."""

import numpy as np
import pytest
import tensorflow as tf

from tf_inbetween.evaluation import baselines, metrics
from tf_inbetween.networks.fusion import FusionDecoder
from tf_inbetween.networks.lucas_kanade import lucas_kanade, resize_flow
from tf_inbetween.networks.warping import warp


def texture(height, width, seed=0):
    """Smooth noise of several scales, as pictures have, [1, height, width, 3]."""
    rng, layers = np.random.default_rng(seed), []
    for scale in (4, 8, 16, 32):
        coarse = rng.uniform(size=[1, height // scale, width // scale, 3]).astype(np.float32)
        layers.append(tf.image.resize(coarse, [height, width], "bicubic"))
    return tf.add_n(layers) / len(layers)


def moved(frames, x, y):
    """Frames whose content is moved by (x, y) pixels."""
    flow = tf.broadcast_to([-float(x), -float(y)], [*frames.shape[:3], 2])
    return warp(frames, flow)


@pytest.mark.parametrize("way", [(0.0, 0.0), (1.5, -0.5), (6.0, 3.0), (-9.0, 8.0)])
@pytest.mark.parametrize("size", [(64, 64), (90, 161)])
def test_a_shift_is_found(way, size):
    frames = texture(*size)
    flow = lucas_kanade(frames, moved(frames, *way)).numpy()[:, 16:-16, 16:-16]
    assert np.median(np.abs(flow - way)) < 0.1


def test_a_zoom_is_found():
    frames = texture(96, 96)
    y, x = np.meshgrid(*[np.arange(96, dtype=np.float32) - 47.5] * 2, indexing="ij")
    way = 0.06 * np.stack([x, y], -1)[np.newaxis]
    flow = lucas_kanade(frames, warp(frames, -way / 1.06)).numpy()
    assert np.abs(flow - way)[:, 16:-16, 16:-16].mean() < 0.25


def test_flat_frames_do_not_move():
    np.testing.assert_array_equal(lucas_kanade(tf.ones([1, 32, 32, 1]), tf.ones([1, 32, 32, 1])), 0)


def test_rows_are_independent_and_no_gradient_passes():
    frames = tf.concat([texture(48, 48), texture(48, 48, seed=1)], axis=0)
    with tf.GradientTape() as tape:
        tape.watch(frames)
        flow = lucas_kanade(frames, moved(frames, 2, 0))
    assert tape.gradient(flow, frames) is None
    np.testing.assert_allclose(
        flow[1:], lucas_kanade(frames[1:], moved(frames[1:], 2, 0)), atol=1e-4
    )


def test_a_flow_of_another_size_is_in_its_pixels():
    flow = tf.broadcast_to([2.0, -3.0, 1.0, 1.0], [1, 8, 10, 4])
    np.testing.assert_allclose(
        resize_flow(flow, (16, 5)), tf.broadcast_to([1.0, -6.0, 0.5, 2.0], [1, 16, 5, 4]), atol=1e-6
    )


def test_flows_do_not_bleed_over_edges():
    """A square that moves in front of points of light; beside it the points stand still."""
    rng = np.random.default_rng(0)
    behind = np.where(rng.uniform(size=[1, 96, 96, 1]) < 0.04, 0.6, 0.05) * np.ones(3)
    first, second = behind.astype(np.float32), behind.astype(np.float32)
    first[:, 30:70, 20:60], second[:, 30:70, 26:66] = 0.4, 0.4
    still = np.abs(lucas_kanade(first, second).numpy()[0, ..., 0])
    still[26:74, 12:74] = 0
    assert np.mean(still > 1) < 0.05


def test_what_leaves_the_frame_does_not_pull():
    """All moves by (7, 0); at the right border there is nothing to be found."""
    wide = texture(64, 104)
    flow = lucas_kanade(wide[:, :, 20:84], wide[:, :, 13:77]).numpy()
    assert np.abs(flow[..., 0] - 7)[:, 8:-8].mean() < 0.3


def test_an_untrained_fusion_decoder_draws_as_the_flow_says():
    first = texture(64, 64)
    truth, second = moved(first, 4, -3), moved(first, 8, -6)
    decoder = FusionDecoder(3, (4, 4), "lucas_kanade")
    decoder.build()
    t, trust = tf.constant([0.5]), tf.constant([0.0])
    parts = decoder(first, second, first, second, first, t, trust)
    # `moved` repeats borders, so only pixels are compared that no border was ever moved into.
    part = (slice(None), slice(12, -12), slice(12, -12))
    by_flow = metrics.psnr(parts["frame"][part], truth[part])
    crossfade = metrics.psnr(baselines.crossfade(first, second, 0.5)[part], truth[part])
    assert by_flow > crossfade + 10
    for at, end in ((0.0, first), (1.0, second)):
        parts = decoder(first, second, first, second, first, tf.constant([at]), trust)
        np.testing.assert_array_equal(parts["frame"], end)
