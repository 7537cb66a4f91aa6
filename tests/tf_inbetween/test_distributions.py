"""The densities against their formulas."""

import numpy as np
import tensorflow as tf
from scipy import stats

from tf_inbetween import distributions, losses


def test_normal_likelihood_sums_the_log_densities_of_the_pixels():
    rng = np.random.default_rng(0)
    outputs, frames = rng.uniform(size=(2, 3, 4, 4, 3)).astype(np.float32)
    p = distributions.normal(tf.constant(outputs), 0.1)
    expected = stats.norm.logpdf(frames, outputs, 0.1).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(p.log_prob(frames), expected, rtol=1e-4)
    np.testing.assert_allclose(
        losses.negative_log_likelihood(p, frames), -expected.mean(), rtol=1e-4
    )


def test_bernoulli_likelihood_is_the_cross_entropy_of_the_logits():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 4, 4, 1)).astype(np.float32)
    frames = rng.uniform(size=(2, 4, 4, 1)).astype(np.float32)
    p = distributions.bernoulli(tf.constant(logits), None)
    mean = 1 / (1 + np.exp(-logits))
    expected = (frames * np.log(mean) + (1 - frames) * np.log(1 - mean)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(p.log_prob(frames), expected, rtol=1e-4)
    np.testing.assert_allclose(p.mean(), mean, rtol=1e-5)


def test_prior_kl_against_the_textbook_formula():
    rng = np.random.default_rng(1)
    mean = rng.normal(size=(5, 3)).astype(np.float32)
    stddev = rng.uniform(0.1, 2, size=(5, 3)).astype(np.float32)
    q = distributions.gaussian(tf.constant(mean), tf.constant(stddev))
    expected = 0.5 * (mean**2 + stddev**2 - 1 - 2 * np.log(stddev)).sum(axis=1).mean()
    np.testing.assert_allclose(losses.prior_kl(q, distributions.prior(q)), expected, rtol=1e-5)


def test_a_posterior_equal_to_the_prior_costs_nothing():
    q = distributions.gaussian(tf.zeros([4, 8]), tf.ones([4, 8]))
    assert float(losses.prior_kl(q, distributions.prior(q))) == 0.0


def test_the_triplet_loss_is_the_formula():
    terms = {"reconstruction_nll": 10.0, "prior_kl": 2.0, "matching_kl": 5.0, "inbetween_nll": 7.0}
    assert losses.triplet_loss(terms, 4.0, 0.5, 0.0) == 3 * (10 + 0.5 * 2) + 4 * 5
    assert losses.triplet_loss(terms, 0.0, 1.0, 2.0) == 3 * 12 + 2 * 7


def test_categorical_likelihood_is_the_cross_entropy_of_the_bytes():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 5, 1, 256)).astype(np.float32)
    content = rng.integers(0, 256, (2, 5, 1, 1))
    p = distributions.categorical(tf.constant(logits), None)
    assert p.batch_shape == [2]
    assert p.event_shape == [5, 1, 1]
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = np.take_along_axis(log_probs, content, axis=-1).sum(axis=(1, 2, 3))
    frames = (content / 255).astype(np.float32)
    np.testing.assert_allclose(p.log_prob(frames), expected, rtol=1e-5)
    np.testing.assert_allclose(
        255 * p.mean().numpy(), logits.argmax(axis=-1)[..., np.newaxis], rtol=1e-5
    )
    uniform = distributions.categorical(tf.zeros([1, 5, 1, 256]), None)
    np.testing.assert_allclose(uniform.log_prob(frames[:1]), -5 * np.log(256), rtol=1e-5)


def test_samples_of_the_categorical_likelihood_are_bytes_with_its_frequencies():
    logits = tf.math.log(tf.constant([[[[0.25, 0.75] + [1e-9] * 254]]]))
    drawn = 255 * distributions.categorical(logits, None).sample(2000, seed=0).numpy()
    # Off by more than 5 standard deviations once in two million seeds.
    assert abs(drawn.mean() - 0.75) < 5 * (0.25 * 0.75 / 2000) ** 0.5
    np.testing.assert_allclose(drawn, np.rint(drawn), atol=1e-4)
