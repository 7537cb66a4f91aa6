"""Growth: step time and memory as the clips and as the pictures grow.

The clips are the teapot's turn in 36 frames, each from another angle on; they are written once to a
temporary folder. The 100,000 streamed clips are one file of 1,000 that stands there a hundred times
under as many names (hard links), so reading them is faster than from a disk that has not yet cached
them.
"""

import contextlib
import dataclasses
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import PIL.Image
import tensorflow as tf
import tensorflow_datasets as tfds

from benchmarks import keras_ours
from benchmarks.canonical import canonical_config, synthetic_batch
from benchmarks.child import children_take_turns
from data_gen import tfds_hooks
from data_gen.data_set_folder import features_of
from tf_inbetween.clips import StoredClips, prepare
from tf_inbetween.data import batches
from tf_inbetween.models import TripletVAE
from tf_inbetween.networks.conv import ConvDecoder, ConvEncoder
from tf_inbetween.training import build_model

IN_MEMORY, STREAMED, IMAGE_SIZES = (1, 10, 100, 1000), 100_000, (64, 128, 256)
_FRAMES = 36


def measure(turns, seconds, in_memory=IN_MEMORY, streamed=STREAMED, image_sizes=IMAGE_SIZES):
    """`fit` on ever more clips, and steps on ever larger pictures; memory of each process."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {}
        for count in in_memory:
            write_clips(Path(folder) / str(count), count)
            settings[f"{count:,} clips in memory"] = {
                "folder": str(Path(folder) / str(count)),
                "cache": "memory",
            }
        most = max(in_memory)
        repeated = Path(folder) / "streamed"
        repeat_file(Path(folder) / str(most), repeated, max(streamed // most, 1))
        for where, count in ((Path(folder) / str(most), most), (repeated, streamed)):
            settings[f"{count:,} clips streamed"] = {"folder": str(where), "cache": "none"}
        clips = _turns(settings, turns, seconds)
    sizes = {f"{size} x {size}": {"image_size": size} for size in image_sizes}
    return {
        "groups": {
            "fit on ever more clips of 36 frames": clips,
            "steps on ever larger pictures": _turns(sizes, turns, seconds),
        },
        "findings": {},
    }


def _turns(settings, turns, seconds):
    return {"unit": "step", **children_take_turns("benchmarks.growth", settings, turns, seconds)}


def rivals(folder=None, cache=None, image_size=None):
    """The row "step": `fit` on the clips of a folder, or steps on pictures of a size."""
    config = canonical_config()
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    if image_size:
        return {"step": steps_of_size(config, image_size)}
    config = dataclasses.replace(config, cache=cache)
    clips = StoredClips(tfds.builder_from_directory(folder))
    return {"step": keras_ours.fit(config, batches(clips, "train", config))}


def steps_of_size(config, image_size):
    """Steps of the canonical network at any size: the same filters, so the dense layers grow."""
    dataset = tf.data.Dataset.from_tensors(synthetic_batch(config, image_size)).repeat()
    return keras_ours.train_steps(config, dataset, model_of_size(config, image_size))


def model_of_size(config, image_size):
    """The compiled model of `config` for pictures of any size, built past --image_size."""
    model = build_model(config)
    if image_size == config.coded_size:
        return model
    with _policy(model.encoder.dtype_policy):
        encoder = ConvEncoder(config.latent_dim, config.filters, config.dense_units)
        decoder = ConvDecoder(image_size, config.channels, config.filters, config.dense_units)
    encoder.build((None, image_size, image_size, config.channels))
    decoder.build((None, config.latent_dim))
    larger = TripletVAE(encoder, decoder, **{n: getattr(model, n) for n in model.settings})
    larger.built = True
    larger.compile(
        optimizer=model.optimizer.from_config(model.optimizer.get_config()),
        jit_compile=False,
        steps_per_execution=config.steps_per_execution,
    )
    return larger


class Turned(tfds_hooks.CanonicalBuilder):
    """Clips of the teapot's turn, each from another angle on."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, clips, **kwargs):
        """`clips`: how many, in the split train."""
        self._count = clips
        super().__init__(**kwargs)

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=features_of((64, 64, 3), 1),
            disable_shuffling=True,
        )

    def _split_generators(self, _):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        frames = prepare(canonical_config()).load("train")[0].frames
        files = [_png(frame) for frame in frames]
        stride = len(files) // _FRAMES
        for number in range(self._count):
            places = [(number + i * stride) % len(files) for i in range(_FRAMES)]
            yield (
                number,
                {
                    "clip": str(number),
                    "frames": [io.BytesIO(files[place]) for place in places],
                    "pose": np.float32(places)[:, None],
                    "cyclic": True,
                    "units_per_frame": 360 / _FRAMES,
                },
            )


def write_clips(folder, count):
    """Writes so many clips in TFDS's format into `folder`, in one file."""
    tfds.display_progress_bar(False)
    beside = folder.with_name(f"{folder.name}.building")
    builder = Turned(count, data_dir=beside)
    config = tfds.download.DownloadConfig(num_shards=1, try_download_gcs=False)
    builder.download_and_prepare(download_config=config)
    shutil.move(builder.data_dir, folder)


def repeat_file(folder, repeated, times):
    """Makes a data set of `times` names for the one file of the data set in `folder`."""
    repeated.mkdir()
    shutil.copy(folder / "features.json", repeated)
    info = json.loads((folder / "dataset_info.json").read_text())
    (split,) = info["splits"]
    split["shardLengths"] *= times
    split["numBytes"] = str(int(split["numBytes"]) * times)
    (repeated / "dataset_info.json").write_text(json.dumps(info))
    (file,) = folder.glob("*.tfrecord-*")
    for number in range(times):
        name = f"{file.name.partition('.tfrecord-')[0]}.tfrecord-{number:05}-of-{times:05}"
        os.link(file, repeated / name)


@contextlib.contextmanager
def _policy(policy):
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _png(frame):
    with io.BytesIO() as file:
        PIL.Image.fromarray(frame).save(file, "PNG")
        return file.getvalue()
