"""A U-Net from both frames and t to the frame between, without latents."""

import keras

from tf_inbetween.networks.conv_layers import Conv2D, Conv2DTranspose, build_in_order, padded


@keras.saving.register_keras_serializable("tf_inbetween")
class UNet(keras.Model):
    """Pictures [N, H, W, I] -> outputs [N, H, W, channels] float32.

    Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    2015, of the convolutions of `ConvEncoder` and `ConvDecoder`: 4x4 stride-2 down, one 3x3 at the
    bottom, transposes up, each joined by what the way down had at that size, at last the input
    itself, so that pixels can be copied; a 3x3 convolution makes the outputs.
    """

    def __init__(self, channels, filters, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.filters = channels, tuple(filters)
        self.down = [Conv2D(width, 4, strides=2, activation="silu") for width in self.filters]
        self.bottom = Conv2D(self.filters[-1], 3, activation="silu")
        self.up = [
            Conv2DTranspose(width, 4, strides=2, activation="silu")
            for width in (*reversed(self.filters[:-1]), max(self.filters[0] // 2, 1))
        ]
        self.last = Conv2D(channels, 3, dtype="float32")

    def build(self, input_shape):
        """Builds every layer for pictures of `input_shape` [N, H, W, I]."""
        shape, sizes = tuple(input_shape), []
        for layer in self.down:
            sizes.append(shape)
            shape = build_in_order([layer], shape)
        shape = build_in_order([self.bottom], shape)
        for layer in self.up:
            shape, beside = build_in_order([layer], shape), sizes.pop()
            shape = (*shape[:-1], shape[-1] + beside[-1])
        self.last.build(shape)
        self.built = True

    def call(self, pictures):
        """Returns the means or the logits of p(x1|x0, x2, t), by the likelihood in use."""
        (hidden,), size = padded([pictures], 2 ** len(self.filters))
        seen = []
        for layer in self.down:
            seen.append(hidden)
            hidden = layer(hidden)
        hidden = self.bottom(hidden)
        for layer in self.up:
            hidden = layer(hidden)
            beside = keras.ops.cast(seen.pop(), hidden.dtype)
            hidden = keras.ops.concatenate([hidden, beside], axis=-1)
        outputs = self.last(hidden)
        return outputs if size is None else outputs[:, : size[0], : size[1]]

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "channels": self.channels, "filters": self.filters}
