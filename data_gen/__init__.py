"""Scenes, their renderer, and the TensorFlow Datasets builder of the clips they make.

Importing this package registers the data set with TFDS:

    import data_gen
    import tensorflow_datasets as tfds

    clips = tfds.load("inbetween_clips/teapot_1dof", split="train")
"""

from data_gen.builder import ClipsConfig, InbetweenClips, config_name

__all__ = ["ClipsConfig", "InbetweenClips", "config_name"]
