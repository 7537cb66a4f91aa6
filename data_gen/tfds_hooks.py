"""The names of TFDS that it does not document, with what each is for and what public API lacks.

`tests/data_gen/test_tfds_hooks.py` fails when TFDS changes one of them.
"""

import contextlib
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core import shuffle
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.core.utils import file_utils, tqdm_utils

_SHUFFLED_IN_MEMORY = 2**25  # bytes of encoded clips; TFDS would hold thirty times as many


class CanonicalBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder that downloads nothing and whose bytes are the same in every build."""

    # Without it TFDS looks for checksums in a package that it does not declare; no public switch.
    url_infos = None

    def _example_writer(self):
        # A builder cannot be given a writer, and TFDS's own leaves the order of features to chance.
        return _CanonicalWriter(super()._example_writer().file_format)

    # TFDS announces every build as a download, of unknown size; no public switch.

    def _log_download_bytes(self):
        """Announces nothing."""

    def _log_download_done(self):
        """Announces nothing."""

    def _create_builder_config(self, builder_config, version):
        # TFDS has configs that are listed, and no public way to make one from its name.
        if isinstance(builder_config, str) and builder_config not in self.builder_configs:
            return self.config_of(builder_config.partition(":")[0])
        return super()._create_builder_config(builder_config, version)

    @classmethod
    def config_of(cls, name):
        """Returns the config of a name that `BUILDER_CONFIGS` does not list.

        Raises:
          ValueError: if there is none.
        """
        raise ValueError(f"unknown config {name!r}")


class _CanonicalWriter(tfds.core.ExampleWriter):
    """Writes the features of an example sorted by name."""

    def write(self, path, examples):
        """Writes (key, serialised tf.train.Example) pairs to a shard."""
        from tensorflow.train import Example

        return super().write(
            path,
            (
                (key, Example.FromString(example).SerializeToString(deterministic=True))
                for key, example in examples
            ),
        )


def serialized(info, example):
    """Returns an example as the bytes of a tf.train.Example, its features sorted by name.

    Args:
      info: whose features it has.
      example: not yet encoded.
    """
    # tfds.core.SequentialWriter, the public way, splits files by a number of examples, not bytes.
    serializer = ExampleSerializer(info.features.get_serialized_info())
    record = serializer.get_tf_example(info.features.encode_example(example))
    return record.SerializeToString(deterministic=True)


def folder_of(builder_name, config_name, version, data_dir):
    """Returns the folder of a data set, there or not.

    Args:
      builder_name, config_name, version: of the data set.
      data_dir: where TFDS keeps its data sets; None for its default.
    """
    # The public way, `data_dir` of a builder, needs one that knows the config.
    _, folder = file_utils.get_data_dir_and_dataset_dir(
        given_data_dir=data_dir,
        builder_name=builder_name,
        config_name=config_name,
        version=tfds.core.Version(version),
    )
    return Path(folder)


@contextlib.contextmanager
def incomplete_folder(folder, overwrite):
    """Yields a folder beside another, in whose place it is put at the end.

    Args:
      folder: where it goes.
      overwrite: whether something may be there.
    """
    # Names it as TFDS names its own unfinished builds, so that both are cleared away alike.
    with file_utils.incomplete_dir(folder, overwrite=overwrite) as beside:
        yield Path(beside)


@contextlib.contextmanager
def no_progress_bars():
    """Hides TFDS's progress bars, which count clips where ours counts frames."""
    # `tfds.display_progress_bar` sets this; nothing public tells what it was.
    active = tqdm_utils._active
    tfds.display_progress_bar(False)
    try:
        yield
    finally:
        tfds.display_progress_bar(active)


@contextlib.contextmanager
def shuffling_on_disk():
    """Lets TFDS hold less of a split in memory before it sorts it by way of files; same bytes."""
    # A constant of TFDS; there is no setting.
    limit = shuffle.MAX_MEM_BUFFER_SIZE
    shuffle.MAX_MEM_BUFFER_SIZE = _SHUFFLED_IN_MEMORY
    try:
        yield
    finally:
        shuffle.MAX_MEM_BUFFER_SIZE = limit
