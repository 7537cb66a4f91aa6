"""Assertions on the inputs of signatures; a server returns their messages."""

import tensorflow as tf


def same_rows(a, b, names):
    """Asserts that two inputs share their first dimension."""
    equal = tf.shape(a)[0] == tf.shape(b)[0]
    return tf.debugging.Assert(equal, [f"{names} must have as many rows as each other"])


def in_unit_range(values, name):
    """Asserts that all values lie in [0, 1]."""
    # NaN compares false, so it fails too.
    inside = tf.reduce_all((values >= 0) & (values <= 1))
    return tf.debugging.Assert(inside, [f"{name} must be numbers from 0 to 1"])


def finite(values, name):
    """Asserts that no value is NaN or infinite."""
    return tf.debugging.Assert(
        tf.reduce_all(tf.math.is_finite(values)), [f"{name} must be finite numbers"]
    )
