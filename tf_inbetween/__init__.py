"""Draws the frames between two frames, even when they are far apart.

Importing this package registers its Keras classes, so that `keras.saving.load_model` reads a
`model.keras` of a run directory, safe mode on, with no other code.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # TensorFlow's start-up notices.

try:
    from keras import config as _keras_config

    _backend = _keras_config.backend()
except ImportError as error:  # Of jax, say, where that is the backend and not installed.
    _backend = error.name
if _backend != "tensorflow":
    raise ImportError(
        f"tf_inbetween runs on Keras with TensorFlow; this Keras uses {_backend!r}: set "
        'KERAS_BACKEND=tensorflow, or "backend": "tensorflow" in keras.json'
    )

from tf_inbetween.api import build, config_for, load, train, triplets, write
from tf_inbetween.config import Config, InputError
from tf_inbetween.models import ACAI, Autoencoder, FusionVAE, PixelUNet, TripletVAE
from tf_inbetween.optimizers import Muon

__all__ = [
    "ACAI",
    "Autoencoder",
    "Config",
    "FusionVAE",
    "InputError",
    "Muon",
    "PixelUNet",
    "TripletVAE",
    "build",
    "config_for",
    "load",
    "train",
    "triplets",
    "write",
]
__version__ = "0.1.0"
