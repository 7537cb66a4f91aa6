"""The densities against their formulas."""

import collections
import itertools

import numpy as np
import pytest
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


def _collapsed(path, length):
    """What CTC makes of a path of bytes: repeats once, zeros not, padded."""
    line = [byte for i, byte in enumerate(path) if byte and (i == 0 or byte != path[i - 1])]
    return tuple((line + [0] * length)[:length]), len(line)


def test_ctc_sums_over_all_ways_to_write_a_line():
    length, letters = 3, 3  # Six places, each blank or byte 1 or 2.
    rng = np.random.default_rng(0)
    logits = np.full((1, 2 * length, 1, 256), -1e4, np.float32)
    logits[..., :letters] = rng.normal(size=(1, 2 * length, 1, letters))
    place = np.exp(logits[0, :, 0, :letters])
    place /= place.sum(axis=-1, keepdims=True)
    expected = collections.Counter()
    for path in itertools.product(range(letters), repeat=2 * length):
        line, written = _collapsed(path, length)
        if written <= length:
            expected[line] += np.prod(place[np.arange(2 * length), path])
    lines = np.array(list(expected))
    assert (1, 1, 1) in expected  # Three equal bytes need two blanks.
    assert (0, 0, 0) in expected
    p = distributions.ctc(tf.repeat(tf.constant(logits), len(lines), axis=0), None)
    assert p.batch_shape == [len(lines)]
    assert p.event_shape == [length, 1, 1]
    frames = (lines / 255).astype(np.float32)[..., np.newaxis, np.newaxis]
    np.testing.assert_allclose(
        np.exp(p.log_prob(frames).numpy()), list(expected.values()), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("places", "line"),
    [("_ab_c_", "abc"), ("aabbbb", "ab"), ("a_ab__", "aab"), ("______", ""), ("abcdef", "abc")],
)
def test_the_mean_of_ctc_is_its_best_path_without_blanks(places, line):
    path = np.array([0 if letter == "_" else ord(letter) for letter in places])
    logits = 5 * np.eye(256, dtype=np.float32)[path][np.newaxis, :, np.newaxis]
    p = distributions.ctc(tf.constant(logits), None)
    assert p.mean().shape == [1, 3, 1, 1]
    assert bytes(np.rint(255 * p.mean().numpy().ravel()).astype(np.uint8)) == line.encode().ljust(
        3, b"\0"
    )


def test_samples_of_ctc_are_lines_with_its_probabilities():
    logits = np.full((1, 4, 1, 256), -1e4, np.float32)
    logits[..., 0] = logits[..., 7] = 0.0  # Four places: blank or 7, like a fair coin.
    p = distributions.ctc(tf.constant(logits), None)
    drawn = np.rint(255 * p.sample(4000, seed=0).numpy()).reshape(-1, 2)
    for line in ([0, 0], [7, 0], [7, 7]):
        frame = np.array(line, np.float32).reshape(1, 2, 1, 1) / 255
        chance = float(tf.exp(p.log_prob(frame))[0])
        share = np.mean(np.all(drawn == line, axis=1))
        # Off by more than 5 standard deviations once in two million seeds.
        assert abs(share - chance) < 5 * (chance * (1 - chance) / len(drawn)) ** 0.5


def test_gradients_of_ctc_are_finite_at_empty_and_at_full_lines():
    logits = tf.Variable(tf.random.stateless_normal([2, 8, 1, 256], [0, 0]))
    frames = np.array([[0] * 4, [7] * 4], np.float32).reshape(2, 4, 1, 1) / 255
    with tf.GradientTape() as tape:
        log_prob = distributions.ctc(tf.identity(logits), None).log_prob(frames)
    gradient = tape.gradient(log_prob, logits).numpy()
    assert np.all(np.isfinite(log_prob))
    assert np.all(np.isfinite(gradient))
    assert np.all(np.any(gradient != 0, axis=(1, 2, 3)))
