"""The fusion decoder, p(x1 | z_t, x0, x2): copies pixels of both ends, draws what neither shows.

    x1 = m0 warp(x0, t f0) + m2 warp(x2, (1-t) f2) + mz decode(z_t) + 4 t (1-t) r
    m0 + m2 + mz = 1 in every pixel,   m0 : m2 : mz = (1-t) e^a i0 : t e^b i2 : t (1-t) e^c

The flows f0 and f2 (from the frame between to either end, in pixels), the logits a, b, c and the
residual r come from a network that goes from coarse to fine: at each size it looks at features of
both ends, warped by the flows so far, and of decode(z_t), and corrects the flows. They start at 0,
or at `lucas_kanade`'s, combined for t as in Jiang et al., "Super SloMo", CVPR 2018, equation 4.
i0 and i2 are 1, and next to nothing where a flow leaves the frame. At t = 0 and 1 the formula gives
the ends themselves, whatever the weights.

Where `lucas_kanade`'s flows make the ends alike, the network adds nothing: its corrections, a, b,
c, r and the share mz are all times n / (n + 0.01), where n is how much the warped ends differ
nearby. These flows are right to a fraction of a pixel, so with them the pixels are copied by a
bicubic warp, and by a bilinear one without.

Flows from coarse to fine, warped features and masks are those of Kong et al., "IFRNet:
Intermediate Feature Refine Network for Efficient Frame Interpolation", CVPR 2022. What is new here
is the third part: the frame that the latent model draws, of which the network also sees how far it
is to be trusted, as the difference between each end and its reconstruction.
"""

import keras
import tensorflow as tf

from tf_inbetween.networks.conv_layers import Conv2D, Conv2DTranspose, padded
from tf_inbetween.networks.lucas_kanade import lucas_kanade, resize_flow
from tf_inbetween.networks.warping import is_inside, warp, warp_bicubic

_PACKAGE = "tf_inbetween"
_OUTSIDE = 0.01  # What a pixel from outside the frame, a repeated border, weighs.
_HALF_NEED, _NEED_WINDOW = 0.01, 32  # Of grey levels, of 1; pixels.
_DRAWN_LOGIT = -2.0  # The drawn part starts low; at a third it stays there and feeds in fog.


