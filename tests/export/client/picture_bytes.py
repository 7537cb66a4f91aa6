"""Pictures as arrays and as files in memory."""

import io

import numpy as np
import PIL.Image


def png(pixels):
    """The PNG file of uint8 [H, W, C], bytes."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def pixels_of(content):
    """The pixels of a file, uint8 [H, W, C]."""
    with PIL.Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture)


def noise(seed, size=32):
    """Colours that are not nearly white, uint8 [size, size, 3]."""
    return np.random.default_rng(seed).integers(0, 200, (size, size, 3), np.uint8)
