"""The optimizers: Adam, and Muon, which needs about half as many steps.

Muon: K. Jordan et al., "Muon: An Optimizer for Hidden Layers in Neural Networks", 2024; the scale
of its updates from J. Liu et al., "Muon is Scalable for LLM Training", 2025 (arXiv 2502.16982), so
that it takes Adam's learning rate.
"""

import math

import keras
import tensorflow as tf

from tf_inbetween.config import lookup
from tf_inbetween.keras_hooks import MuonByShape, SumFirst

# Of the polynomial a x + b x^3 + c x^5 that takes singular values towards 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonalize(matrix, steps=5):
    """The nearest matrix with singular values of about 1: [M, N] -> [M, N], float32.

    The Newton-Schulz iteration of Muon, X <- a X + b (X X') X + c (X X')^2 X from X = matrix / its
    norm. Every factor is a polynomial of the same X X', so all of them are multiplied at the size
    of the smaller side before the large product is taken once: a fifth of the work for a kernel of
    [4096, 256]. A matrix of zeros stays one.
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix / tf.maximum(tf.norm(matrix), 1e-20)
    gram = tf.matmul(x, x, transpose_a=not wide, transpose_b=wide)
    one = tf.eye(gram.shape[0])
    product = factor = _A * one + _B * gram + _C * gram @ gram
    for _ in range(steps - 1):
        gram = factor @ gram @ factor
        factor = _A * one + _B * gram + _C * gram @ gram
        product = factor @ product
    return product @ x if wide else x @ product


@keras.saving.register_keras_serializable("tf_inbetween")
class Muon(MuonByShape):
    """Keras's Muon, for kernels of convolutions too: a matrix of [all other axes, last axis].

    Biases, and kernels with a side shorter than 16 (those next to few latents), use Adam.
    """

    def uses_adam(self, variable):
        """Whether a variable is Adam's."""
        if len(variable.shape) < 2:
            return True
        return min(_sides(variable.shape)) < _SHORTEST

    def zeropower_via_newtonschulz5(self, x, steps):
        """The update for the momentum `x` of a kernel, before it is scaled."""
        return tf.reshape(orthogonalize(tf.reshape(x, _sides(x.shape)), steps), x.shape)

    def lr_adjust(self, x):
        """`x` so that its entries are as large as those of an update of Adam."""
        return x * (max(_sides(x.shape)) ** 0.5 * self.rms_rate)


_SHORTEST = 16


def _sides(shape):
    """The shape of a kernel as a matrix."""
    shape = tuple(shape)
    return math.prod(shape[:-1]), shape[-1]


@keras.saving.register_keras_serializable("tf_inbetween")
class SynchronizedAdam(SumFirst, keras.optimizers.Adam):
    """Adam that clips the gradient of the whole batch, however many replicas share it."""


@keras.saving.register_keras_serializable("tf_inbetween")
class SynchronizedMuon(SumFirst, Muon):
    """Muon that clips the gradient of the whole batch, however many replicas share it."""


def _adam(learning_rate, global_clipnorm, synchronized):
    kind = SynchronizedAdam if synchronized else keras.optimizers.Adam
    return kind(learning_rate, global_clipnorm=global_clipnorm)


def _muon(learning_rate, global_clipnorm, synchronized):
    kind = SynchronizedMuon if synchronized else Muon
    return kind(
        learning_rate, global_clipnorm=global_clipnorm, weight_decay=None, adam_weight_decay=None
    )


OPTIMIZERS = {"adam": _adam, "muon": _muon}


def build(name, learning_rate, global_clipnorm, synchronized=False):
    """An optimizer of `OPTIMIZERS`.

    Args:
        name: a row of it.
        learning_rate: a number or a schedule.
        global_clipnorm: gradients of a larger global norm are scaled down to it.
        synchronized: whether replicas share each batch.

    Raises:
        InputError: for an unknown name.
    """
    make = lookup(OPTIMIZERS, name, "optimizer")
    return make(learning_rate, global_clipnorm, synchronized)
