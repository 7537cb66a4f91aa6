"""Floating-point operations of the canonical network, counted by formula from its layers.

A multiplication and an addition are two operations. Convolutions and dense layers count; biases,
activations and losses, a few percent, do not, as it is the matrix units' roof that is compared
with.
"""

import math

import keras


def forward(network, shape):
    """Operations of one row through the layers of an encoder or a decoder.

    Args:
        network: built, with its layers in `trunk`; an encoder's two heads are counted too.
        shape: of one input row, [H, W, C] or [Z].
    """
    total, shape = 0, (1, *shape)
    for layer in network.trunk:
        after = layer.compute_output_shape(shape)
        total += _of_layer(layer, shape, after)
        shape = after
    for name in ("mean", "raw_stddev"):
        if head := getattr(network, name, None):
            total += _of_layer(head, shape, head.compute_output_shape(shape))
    return total


def training_step(model, config):
    """Operations of one optimizer step: forward, and twice as much backward.

    The gradient with respect to the frames themselves is not computed, so it does not count. The
    frames have the size that `model` draws, which may differ from the config's.
    """
    frames = config.clips_per_batch * config.frames_per_clip
    shape = model.decoder.frame_shape
    first = model.encoder.trunk[0]
    without = _of_layer(first, (1, *shape), first.compute_output_shape((1, *shape)))
    encoding = 3 * forward(model.encoder, shape) - without
    decoding = 3 * forward(model.decoder, (config.latent_dim,))
    decodings = frames + (model.inbetweens if model.inbetween_weight else 0)
    return frames * encoding + decodings * decoding


def _of_layer(layer, before, after):
    if isinstance(layer, keras.layers.Conv2DTranspose):
        # The kernel is laid over every input pixel.
        return 2 * math.prod(layer.kernel.shape) * math.prod(before[1:-1])
    if isinstance(layer, keras.layers.Conv2D):
        return 2 * math.prod(layer.kernel.shape) * math.prod(after[1:-1])
    if isinstance(layer, keras.layers.Dense):
        return 2 * math.prod(layer.kernel.shape)
    if layer.weights:
        raise TypeError(f"{type(layer).__name__}: its operations are not counted here")
    return 0
