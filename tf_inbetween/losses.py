"""The loss, as the paper writes it and as this project extends it.

Paper, for a triplet (x0, x1, x2) with x1 at t between the two others:

    l(x0, x1, x2) = l_VAE(x0) + l_VAE(x1) + l_VAE(x2) + alpha * KL( q(x1) || (q(x0) + q(x2)) / 2 )
    l_VAE(x)      = -log p(x|z) + KL( q(x) || p )                     z ~ q(x), one draw

This project's addition, the in-between likelihood of the true middle frame:

    -log p(x1 | z_t),   z_t = (1-t) z0 + t z2                         z0 ~ q(x0), z2 ~ q(x2)

A batch holds frames, each encoded once, and many triplets among them. So the three VAE terms of a
triplet are three times the mean over the frames, and the other two are means over triplets.
"""

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def negative_log_likelihood(p, x):
    """Mean over frames of -log p(x|z) in nats; p: batch [N], event [H, W, C], as is x."""
    return -tf.reduce_mean(p.log_prob(x))


def prior_kl(q, p):
    """Mean over the batch of KL(q(x) || p) in nats."""
    return tf.reduce_mean(tfd.kl_divergence(q, p))


def triplet_loss(terms, alpha, prior_weight, inbetween_weight):
    """The loss of a triplet in nats, from the batch means of its terms.

    `terms` holds scalars: "reconstruction_nll" and "prior_kl" (means over frames), "matching_kl"
    and "inbetween_nll" (means over triplets). With `inbetween_weight` 0 the last is ignored.
    """
    vae = terms["reconstruction_nll"] + prior_weight * terms["prior_kl"]
    loss = 3 * vae + alpha * terms["matching_kl"]
    if inbetween_weight:
        loss += inbetween_weight * terms["inbetween_nll"]
    return loss
