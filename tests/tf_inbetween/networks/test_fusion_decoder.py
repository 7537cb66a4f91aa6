"""The fusion decoder: what it copies, what it draws, and what it leaves alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_inputs import pictures

from tf_inbetween.networks.fusion import FusionDecoder
from tf_inbetween.networks.warping import is_inside, warp, warp_bicubic

both_warps = pytest.mark.parametrize("warp", [warp, warp_bicubic])


@pytest.fixture(params=["float32", "mixed_bfloat16"])
def decoder(request):
    """One with random weights in every layer, those that start at zero included."""
    keras.config.set_dtype_policy(request.param)
    try:
        made = FusionDecoder(3, (4, 8))
    finally:
        keras.config.set_dtype_policy("float32")
    made.build()
    rng = np.random.default_rng(0)
    for weight in made.trainable_variables:
        weight.assign(rng.normal(scale=0.2, size=weight.shape))
    return made


def draw(decoder, t, trust=1.0, seed=0):
    first, second, first_again, second_again, drawn = pictures(10, seed=seed).reshape(
        5, 2, 16, 16, 3
    )
    inputs = [first, second, first_again, second_again, drawn]
    return inputs, decoder(*inputs, tf.fill([2], t), tf.fill([2], trust))


@both_warps
def test_a_flow_of_zero_changes_nothing(warp):
    frames = pictures()
    np.testing.assert_array_equal(warp(frames, np.zeros([2, 16, 16, 2], np.float32)), frames)


@both_warps
def test_a_flow_is_where_a_pixel_comes_from(warp):
    frames = pictures()
    flow = np.broadcast_to(np.float32([3, -2]), [2, 16, 16, 2])  # from the right and from above
    np.testing.assert_allclose(warp(frames, flow)[:, 2:, :-3], frames[:, :-2, 3:], rtol=1e-6)


@both_warps
def test_outside_a_warp_repeats_the_border(warp):
    frames = pictures()
    for flow, x in (([-40, 0], 0), ([40, 0], -1)):
        warped = warp(frames, np.broadcast_to(np.float32(flow), [2, 16, 16, 2]))
        np.testing.assert_allclose(warped, np.repeat(frames[:, :, [x]], 16, 2), rtol=1e-6)


def test_a_bicubic_warp_is_exact_for_parabolas_and_sharper_than_a_bilinear_one():
    x = np.arange(16, dtype=np.float32)
    parabola = np.tile((x**2)[None, None, :, None], (1, 16, 1, 1))
    flow = np.broadcast_to(np.float32([0.25, 0.5]), [1, 16, 16, 2])
    warped = warp_bicubic(parabola, flow)[0, :, 1:-2, 0]
    np.testing.assert_allclose(warped, np.tile((x[1:-2] + 0.25) ** 2, (16, 1)), rtol=1e-5)
    assert np.all(warp(parabola, flow)[0, :, 1:-2, 0] > warped + 0.1)


def test_between_pixels_a_warp_is_linear_and_outside_it_repeats_the_border():
    ramp = np.tile(np.arange(16, dtype=np.float32)[None, :, None, None], (1, 1, 16, 1))
    flow = np.broadcast_to(np.float32([0, 0.25]), [1, 16, 16, 2])
    expected = np.minimum(ramp + 0.25, 15)
    np.testing.assert_allclose(warp(ramp, flow), expected, rtol=1e-6)


@both_warps
def test_a_warp_has_the_gradient_of_its_flow(warp):
    ramp = tf.tile(tf.range(16, dtype=tf.float32)[:, None], (1, 16))[None, :, :, None]
    flow = tf.fill([1, 16, 16, 2], 0.25)
    with tf.GradientTape() as tape:
        tape.watch(flow)
        total = tf.reduce_sum(warp(ramp, flow)[:, 1:-2])
    gradient = tape.gradient(total, flow)[:, 1:-2]
    np.testing.assert_allclose(gradient[..., 0], 0, atol=1e-6)
    np.testing.assert_allclose(gradient[..., 1], 1, atol=1e-6)


def test_at_the_ends_it_draws_the_ends_exactly(decoder):
    for t, end in ((0.0, 0), (1.0, 1)):
        inputs, parts = draw(decoder, t)
        np.testing.assert_array_equal(parts["frame"], inputs[end])
        np.testing.assert_array_equal(parts["mask"][..., end], 1)


def test_the_shares_of_the_mask_sum_to_one(decoder):
    _, parts = draw(decoder, 0.3)
    np.testing.assert_allclose(np.sum(parts["mask"], axis=-1), 1, rtol=1e-5)
    assert np.all(parts["mask"] > 0)


def test_untrained_it_is_nearly_the_cross_fade():
    decoder = FusionDecoder(3, (4, 8))
    decoder.build()
    (first, second, *_), parts = draw(decoder, 0.25)
    np.testing.assert_array_equal(parts["flow"], 0)
    assert np.all(parts["mask"][..., 2] < 0.05)
    np.testing.assert_allclose(parts["frame"], 0.75 * first + 0.25 * second, atol=0.05)


def test_without_trust_the_latent_makes_no_difference(decoder):
    inputs, parts = draw(decoder, 0.5, trust=0.0)
    np.testing.assert_array_equal(parts["mask"][..., 2], 0)
    others = pictures(6, seed=1).reshape(3, 2, 16, 16, 3)
    again = decoder(*inputs[:2], *others, tf.fill([2], 0.5), tf.zeros([2]))
    np.testing.assert_array_equal(parts["frame"], again["frame"])


def test_rows_are_independent(decoder):
    inputs, parts = draw(decoder, 0.4)
    alone = decoder(*(x[:1] for x in inputs), tf.fill([1], 0.4), tf.ones([1]))
    np.testing.assert_allclose(alone["frame"], parts["frame"][:1], atol=1e-5)


def test_it_learns_to_follow_a_moving_square(decoder):
    """A square on a straight line: what a cross-fade draws twice, it draws once, in the middle."""
    x = np.zeros([8, 16, 16, 3], np.float32)
    ends = [x.copy(), x.copy(), x.copy()]
    for row in range(8):
        for frames, left in zip(ends, (2, 5, 8), strict=True):
            frames[row, row : row + 4, left : left + 4] = 1
    first, truth, second = ends
    inputs = [first, second, first, second, 0 * first, tf.fill([8], 0.5), tf.zeros([8])]
    optimizer = tf.keras.optimizers.Adam(1e-2)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((decoder(*inputs)["frame"] - truth) ** 2)
        gradients = tape.gradient(loss, decoder.trainable_variables)
        optimizer.apply_gradients(zip(gradients, decoder.trainable_variables, strict=True))
        return loss

    for _ in range(150):
        loss = step()
    assert loss < 0.2 * np.mean(((first + second) / 2 - truth) ** 2)


def test_it_draws_other_sizes_than_it_was_built_for():
    decoder = FusionDecoder(3, (4, 8))
    decoder.build()
    wide = pictures(1, 32)[:, :16]
    parts = decoder(*[wide] * 5, tf.fill([1], 0.5), tf.ones([1]))
    assert parts["frame"].shape == (1, 16, 32, 3)


def test_frames_that_need_padding_are_followed_as_they_are():
    """The mirrored border is outside, and no flow leads from it."""
    decoder = FusionDecoder(1, (4, 8), initial_flow="lucas_kanade")
    decoder.build()
    x, y = np.meshgrid(np.arange(39), np.arange(48))
    texture = (0.5 + 0.25 * np.sin(x / 2.5) + 0.25 * np.cos(y / 2.0)).astype(np.float32)
    first, second = (texture[None, down : down + 42, :, None] for down in (0, 4))
    parts = decoder(*[first, second] * 2, first, tf.fill([1], 0.5), tf.zeros([1]))
    expected = decoder._initial_flows(first, second, tf.fill([1, 1, 1, 1], 0.5)) / 2
    np.testing.assert_allclose(parts["flow"], expected, atol=1e-5)
    leaves = [is_inside(way)[..., 0] == 0 for way in tf.split(expected, 2, axis=-1)]
    assert np.sum(leaves[1][:, -2:]) == 0
    assert np.mean(leaves[0][:, -2:]) > 0.9
    np.testing.assert_array_less(parts["mask"][..., 0][leaves[0]], 0.02)


@pytest.mark.parametrize("size", [(40, 48), (41, 50)])
def test_where_initial_flows_make_the_ends_alike_nothing_is_added(size):
    decoder = FusionDecoder(3, (4, 8), initial_flow="lucas_kanade")
    decoder.build()
    rng = np.random.default_rng(0)
    for weight in decoder.trainable_variables:
        weight.assign(rng.normal(scale=0.2, size=weight.shape))
    ends, drawn = rng.uniform(size=[2, 1, *size, 3]).astype(np.float32)
    parts = decoder(ends, ends, drawn, drawn, drawn, tf.fill([1], 0.3), tf.ones([1]))
    np.testing.assert_allclose(parts["frame"], ends, atol=1e-5)
    np.testing.assert_array_equal(parts["flow"], 0)
