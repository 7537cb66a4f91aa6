"""Every metric on a perfect, a useless and a degenerate input."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from tf_inbetween.evaluation import metrics
from tf_inbetween.kinds import KINDS
from tf_inbetween.models import to_float

PICTURES = KINDS["pictures"]


@pytest.fixture
def clip():
    """A bright dot that goes round a dark ring: 40 frames of a closed clip, 16x16x1."""
    frames = np.zeros((40, 16, 16, 1), np.float32)
    y, x = np.mgrid[:16, :16]
    for i, angle in enumerate(np.linspace(0, 2 * np.pi, 40, endpoint=False)):
        distance = (x - 7.5 - 5 * np.cos(angle)) ** 2 + (y - 7.5 - 5 * np.sin(angle)) ** 2
        frames[i, ..., 0] = np.exp(-distance / 4)
    return frames


def test_mse_psnr_ssim_of_a_perfect_a_useless_and_a_flat_frame(clip):
    perfect, useless = clip[:3], 1 - clip[:3]
    np.testing.assert_array_equal(metrics.mse(perfect, clip[:3]), 0)
    np.testing.assert_allclose(metrics.psnr(perfect, clip[:3]), 100)
    np.testing.assert_allclose(metrics.ssim(perfect, clip[:3]), 1, atol=1e-6)
    assert np.all(metrics.mse(useless, clip[:3]) > 0.5)
    assert np.all(metrics.psnr(useless, clip[:3]) < 3)
    assert np.all(metrics.ssim(useless, clip[:3]) < 0)
    flat = np.full_like(clip[:3], 0.5)
    assert np.all(np.isfinite(metrics.ssim(flat, flat)))
    np.testing.assert_allclose(metrics.mse(flat, flat + 0.1), 0.01, rtol=1e-5)
    np.testing.assert_allclose(metrics.psnr(flat, flat + 0.1), 20, rtol=1e-5)


def check_against_scikit_image(drawn, truth):
    """Compares MSE, PSNR and SSIM of frames [N, H, W, C], none equal."""
    mse, psnr, ssim = (
        measure(drawn, truth) for measure in (metrics.mse, metrics.psnr, metrics.ssim)
    )
    for i, (one, other) in enumerate(zip(drawn, truth, strict=True)):
        np.testing.assert_allclose(mse[i], mean_squared_error(other, one))
        np.testing.assert_allclose(psnr[i], peak_signal_noise_ratio(other, one, data_range=1))
        _, full = structural_similarity(
            other,
            one,
            data_range=1,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        # TensorFlow averages where the 11x11 window fits; scikit-image pads.
        np.testing.assert_allclose(ssim[i], full[5:-5, 5:-5].mean(), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_mse_psnr_and_ssim_agree_with_scikit_image_on_noise(channels):
    rng = np.random.default_rng(0)
    truth = rng.uniform(size=(2, 32, 32, channels))
    check_against_scikit_image(
        np.clip(truth + rng.normal(scale=0.1, size=truth.shape), 0, 1), truth
    )


@pytest.mark.parametrize("apart", [1, 4, 18])
def test_mse_psnr_and_ssim_agree_with_scikit_image_on_the_teapot(stored, apart):
    (clip,) = stored.load("test")
    frames = to_float(clip.frames).numpy().astype(np.float64)[::6]
    faded = (frames + np.roll(frames, apart, axis=0)) / 2
    check_against_scikit_image(faded, frames)
    check_against_scikit_image(np.roll(frames, apart, axis=0), frames)


@pytest.fixture(scope="module")
def teapots(stored):
    """Six views of the teapot: [6, 64, 64, 3]."""
    (clip,) = stored.load("test")
    return to_float(clip.frames[::6]).numpy()


def detail_by_scipy(frame, truth):
    """`metrics.detail` of two frames [H, W, C], with SciPy's Laplacian and Gaussian."""
    a, b = (
        np.sqrt(
            ndimage.gaussian_filter(
                np.mean([ndimage.laplace(x, mode="nearest") ** 2 for x in picture.T], axis=0),
                sigma=1,
                mode="nearest",
            )
        )
        for picture in (frame.astype(np.float64), truth.astype(np.float64))
    )
    return 2 * np.sum(a * b) / (np.sum(a**2) + np.sum(b**2))


