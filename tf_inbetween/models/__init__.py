"""The models: each a Keras model that `fit` trains on batches of triplets."""

from tf_inbetween.models.acai import ACAI
from tf_inbetween.models.autoencoder import Autoencoder
from tf_inbetween.models.fusion_vae import FusionVAE
from tf_inbetween.models.latent_model import LatentModel
from tf_inbetween.models.ops import to_float
from tf_inbetween.models.pixel_unet import PixelUNet
from tf_inbetween.models.triplet_model import TripletModel
from tf_inbetween.models.vae import TripletVAE

__all__ = [
    "ACAI",
    "Autoencoder",
    "FusionVAE",
    "LatentModel",
    "PixelUNet",
    "TripletModel",
    "TripletVAE",
    "to_float",
]
