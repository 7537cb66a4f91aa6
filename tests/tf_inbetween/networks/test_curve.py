"""The curve that bends the chord: by itself, in a model, and in what is exported."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_inputs import T, batch_for, floats, gradients_of

from export import exporter
from tf_inbetween import drawing, run_directory, training
from tf_inbetween.config import InputError
from tf_inbetween.networks.curve import Curve


def bent(curve):
    """The curve with weights as if it had been trained."""
    rng = np.random.default_rng(2)
    for weight in curve.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    return curve


@pytest.fixture(params=[1, 3])
def curve(request):
    curve = Curve(3, 8, sprites=request.param)
    curve.build()
    return bent(curve)


def latents(count=3):
    return tf.unstack(tf.constant(np.random.default_rng(3).normal(size=(2, count, 3)), tf.float32))


def test_the_curve_starts_as_the_chord_and_learns_from_the_first_step(tiny_config):
    """With the same seed the other weights are the same, so the frames are, to the bit."""
    models = []
    for path in ("straight", "curved"):
        keras.utils.set_random_seed(0)
        models.append(training.build_model(tiny_config(latent_path=path)))
    straight, curved = models
    assert straight.curve is None
    first, second, _ = floats()
    times = np.linspace(0, 1, 5, dtype=np.float32)
    np.testing.assert_array_equal(
        straight.path(first, second, times), curved.path(first, second, times)
    )
    last = curved.curve.trunk[-1].trainable_variables
    for gradient in gradients_of(curved, batch_for(tiny_config()), last):
        assert np.any(gradient != 0)


def test_the_ends_of_a_curve_are_exact_and_between_them_it_is_off_the_chord(curve):
    z0, z2 = latents()
    for t in (0.0, 1.0):
        np.testing.assert_array_equal(curve(z0, z2, tf.fill([3], t)), np.zeros([3, 3]))
    assert np.all(np.abs(curve(z0, z2, T)) > 1e-6)


def test_the_way_back_is_the_way_there(curve):
    z0, z2 = latents()
    np.testing.assert_allclose(curve(z0, z2, T), curve(z2, z0, 1 - T), rtol=1e-5)


def test_each_sprite_has_a_way_of_its_own_and_sees_the_others_by_their_mean():
    curve = Curve(6, 8, sprites=2)
    curve.build()
    bent(curve)
    z0, z2 = (tf.ones([1, 6]) * x for x in (0.2, 0.7))
    moved = z2 + tf.constant([[0, 0, 0, 0, 0, 0.1]])
    t = tf.fill([1], 0.5)
    assert np.all(curve(z0, z2, t)[:, :3] != curve(z0, z2, t)[:, 3:])  # It sees which one it is.
    assert np.all(curve(z0, z2, t)[:, :3] != curve(z0, moved, t)[:, :3])
    kernel = curve.trunk[1].kernel
    kernel.assign(tf.concat([kernel[:8], tf.zeros([8, 8])], axis=0))  # Without the mean.
    np.testing.assert_array_equal(curve(z0, z2, t)[:, :3], curve(z0, moved, t)[:, :3])
    assert np.all(curve(z0, z2, t)[:, 3:] != curve(z0, moved, t)[:, 3:])


def test_many_times_of_a_pair_are_as_one_after_another(curve):
    z0, z2 = latents()
    many = curve(z0[:, None], z2[:, None], tf.tile(T[None], [3, 1]))
    for k in range(3):
        np.testing.assert_allclose(many[:, k], curve(z0, z2, tf.fill([3], T[k])), rtol=1e-5)


def test_matching_and_chord_deviation_are_asked_of_the_curve(tiny_config):
    """Where q1 lies on the curve, and is as wide as both ends on average, there is nothing left."""
    model = training.build_model(tiny_config(latent_path="curved"))
    bent(model.curve)
    batch = {**batch_for(tiny_config()), "triplets": tf.constant([[0, 1, 2]]), "t": T[:1]}
    outputs = model.call(batch)
    z0, z2 = tf.constant([[0.1, -2.0, 1.0]]), tf.constant([[1.0, 0.5, -0.7]])
    mean = tf.concat([z0, model.interpolate_latents(z0, z2, T[:1]), z2, tf.zeros([3, 3])], axis=0)
    ours = {**outputs, "mean": mean, "stddev": tf.fill([6, 3], 0.5)}
    _, shown = model.loss_and_terms(batch, ours, False)
    np.testing.assert_allclose(shown["matching_kl"], 0, atol=1e-5)
    np.testing.assert_allclose(shown["chord_deviation"], 0, atol=1e-5)


def test_key_frames_are_joined_by_the_curve_and_by_no_spline(tiny_config):
    model = training.build_model(tiny_config(latent_path="curved"))
    bent(model.curve)
    keys = floats()
    drawn = np.stack(list(drawing.draw_through(model, keys, 2, show="none")))
    expected = [drawing.draw(model, a, b, 2) for a, b in ((keys[0], keys[1]), (keys[1], keys[2]))]
    np.testing.assert_allclose(drawn, np.concatenate(expected), atol=1e-5)
    with pytest.raises(InputError, match="trained with --latent_path=curved; --keyframe"):
        next(drawing.draw_through(model, keys, 2, "spline"))


def test_a_curve_needs_the_likelihood_that_it_learns_from(tiny_config):
    with pytest.raises(InputError, match="--latent_path=curved: needs the in-between"):
        tiny_config(latent_path="curved", inbetween_weight=0.0)


@pytest.mark.slow
def test_an_exported_curve_draws_as_the_keras_model_does(tiny_config, tiny_data, tmp_path):
    """The export compares every signature with the Keras model, and refuses any difference."""
    config = tiny_config(latent_path="curved")
    training.train(config)
    path = tmp_path / "run" / "model.keras"
    model = run_directory.load_model(config.run_dir)
    bent(model.curve)
    model.save(path)
    exported = exporter.export(config.run_dir, tmp_path / "models" / "tiny")
    served = tf.saved_model.load(str(exported)).signatures["sequence"]
    first, second, _ = floats()
    frames = served(first=first[None], second=second[None], t=T[None])["frames"][0]
    np.testing.assert_allclose(frames, model.path(first, second, T), atol=1e-5)
    straight = run_directory.load_model(config.run_dir)
    straight.curve = None
    assert np.abs(frames - straight.path(first, second, T)).max() > 1e-4