@pytest.mark.parametrize("shape", [(32, 32, 3), (5, 40, 3), (16, 16, 1), (2, 3, 1)])
def test_detail_agrees_with_scipy(shape):
    truth, frames = np.random.default_rng(0).uniform(size=(2, 3, *shape))
    expected = [detail_by_scipy(*pair) for pair in zip(frames, truth, strict=True)]
    np.testing.assert_allclose(metrics.detail(frames, truth), expected, rtol=1e-10)


def test_detail_agrees_with_scipy_on_the_teapot(teapots):
    moved = np.roll(teapots, 1, axis=0)
    expected = [detail_by_scipy(*pair) for pair in zip(moved, teapots, strict=True)]
    np.testing.assert_allclose(metrics.detail(moved, teapots), expected, rtol=1e-10)


def test_detail_by_hand():
    """Pixels far apart: around each the squared Laplacian is 16 h^2 and four times h^2.

    The blur keeps the sum of squares, 20 h^2, and the amplitude is linear in the height h.
    """
    frames = np.zeros((5, 64, 64, 1))
    for frame, pixels in zip(
        frames,
        [{16: 1.0}, {16: 0.5}, {48: 1.0}, {16: 1.0, 48: 1.0}, {16: -1.0}],
        strict=True,
    ):
        for place, height in pixels.items():
            frame[place, place] = height
    np.testing.assert_allclose(np.sum(metrics.amplitude(frames[:2]) ** 2, axis=(1, 2)), [20, 5])
    truth = np.broadcast_to(frames[:1], frames.shape)
    # The truth; half of its contrast; elsewhere; it and as much again; with the other sign.
    expected = [1, 2 * 0.5 / (1 + 0.25), 0, 2 / (2 + 1), 1]
    np.testing.assert_allclose(metrics.detail(frames, truth), expected, atol=1e-12)
    assert metrics.amplitude(frames[:1])[0, 16, 16] == pytest.approx(np.sqrt(around_a_pixel()))


def around_a_pixel():
    """The blurred squared Laplacian on a pixel of height 1, from the weights of the Gaussian."""
    weights = np.exp([0, -0.5]) / sum(np.exp(-0.5 * i**2) for i in range(-4, 5))
    return weights[0] ** 2 * 16 + 4 * weights[0] * weights[1]


def test_detail_of_the_truth_of_a_blur_and_of_the_useless(teapots):
    flat = np.broadcast_to(teapots.mean(axis=(1, 2), keepdims=True), teapots.shape)
    blurs = [
        metrics.detail(ndimage.gaussian_filter(teapots, (0, s, s, 0), mode="nearest"), teapots)
        for s in (0.5, 1, 2, 4)
    ]
    np.testing.assert_allclose(metrics.detail(teapots, teapots), 1, rtol=1e-12)
    np.testing.assert_array_equal(metrics.detail(flat, teapots), 0)
    assert np.all(np.diff([np.ones(len(teapots)), *blurs], axis=0) < 0)
    assert np.all(blurs[1] < 0.6)
    assert np.all(blurs[2] < 0.25)
    assert np.all(blurs[3] < 0.05)


def test_detail_falls_with_the_shift_and_with_noise(teapots):
    shifted = [metrics.detail(np.roll(teapots, k, axis=2), teapots) for k in range(4)]
    assert np.all(np.diff(shifted, axis=0) < 0)
    assert np.all(shifted[1] > 0.9)
    noise = np.random.default_rng(0).normal(size=teapots.shape)
    noisy = [metrics.detail(teapots + scale * noise, teapots) for scale in (0, 0.01, 0.1, 1)]
    assert np.all(np.diff(noisy, axis=0) < 0)
    assert np.all(noisy[3] < 0.2)


@pytest.mark.parametrize("contrast", [0.25, 0.5, 1, 2, 4])
def test_detail_of_another_contrast(teapots, contrast):
    """a = c b, so it is 2 c / (c^2 + 1): too much counts as too little."""
    detail = metrics.detail(0.5 + contrast * (teapots - 0.5), teapots)
    np.testing.assert_allclose(detail, 2 * contrast / (contrast**2 + 1), rtol=1e-5)


