"""Pictures to give to the page."""

import numpy as np
import PIL.Image


def picture(path, pixels, **options):
    """Writes pixels [H, W, C] in 0..255 to a file; returns its path."""
    PIL.Image.fromarray(np.uint8(pixels)).save(path, **options)
    return path


def stripes(size, seed=0):
    """A coarse pattern that survives resizing, uint8 [size, size, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 200, (4, 4, 3))
    return coarse.repeat(size // 4, 0).repeat(size // 4, 1)
