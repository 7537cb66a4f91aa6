"""How a `FusionVAE` is trained: its latent model as without it, and pairs that are turned."""

import numpy as np
import pytest
import tensorflow as tf
from model_inputs import pictures

from tf_inbetween import training
from tf_inbetween.models.fusion_vae import _TURNS

FUSION = {"inbetween_decoder": "fusion", "fusion_filters": (4, 4, 8)}


@pytest.fixture
def model(tiny_config):
    return training.build_model(tiny_config(**FUSION))


@pytest.fixture
def batch():
    return {
        "frames": tf.constant((255 * pictures(6, 64)).astype(np.uint8)),
        "triplets": tf.constant([[0, 1, 2], [1, 3, 5], [0, 2, 4], [3, 4, 5]], tf.int32),
        "t": tf.constant([0.5, 0.5, 0.5, 0.5]),
    }


def test_the_latent_model_is_trained_as_without_it(tiny_config, model, batch):
    """Same weights, same batch: the same gradients of the encoder and the decoder."""
    plain = training.build_model(tiny_config())
    gradients = []
    for each in (model, plain):
        each.encoder.set_weights(model.encoder.get_weights())
        each.decoder.set_weights(model.decoder.get_weights())
        weights = each.encoder.trainable_variables + each.decoder.trainable_variables
        with tf.GradientTape() as tape:
            loss = each.loss_and_terms(batch, each.call(batch, training=True), True)[0]
        gradients.append(tape.gradient(loss, [weight.value for weight in weights]))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)


def test_a_turned_pair_is_turned_with_its_truth(model):
    frames = tf.constant(pictures(4, 8))
    one, other = model._turned([frames, 2 * frames], tf.ones([4], tf.bool))
    np.testing.assert_array_equal(other, 2 * one)
    kept, _ = model._turned([frames, frames], tf.zeros([4], tf.bool))
    np.testing.assert_array_equal(kept, frames)


def test_a_turned_pair_has_what_the_latent_model_makes_of_it(model):
    ends = [tf.constant(pictures(4, 64, seed=seed)) for seed in (0, 1)]
    old = [tf.zeros([4, 64, 64, 3])] * 3
    t = tf.constant([0.1, 0.2, 0.3, 0.4])
    turned, chosen = tf.constant([True] * 4), tf.constant([False, True, False, True])
    strange = model._strange(old, ends, t, turned, chosen)
    for latents in strange:
        np.testing.assert_array_equal(latents[::2], old[0][::2])
    first, second, between = model._turned(strange, turned)
    seen = model._turned(ends, turned)
    np.testing.assert_allclose(first[1::2], model.reconstruct(seen[0])[1::2], atol=1e-6)
    np.testing.assert_allclose(second[1::2], model.reconstruct(seen[1])[1::2], atol=1e-6)
    z0, z2 = (model.encode(end).mean() for end in seen)
    drawn = model.decode(model.interpolate_latents(z0, z2, t))
    np.testing.assert_allclose(between[1::2], drawn[1::2], atol=1e-6)


def test_what_is_turned_is_turned_back(model):
    frames, rows = tf.constant(pictures(8, 8)), tf.constant([True, False] * 4)
    (turned,) = model._turned([frames], rows)
    assert not np.array_equal(turned, frames)
    np.testing.assert_array_equal(model._turned([turned], rows, back=True)[0], frames)


def test_the_turns_are_the_eight_of_a_square():
    picture = np.arange(4.0).reshape(1, 2, 2, 1)
    seen = set()
    for chosen in np.ndindex(2, 2, 2):
        turned = picture
        for flip, turn in zip(chosen, _TURNS, strict=True):
            turned = turn(turned) if flip else turned
        seen.add(tuple(np.ravel(turned)))
    assert len(seen) == 8


def test_a_dropout_of_one_never_uses_the_latent(tiny_config):
    model = training.build_model(tiny_config(**FUSION, latent_dropout=1.0))
    frames = tf.constant(pictures(2, 64))
    before = model.parts(frames, frames[::-1], tf.fill([2], 0.5))
    np.testing.assert_array_equal(before["mask"][..., 2], 0)
