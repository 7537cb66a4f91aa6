"""The networks of text: where a word stands, and the sines of the latent."""

import keras
import numpy as np
import tensorflow as tf

from tf_inbetween.networks.text import TextDecoder, TextEncoder


def line(before, word, length=32):
    frame = np.zeros((1, length, 1, 1), np.float32)
    frame[0, before : before + len(word), 0, 0] = np.frombuffer(word, np.uint8) / 255
    return frame


def test_a_word_counts_wherever_it_stands():
    keras.utils.set_random_seed(0)
    encoder = TextEncoder(4, (8, 8), 16)
    here, there, other = (
        encoder(line(*at))[0].numpy() for at in ((10, b"four"), (18, b"four"), (10, b"five"))
    )
    np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-6)
    assert abs(here - other).max() > 1e-3


def test_the_sines_start_without_effect_and_learn_from_the_first_step():
    keras.utils.set_random_seed(0)
    decoder, z = TextDecoder(32, (8, 8), 16), tf.random.normal((3, 4))
    decoder.build((None, 4))
    sines = decoder.trunk[0]
    with tf.GradientTape() as tape:
        before = decoder(z)
        loss = tf.reduce_mean(before**2)
    assert abs(tape.gradient(loss, sines.gains)).numpy().min() > 0
    sines.directions.assign(5 * sines.directions)
    np.testing.assert_array_equal(decoder(z), before)
    sines.gains.assign(tf.ones_like(sines.gains))
    assert abs(decoder(z) - before).numpy().max() > 1e-3
    expected = np.sin(z.numpy() @ sines.directions.numpy() + sines.phases.numpy())
    np.testing.assert_allclose(sines(z), np.concatenate([z, expected], axis=1), atol=1e-5)
