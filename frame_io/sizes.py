"""The size of a frame, as users write it: 64, or 320x180, the width first."""

import re
import typing


class Size(typing.NamedTuple):
    """Height and width in pixels; its text is 64 for a square and 320x180, width first, else."""

    height: int
    width: int

    @classmethod
    def of(cls, value):
        """The size for 64, "64", "320x180", or (height, width).

        Raises:
          ValueError: if it is none of these; the message is one line.
        """
        if isinstance(value, str) and re.fullmatch(r"\d{1,6}(x\d{1,6})?", value, re.ASCII):
            width, _, height = value.partition("x")
            value = (int(height or width), int(width))
        if isinstance(value, int):
            value = (value, value)
        try:
            height, width = value
            return cls(int(height), int(width))
        except (TypeError, ValueError):
            raise ValueError(
                f"{value}: must be a size such as 64, or 320x180 (width x height)"
            ) from None

    def __str__(self):
        return str(self.width) if self.width == self.height else f"{self.width}x{self.height}"
