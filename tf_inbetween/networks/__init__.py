"""The networks: frames [N, H, W, C] in [0, 1] <-> latents [N, Z], and from frames to frames.

To add an encoder and a decoder, write two Keras models and a function of the config that returns
them, in a file of their own, and add its row to `NETWORKS`. `LATENT_PATHS` are the paths from one
latent to another.
"""

from tf_inbetween.networks.conv import conv
from tf_inbetween.networks.curve import curved, straight
from tf_inbetween.networks.sprites import sprites
from tf_inbetween.networks.text import text

NETWORKS = {"conv": conv, "sprites": sprites, "text": text}
LATENT_PATHS = {"straight": straight, "curved": curved}