@keras.saving.register_keras_serializable(_PACKAGE)
class FusionDecoder(keras.Model):
    """Draws the frame between two from their pixels and from what the latent model draws there.

    Frames may have any sides from 2 ** len(filters) on: they are mirrored at two borders up to the
    next multiple of that, and cut again. See the module's docstring.

    Args:
        channels: of a frame.
        filters: channels of the features, finest first; each size has half the sides of the last.
        initial_flow: "zero" or "lucas_kanade", see above.
    """

    def __init__(self, channels, filters=(24, 48, 96, 128), initial_flow="zero", **kwargs):
        super().__init__(**kwargs)
        self.initial_flow = initial_flow
        self.autocast = False  # The ends, which are copied from, and t are to stay float32.
        self.channels, self.filters = channels, tuple(filters)
        coarse_first = self.filters[::-1]
        self.pyramid = [Conv2D(n, 4, strides=2, activation="silu") for n in self.filters]
        self.mixers = [_conv(n) for n in coarse_first]
        self.second_mixer = _conv(coarse_first[0])
        self.flow_heads = [
            Conv2D(4, 3, kernel_initializer="zeros", dtype="float32") for _ in coarse_first
        ]
        self.ups = [Conv2DTranspose(n, 4, strides=2, activation="silu") for n in coarse_first[1:]]
        # At full size: corrections of both flows, three logits, the residual.
        self.last = Conv2DTranspose(
            4 + 3 + channels,
            4,
            strides=2,
            kernel_initializer="zeros",
            dtype="float32",
        )

    def build(self, input_shape=None):
        """Builds every layer; the shapes follow from the constructor's arguments."""
        seen = 2 * self.channels + 1
        for layer, filters in zip(self.pyramid, self.filters, strict=True):
            layer.build((None, None, None, seen))
            seen = filters
        before = None
        for i, filters in enumerate(self.filters[::-1]):
            inputs = 3 * filters + 1
            if i:
                self.ups[i - 1].build((None, None, None, before))
                inputs += filters
            if i or self.initial_flow != "zero":
                inputs += 4
            self.mixers[i].build((None, None, None, inputs))
            if not i:
                self.second_mixer.build((None, None, None, filters))
            self.flow_heads[i].build((None, None, None, filters))
            before = filters
        self.last.build((None, None, None, before))
        self.built = True

    def call(self, first, second, first_again, second_again, drawn, t, trust):
        """Frames [N, H, W, C] float32 in [0, 1] -> a dict of tensors, all float32.

        Args:
            first, second: the ends.
            first_again, second_again: their reconstructions.
            drawn: what the latent model draws at t.
            t: [N] in [0, 1].
            trust: [N], 1 where the latent counts and 0 where pixels are to suffice.

        Returns:
            "frame" [N, H, W, C], not clipped; "mask" [N, H, W, 3], the shares m0, m2, mz;
            "first_warped", "second_warped"; "flow" [N, H, W, 4], both flows times t and 1 - t.
        """
        t, trust = (x[:, tf.newaxis, tf.newaxis, tf.newaxis] for x in (t, trust))
        frames = [first, second, first_again, second_again, drawn]
        if self.initial_flow != "zero":
            frames.append(self._initial_flows(first, second, t))
        frames, size = padded(frames, 2 ** len(self.filters))
        if size is None:
            return self._fuse(*frames, t=t, trust=trust)
        parts = self._fuse(*frames, t=t, trust=trust, size=size)
        return {name: part[:, : size[0], : size[1]] for name, part in parts.items()}

    def _fuse(
        self, first, second, first_again, second_again, drawn, start=None, *, t, trust, size=None
    ):
        """`start`: flows to begin from, None for 0; `size`: [2], of the frames before padding."""
        time_left = tf.concat([t, t, 1 - t, 1 - t], axis=-1)
        drawn = trust * drawn
        pictures = tf.concat(
            [
                tf.concat([first, trust * (first_again - first)], axis=-1),
                tf.concat([second, trust * (second_again - second)], axis=-1),
                tf.concat([drawn, tf.zeros_like(drawn)], axis=-1),
            ],
            axis=0,
        )
        plane = tf.tile(trust + tf.zeros_like(pictures[:1, :, :, :1]), [3, 1, 1, 1])
        hidden, features = tf.concat([pictures, plane], axis=-1), []
        for layer in self.pyramid:
            hidden = layer(hidden)
            features.append(hidden)

        # Where the initial flows already make the ends alike, nothing is to be corrected.
        need = 1.0 if start is None else _need(first, second, start * time_left)
        hidden = flow = None
        for i, maps in enumerate(reversed(features)):
            ends, between = maps[: 2 * tf.shape(t)[0]], maps[2 * tf.shape(t)[0] :]
            seen = []
            if i:
                hidden = self.ups[i - 1](hidden)
                seen, flow = [hidden], _double(flow)
            so_far, need_here = flow, need
            if start is not None:
                need_here = tf.image.resize(need, tf.shape(maps)[1:3], antialias=True)
                start_here = resize_flow(start, tf.shape(maps)[1:3])
                so_far = start_here if flow is None else flow + start_here
            if so_far is not None:
                ends = warp(ends, _stack(so_far * time_left))
                seen.append(tf.cast(so_far * time_left / 8, maps.dtype))
            seen += [*tf.split(ends, 2), between]
            seen.append(tf.cast(t + tf.zeros_like(between[..., :1], tf.float32), maps.dtype))
            hidden = self.mixers[i](tf.concat(seen, axis=-1))
            if not i:
                hidden = self.second_mixer(hidden)
            correction = need_here * self.flow_heads[i](hidden)
            flow = flow + correction if i else correction

        last = need * self.last(hidden)
        flow_change, logits, residual = tf.split(last, [4, 3, self.channels], axis=-1)
        flow = _double(flow) + flow_change
        flow = (flow if start is None else flow + start) * time_left
        copied = warp if start is None else warp_bicubic
        first_warped, second_warped = tf.split(
            copied(tf.concat([first, second], axis=0), _stack(flow)), 2
        )
        # Bounded, so that the one share that counts at t = 0 or 1 never vanishes beside the others.
        logits = _bounded(logits + tf.constant([0.0, 0.0, _DRAWN_LOGIT]))
        shares = tf.concat([1 - t, t, t * (1 - t) * trust], axis=-1) * tf.exp(logits)
        inside = [_OUTSIDE + is_inside(way, size) for way in tf.split(flow, 2, axis=-1)]
        shares *= tf.concat([*inside, need * tf.ones_like(inside[0])], axis=-1)
        mask = shares / tf.reduce_sum(shares, axis=-1, keepdims=True)
        m0, m2, mz = tf.split(mask, 3, axis=-1)
        frame = m0 * first_warped + m2 * second_warped + mz * drawn + 4 * t * (1 - t) * residual
        return {
            "frame": frame,
            "mask": mask,
            "first_warped": first_warped,
            "second_warped": second_warped,
            "flow": flow,
        }

    def _initial_flows(self, first, second, t):
        """Both flows of full length, [N, H, W, 4], by `initial_flow`."""
        flow = lucas_kanade(tf.concat([first, second], 0), tf.concat([second, first], 0))
        forward, backward = tf.split(flow, 2)
        way = (1 - t) * forward - t * backward
        return tf.concat([-way, way], axis=-1)

    def get_config(self):
        """The constructor's arguments."""
        own = {
            "channels": self.channels,
            "filters": self.filters,
            "initial_flow": self.initial_flow,
        }
        return {**super().get_config(), **own}


def fusion(config):
    """A `FusionDecoder` for the frames of a `Config`."""
    decoder = FusionDecoder(
        config.channels, config.fusion_filters, config.initial_flow, name="fusion"
    )
    decoder.build()
    return decoder


def _conv(filters):
    return Conv2D(filters, 3, activation="silu")


def _need(first, second, flow):
    """How much two frames differ, warped along flows [N, H, W, 4] to one moment: [N, H, W, 1].

    From 0, for not at all, to 1; a half at a mean difference of `_HALF_NEED`.
    """
    warped = warp(tf.concat([first, second], axis=0), _stack(flow))
    apart = tf.reduce_mean(tf.abs(tf.subtract(*tf.split(warped, 2))), axis=-1, keepdims=True)
    apart = tf.nn.avg_pool2d(apart, _NEED_WINDOW, _NEED_WINDOW, "SAME")
    apart = tf.image.resize(apart, tf.shape(first)[1:3])
    return apart / (apart + _HALF_NEED)


def _bounded(logits):
    return 10 * tf.tanh(logits / 10)


def _double(flow):
    """A flow at twice the sides, in pixels of that size."""
    shape = tf.shape(flow)
    return 2.0 * tf.image.resize(flow, [2 * shape[1], 2 * shape[2]])


def _stack(flow):
    """Both flows, [N, H, W, 4], one after the other: [2N, H, W, 2]."""
    return tf.concat(tf.split(flow, 2, axis=-1), axis=0)
