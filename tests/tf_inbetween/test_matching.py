"""The five readings of the mixture: check values, TFP's own KL, Monte Carlo, gradients, edges."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tf_inbetween.config import InputError, lookup
from tf_inbetween.distributions import gaussian
from tf_inbetween.matching import MATCHINGS

tfd = tfp.distributions

CLOSED = ("averaged", "mean_latent", "moment_matched", "upper_bound")
T = (0.25, 0.5, 0.8)


def random_posteriors(batch=6, latent=4, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)

    def posterior():
        mean = rng.normal(size=(batch, latent)).astype(dtype)
        stddev = rng.uniform(0.3, 1.5, size=(batch, latent)).astype(dtype)
        return gaussian(tf.constant(mean), tf.constant(stddev))

    return posterior(), posterior(), posterior()


def ends_at(d, middle=0.0):
    one = tf.ones([1, 1])
    return tuple(gaussian(x * one, one) for x in (-float(d), float(middle), float(d)))


def value(name, posteriors, t=0.5, **kwargs):
    t = tf.fill(posteriors[0].batch_shape, tf.cast(t, posteriors[0].dtype))
    return MATCHINGS[name](*posteriors, t, **kwargs).numpy()


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("averaged", (0.0, 0.0, 0.0)),
        ("moment_matched", tuple((np.log(1 + d**2) + 1 / (1 + d**2) - 1) / 2 for d in (1, 2, 3))),
        ("upper_bound", (0.5, 2.0, 4.5)),
    ],
)
def test_check_values_of_the_closed_forms(name, expected, d):
    np.testing.assert_allclose(value(name, ends_at(d)), expected[d - 1], atol=1e-6)


@pytest.mark.parametrize(("d", "expected"), [(1, 0.125), (2, 0.943), (3, 2.69)])
def test_check_values_of_the_mixture(d, expected):
    # 200,000 draws, the standard error measured. Over 5 standard errors from the truth come fewer
    # than 1 of 10^6 correct estimates; as many wrong ones, 0.112 nats off, come within the bound.
    z = ends_at(d)
    n = 200_000
    draws = np.concatenate(
        [value("mixture", z, samples=1000, seed=[7, i]) for i in range(n // 1000)]
    )
    error = draws.std() / np.sqrt(len(draws))
    assert error < 0.01
    assert abs(draws.mean() - expected) < 5 * error + 0.006


def test_mixture_prefers_an_end_when_the_ends_are_far_apart():
    # Beyond d = 1.46 copying one end costs log 2, less than staying in the middle.
    copied = value("mixture", ends_at(3, middle=3), samples=20_000, seed=[1, 2])
    np.testing.assert_allclose(copied, np.log(2), atol=0.01)
    assert value("mixture", ends_at(3), samples=20_000, seed=[1, 2]) > 1.0
    assert value("mixture", ends_at(1), samples=20_000, seed=[1, 2]) < value(
        "mixture", ends_at(1, middle=1), samples=20_000, seed=[1, 2]
    )


@pytest.mark.parametrize("t", T)
@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_against_tfps_multivariate_normals(name, t):
    q0, q1, q2 = random_posteriors()
    mean = (1 - t) * q0.mean() + t * q2.mean()
    averaged = (1 - t) * q0.variance() + t * q2.variance()
    variances = {
        "averaged": averaged,
        "mean_latent": (1 - t) ** 2 * q0.variance() + t**2 * q2.variance(),
        "moment_matched": averaged + t * (1 - t) * (q0.mean() - q2.mean()) ** 2,
    }

    def full(mean, variance):
        return tfd.MultivariateNormalTriL(mean, tf.linalg.diag(tf.sqrt(variance)))

    q = full(q1.mean(), q1.variance())
    if name == "upper_bound":
        ends = [full(end.mean(), end.variance()) for end in (q0, q2)]
        expected = (1 - t) * q.kl_divergence(ends[0]) + t * q.kl_divergence(ends[1])
    else:
        expected = q.kl_divergence(full(mean, variances[name]))
    np.testing.assert_allclose(value(name, (q0, q1, q2), t), expected, rtol=1e-4)


@pytest.mark.parametrize("t", T)
@pytest.mark.parametrize("name", ["averaged", "mean_latent", "moment_matched"])
def test_closed_forms_against_monte_carlo(name, t):
    # 100,000 draws of q1 give the expectation. The variances of p are those of draws from what the
    # reading says p is the law of; only for `averaged` they are the formula, which defines it.
    # The standard error is measured: of the expectation, and of the variances where drawn. With
    # other seeds, a correct reading would come outside 5 of them in 1 of 10^5 runs of the six
    # triplets; one wrong by 10 of them, 0.03 to 1.2 nats, would come inside in 3 of 10^7.
    q0, q1, q2 = random_posteriors(seed=3)
    n = 100_000
    mean = (1 - t) * q0.mean() + t * q2.mean()
    draws = q1.sample(n, seed=[3, 4])
    if name == "averaged":
        variance, variance_error = (1 - t) * q0.variance() + t * q2.variance(), 0.0
    else:
        z0, z2 = q0.sample(n, seed=[5, 0]), q2.sample(n, seed=[6, 0])
        if name == "mean_latent":
            z = (1 - t) * z0 + t * z2
        else:
            pick = tf.random.stateless_uniform([n, 1, 1], [1, 2]) < t
            z = tf.where(pick, z2, z0)
        squares = (z - mean).numpy().astype(np.float64) ** 2
        variance = tf.constant(squares.mean(axis=0), tf.float32)
        variance_error = squares.std(axis=0) / np.sqrt(n)
    p = gaussian(mean, tf.sqrt(variance))
    log_ratio = (q1.log_prob(draws) - p.log_prob(draws)).numpy().astype(np.float64)
    slope = (1 - np.mean((draws - mean) ** 2, axis=0) / variance) / (2 * variance)
    error = np.hypot(
        log_ratio.std(axis=0) / np.sqrt(n),
        np.sqrt(np.sum((slope * variance_error) ** 2, axis=-1)),
    )
    assert error.min() > 0.003
    assert error.max() < 0.12
    assert np.all(np.abs(value(name, (q0, q1, q2), t) - log_ratio.mean(axis=0)) < 5 * error)


@pytest.mark.parametrize("t", T)
def test_mixture_is_unbiased(t):
    # The 8-sample estimate averaged over 400 seeds against one of 400,000 draws. The standard
    # error of the difference is measured, 0.02 to 0.07 nats; with other seeds, a correct estimate
    # would miss by 5 of them in 1 of 10^5 runs of the six triplets, and a bias of 10 of them would
    # be overlooked in 3 of 10^7.
    posteriors = random_posteriors(seed=4)
    few = np.stack([value("mixture", posteriors, t, samples=8, seed=[1, i]) for i in range(400)])
    many = value("mixture", posteriors, t, samples=400_000, seed=[2, 0])
    error = few.std(axis=0) * np.sqrt(1 / 400 + 8 / 400_000)
    assert error.max() < 0.08
    assert np.all(np.abs(few.mean(axis=0) - many) < 5 * error)


@pytest.mark.parametrize("t", T)
def test_mixture_lies_below_the_variational_value_and_the_upper_bound(t):
    # Both inequalities are Jensen's, so they hold for averages over any draws, as long as all three
    # sides take the same: there is no sampling error, only that of float32.
    posteriors = random_posteriors(batch=40, seed=5)
    q0, q1, q2 = posteriors
    n = 20_000
    mixture = value("mixture", posteriors, t, samples=n, seed=[1, 1])
    z = q1.sample(n, seed=[1, 1])
    to_ends = np.stack([q1.log_prob(z) - q.log_prob(z) for q in (q0, q2)]).astype(np.float64)
    log_mixture = np.log((1 - t) * np.exp(-to_ends[0]) + t * np.exp(-to_ends[1]))
    np.testing.assert_allclose(mixture, -log_mixture.mean(axis=0), rtol=1e-4, atol=1e-4)

    means = to_ends.mean(axis=1)
    hershey_olsen = -np.log((1 - t) * np.exp(-means[0]) + t * np.exp(-means[1]))
    bound = (1 - t) * means[0] + t * means[1]
    assert np.all(mixture <= hershey_olsen + 1e-4)
    assert np.all(hershey_olsen <= bound + 1e-6)
    assert np.mean(bound - mixture) > 0.1
    # The closed form is the bound of all draws: within 5 measured standard errors (0.18 nats at the
    # most, of a bound of up to 66), which with other seeds 1 of 40,000 runs would miss.
    error = ((1 - t) * to_ends[0] + t * to_ends[1]).std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(value("upper_bound", posteriors, t) - bound) < 5 * error)


@pytest.mark.parametrize("name", MATCHINGS)
def test_never_negative_and_finite_at_extreme_scales(name):
    mean = tf.constant([[0.0, 1e3], [1e-3, -5.0], [0.0, 0.0]])
    stddev = tf.constant([[1e-5, 1.0], [1e-5, 30.0], [1e-5, 1e-5]])
    posteriors = (gaussian(mean, stddev), gaussian(mean + 1e-3, stddev), gaussian(-mean, stddev))
    kl = value(name, posteriors, 0.5, samples=64, seed=[1, 1])
    assert np.all(np.isfinite(kl))
    if name != "mixture":
        assert np.all(kl >= -1e-4)


@pytest.mark.parametrize("name", sorted(set(MATCHINGS) - {"mean_latent"}))
def test_identical_posteriors_give_zero(name):
    q, _, _ = random_posteriors()
    np.testing.assert_allclose(value(name, (q, q, q), samples=16, seed=[1, 1]), 0.0, atol=2e-5)


def test_mean_latent_is_zero_for_the_law_of_the_mean():
    q0, _, q2 = random_posteriors()
    variance = (q0.variance() + q2.variance()) / 4
    q1 = gaussian((q0.mean() + q2.mean()) / 2, tf.sqrt(variance))
    np.testing.assert_allclose(value("mean_latent", (q0, q1, q2)), 0.0, atol=1e-5)
    # ... and not for three identical posteriors: halving the variance costs 1/2 (1 - log 2) each.
    per_dimension = 0.5 * (2 - 1 - np.log(2))
    np.testing.assert_allclose(value("mean_latent", (q0, q0, q0)), 4 * per_dimension, rtol=1e-4)


@pytest.mark.parametrize("name", MATCHINGS)
def test_gradients_reach_every_mean_and_stddev_and_match_finite_differences(name):
    rng = np.random.default_rng(6)
    start = rng.uniform(0.4, 1.4, size=(6, 1, 2))

    def total(values):
        q = [gaussian(values[i], values[i + 3]) for i in range(3)]
        t = tf.constant([0.3], values.dtype)
        return tf.reduce_sum(MATCHINGS[name](*q, t, samples=8, seed=[4, 4]))

    values = tf.Variable(start)
    with tf.GradientTape() as tape:
        loss = total(values)
    gradient = tape.gradient(loss, values).numpy()
    assert np.all(gradient != 0)
    for index in np.ndindex(start.shape):
        step = np.zeros_like(start)
        step[index] = 1e-5
        slope = (total(tf.constant(start + step)) - total(tf.constant(start - step))) / 2e-5
        np.testing.assert_allclose(gradient[index], slope, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [0, 1, 5])
@pytest.mark.parametrize("name", MATCHINGS)
def test_batch_sizes_and_types(name, batch, dtype):
    kl = value(name, random_posteriors(batch=batch, dtype=dtype), samples=3, seed=[1, 1])
    assert kl.shape == (batch,)
    assert kl.dtype == dtype


@pytest.mark.parametrize("name", MATCHINGS)
def test_swapping_the_ends_and_t_changes_nothing(name):
    q0, q1, q2 = random_posteriors(seed=8)
    forth = value(name, (q0, q1, q2), 0.3, samples=8, seed=[2, 2])
    back = value(name, (q2, q1, q0), 0.7, samples=8, seed=[2, 2])
    np.testing.assert_allclose(forth, back, rtol=1e-4)


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(
        InputError, match="averaged, mean_latent, mixture, moment_matched, upper_bo"
    ):
        lookup(MATCHINGS, "middle", "matching")
