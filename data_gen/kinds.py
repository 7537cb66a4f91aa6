"""What a frame is, by kind of data: its shape, and the names of its sizes.

`tf_inbetween.kinds` says how models and evaluations use a kind.
"""

import dataclasses
from collections.abc import Callable

from frame_io.sizes import Size


@dataclasses.dataclass(frozen=True)
class FrameKind:
    """A kind of frames, uint8 [H, W, C].

    Attributes:
      channels: the numbers of channels there are; the first is the default.
      shape: (image_size, a `Size`, and channels) -> (H, W, C).
      size_unit: of image_size in the name of a data set.
    """

    channels: tuple[int, ...]
    shape: Callable[[Size, int], tuple[int, int, int]]
    size_unit: str


KINDS = {
    "pictures": FrameKind((3, 1), lambda size, channels: (*size, channels), "px"),
    # A log-mel spectrogram: image_size bands by image_size times, see `data_gen.spectrograms`.
    "sound": FrameKind((1,), lambda size, channels: (*size, channels), "mels"),
    # A line of UTF-8, padded with zeros to image_size bytes.
    "text": FrameKind((1,), lambda size, channels: (size.width, 1, channels), "bytes"),
}


def check_channels(kind, channels):
    """Raises ValueError unless frames of a kind can have that many channels."""
    valid = KINDS[kind].channels
    if channels not in valid:
        raise ValueError(
            f"unknown number of channels {channels!r}; valid: {valid}"
            if len(valid) > 1
            else f"{channels} channels: {kind} has {valid[0]}; --channels={valid[0]}"
        )
