"""Muon orthogonalizes what Keras's does, for kernels of any rank; Adam keeps the rest."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_inbetween import optimizers
from tf_inbetween.config import InputError


@pytest.mark.parametrize("shape", [(64, 24), (24, 64), (32, 32)])
def test_orthogonalize_takes_singular_values_to_about_one(shape):
    matrix = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    orthogonal = optimizers.orthogonalize(1e3 * matrix).numpy()
    values = np.linalg.svd(orthogonal, compute_uv=False)
    # Muon's polynomial does not converge: it throws values into a band around 1.
    assert values.min() > 0.5
    assert values.max() < 1.5
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    assert np.sum(orthogonal * (u @ v)) / np.sum(orthogonal**2) ** 0.5 / min(shape) ** 0.5 > 0.97


@pytest.mark.parametrize("shape", [(64, 24), (24, 64)])
def test_orthogonalize_is_the_iteration_of_keras(shape):
    matrix = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = keras.optimizers.Muon().zeropower_via_newtonschulz5(tf.constant(matrix), 5)
    np.testing.assert_allclose(optimizers.orthogonalize(matrix), expected, atol=1e-3)


def test_no_gradient_is_no_step():
    np.testing.assert_array_equal(optimizers.orthogonalize(np.zeros([20, 30], np.float32)), 0)


def step_of(variables, gradients, **settings):
    optimizer = optimizers.build("muon", 0.1, 1e9, **settings)
    optimizer.apply(gradients, variables)
    return [variable.numpy() for variable in variables]


def test_a_convolution_steps_as_its_matrix_does():
    gradient = np.random.default_rng(0).normal(size=[4, 4, 20, 24]).astype(np.float32)
    kernel, matrix = (
        keras.Variable(tf.zeros(shape), name="kernel") for shape in ([4, 4, 20, 24], [320, 24])
    )
    (step,) = step_of([kernel], [tf.constant(gradient)])
    (expected,) = step_of([matrix], [tf.reshape(gradient, [320, 24])])
    np.testing.assert_allclose(step.reshape(320, 24), expected, rtol=1e-5)
    # As large as a step of Adam: 0.2 times the learning rate, see Liu et al.
    assert np.sqrt(np.mean(step**2)) == pytest.approx(0.2 * 0.1, rel=0.2)


@pytest.mark.parametrize("shape", [(64,), (256, 8), (8, 256)])
def test_biases_and_short_sides_are_adams(shape):
    variable = keras.Variable(tf.zeros(shape))
    (step,) = step_of([variable], [tf.ones(shape)])
    np.testing.assert_allclose(step, -0.1, rtol=1e-4)


def test_a_step_of_zero_rate_changes_nothing():
    variable = keras.Variable(tf.ones([20, 20]))
    optimizer = optimizers.build("muon", 0.0, 1.0)
    optimizer.apply([tf.ones([20, 20])], [variable])
    np.testing.assert_array_equal(variable, 1)


def test_an_unknown_optimizer_lists_the_known():
    with pytest.raises(InputError, match="unknown optimizer 'sgd': must be one of adam, muon"):
        optimizers.build("sgd", 0.1, 1.0)