@pytest.mark.parametrize("grey", [0.0, 0.1, 1 / 3, 1.0])
def test_detail_where_one_or_both_are_flat(teapots, grey):
    flat = np.full_like(teapots, grey)
    almost = flat + np.random.default_rng(0).normal(scale=1e-7, size=flat.shape)
    for other in (flat, 1 - flat, almost):
        np.testing.assert_array_equal(metrics.detail(flat, other), 1)
        np.testing.assert_array_equal(metrics.detail(other, flat), 1)
    np.testing.assert_array_equal(metrics.detail(flat, teapots), 0)
    np.testing.assert_array_equal(metrics.detail(teapots, flat), 0)
    dot = flat.copy()
    dot[:, 0, 0, 0] += 1 / 255  # The least that an 8-bit frame can have.
    np.testing.assert_array_equal(metrics.detail(flat, dot), 0)


def test_detail_does_not_depend_on_the_batch(teapots):
    drawn = np.roll(teapots, 1, axis=0)
    alone = [metrics.detail(drawn[[i]], teapots[[i]])[0] for i in range(len(teapots))]
    np.testing.assert_array_equal(metrics.detail(drawn, teapots), alone)
    assert metrics.detail(teapots[:0], teapots[:0]).shape == (0,)


def test_timing_of_true_frames_is_exact(clip):
    wanted = np.array([0, 7, 39])
    np.testing.assert_array_equal(PICTURES.timing_error(clip[wanted], clip, wanted, True), 0)


def test_timing_goes_the_shorter_way_round_a_closed_clip_only(clip):
    shown, wanted = clip[[39]], np.array([1])
    np.testing.assert_array_equal(PICTURES.timing_error(shown, clip, wanted, cyclic=True), 2)
    np.testing.assert_array_equal(PICTURES.timing_error(shown, clip, wanted, cyclic=False), 38)
    assert PICTURES.timing_error(clip[[20]], clip, np.array([0]), cyclic=True) == 20


def test_a_frame_that_shows_nothing_gets_some_time_and_no_error_is_infinite(clip):
    error = PICTURES.timing_error(np.zeros_like(clip[:5]), clip, np.arange(5), True)
    assert np.all((error >= 0) & (error <= 20))


def test_a_crossfade_of_far_frames_shows_the_wrong_moment(clip):
    wanted = np.arange(0, 40, 5)
    faded = (clip[wanted - 8] + clip[(wanted + 8) % 40]) / 2
    assert np.all(PICTURES.timing_error(faded, clip, wanted, True) >= 7)


def test_a_hit_is_within_five_percent_of_the_gap_or_one_frame():
    np.testing.assert_array_equal(metrics.hits([0, 1, 2, 3, 4], gap=60), [1, 1, 1, 1, 0])
    np.testing.assert_array_equal(metrics.hits([0, 1, 2], gap=4), [1, 1, 0])


def smoothness(path, clip):
    return metrics.smoothness(metrics.nearest_times(path, clip), len(clip), cyclic=True)


def test_path_figures_of_the_true_path_are_perfect(clip):
    path = clip[:16]
    assert metrics.mean_distance(path, clip) == pytest.approx(0, abs=1e-6)
    assert smoothness(path, clip) == pytest.approx(0, abs=1e-6)
    backwards = clip[[2, 1, 0, 39, 38, 37]]
    assert smoothness(backwards, clip) == pytest.approx(0, abs=1e-6)


def test_a_path_that_jumps_once_is_as_rough_as_can_be(clip):
    path = clip[[3] * 8 + [12] * 8]
    assert smoothness(path, clip) == pytest.approx(1 - 1 / 15)


@pytest.mark.parametrize("places", [[5] * 16, [5, 9] * 7 + [9, 5], [0, 19, 0, 19, 1]])
def test_a_path_that_goes_nowhere_gets_the_worst_smoothness(clip, places):
    worst = 1 - 1 / (len(places) - 1)
    assert smoothness(clip[places], clip) == pytest.approx(worst)


def test_mean_distance_of_frames_unlike_any_is_large(clip):
    assert metrics.mean_distance(1 - clip[:4], clip) > 0.5
    black = np.zeros_like(clip[:4])
    assert metrics.mean_distance(black, clip) == pytest.approx(1)
