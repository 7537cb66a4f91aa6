"""One palette for many frames, so that still parts do not flicker."""

import numpy as np
import PIL.Image

MAX_COLORS = 255  # Of the 256 of a GIF, one is left for "as before".

_MAX_KEPT = 2**16
_SAMPLES = 2**17
_STEP = 2048  # Colours whose distances to the palette are held at a time.


class Colors:
    """Counts the colours of frames, and chooses a palette for all of them.

    Memory does not grow with the frames: over 2^16 colours, they are counted with fewer bits.
    """

    def __init__(self):
        self._dropped_bits = 0
        self._colors = np.zeros(0, np.uint32)  # Packed, sorted.
        self._counts = np.zeros(0)

    def add(self, frame):
        """Counts the colours of a frame, uint8 [H, W, 1 or 3]."""
        colors, counts = np.unique(self._packed(frame), return_counts=True)
        self._merge(np.concatenate([self._colors, colors]), np.append(self._counts, counts))
        while len(self._colors) > _MAX_KEPT:
            self._dropped_bits += 1
            self._merge(_pack(_unpack(self._colors) >> 1), self._counts)

    def palette(self):
        """Chooses the palette.

        Up to 255 colours stand in it as they are. Of more, it holds the median cut, refined by
        k-means, of the colours, each weighted with the root of its count so that small things
        keep theirs. Nothing is dithered: error diffusion would have still parts flicker.

        Returns:
            The palette, uint8 [N, 3], N at most 255; and a function that turns a counted frame
            into indices of it, uint8 [H, W, 1].
        """
        centre = (1 << self._dropped_bits) >> 1
        colors = ((_unpack(self._colors) << self._dropped_bits) + centre).astype(np.uint8)
        palette = colors if len(colors) <= MAX_COLORS else _chosen(colors, np.sqrt(self._counts))
        nearest = _nearest(colors, palette)

        def to_indices(frame):
            places = np.searchsorted(self._colors, self._packed(frame))
            return nearest[places].reshape(*frame.shape[:2], 1)

        return palette, to_indices

    def _packed(self, frame):
        pixels = frame.reshape(-1, frame.shape[-1]).astype(np.uint32) >> self._dropped_bits
        return _pack(pixels)

    def _merge(self, colors, counts):
        self._colors, places = np.unique(colors, return_inverse=True)
        self._counts = np.bincount(places, counts)


def _pack(pixels):
    """Colours uint32 [N, 3], or grey [N, 1], as numbers [N]."""
    red, green, blue = pixels.T if pixels.shape[-1] == 3 else 3 * [pixels[:, 0]]
    return red << 16 | green << 8 | blue


def _unpack(colors):
    return np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=-1)


def _chosen(colors, weights):
    """A palette [255, 3] for colours [N, 3] with weights [N]."""
    repeats = np.ceil(weights * (_SAMPLES / weights.sum())).astype(int)
    sample = PIL.Image.fromarray(colors.repeat(repeats, axis=0)[np.newaxis])
    chosen = sample.quantize(MAX_COLORS, PIL.Image.Quantize.MEDIANCUT, kmeans=1)
    return np.uint8(chosen.getpalette()).reshape(-1, 3)[:MAX_COLORS]


def _nearest(colors, palette):
    """The index, uint8 [N], of the colour of a palette [P, 3] nearest to each of [N, 3]."""
    colors, palette = (each.astype(np.float32) for each in (colors, palette))
    lengths = (palette**2).sum(axis=1)
    return np.concatenate(
        [
            (lengths - 2 * colors[i : i + _STEP] @ palette.T).argmin(axis=1)
            for i in range(0, len(colors), _STEP)
        ]
    ).astype(np.uint8)
