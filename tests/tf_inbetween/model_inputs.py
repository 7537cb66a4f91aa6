"""What models are called with, and the gradients of what they return."""

import numpy as np
import tensorflow as tf

T = tf.constant([0.25, 0.5, 0.9])


def batch_for(config, frames=6):
    rng = np.random.default_rng(0)
    shape = (frames, *config.image_size, config.channels)
    return {
        "frames": tf.constant(rng.integers(0, 256, size=shape, dtype=np.uint8)),
        "triplets": tf.constant([[0, 1, 2], [1, 3, 5], [0, 2, 4], [3, 4, 5]], tf.int32),
        "t": tf.constant([0.5, 0.5, 0.5, 0.2]),
    }


def floats(count=3):
    return np.random.default_rng(1).uniform(size=(count, 64, 64, 3)).astype(np.float32)


def gradients_of(model, batch, weights):
    with tf.GradientTape() as tape:
        loss, _ = model.loss_and_terms(batch, model.call(batch), True)
    return tape.gradient(loss, weights)


def pictures(count=2, size=16, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(size=[count, size, size, channels]).astype(np.float32)
