"""The names of TFDS that `data_gen.tfds_hooks` relies on are there, and take what they took."""

import inspect

import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core import shuffle
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.core.utils import file_utils, tqdm_utils

from data_gen import tfds_hooks


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (tfds.core.GeneratorBasedBuilder._example_writer, ["self"]),
        (tfds.core.GeneratorBasedBuilder._log_download_bytes, ["self"]),
        (tfds.core.GeneratorBasedBuilder._log_download_done, ["self"]),
        (
            tfds.core.GeneratorBasedBuilder._create_builder_config,
            ["self", "builder_config", "version"],
        ),
        (tfds.core.ExampleWriter.write, ["self", "path", "examples"]),
        (ExampleSerializer.__init__, ["self", "example_specs"]),
        (ExampleSerializer.get_tf_example, ["self", "example"]),
        (file_utils.incomplete_dir, ["dirname", "permissions", "overwrite"]),
        (
            file_utils.get_data_dir_and_dataset_dir,
            ["given_data_dir", "builder_name", "config_name", "version"],
        ),
    ],
    ids=lambda function: getattr(function, "__qualname__", ""),
)
def test_a_private_function_takes_what_it_took(function, parameters):
    assert list(inspect.signature(function).parameters) == parameters


def test_the_attributes_are_there():
    assert isinstance(shuffle.MAX_MEM_BUFFER_SIZE, int)
    assert "url_infos" in vars(tfds.core.DatasetBuilder)
    for shown in (False, True):
        tfds.display_progress_bar(shown)
        assert tqdm_utils._active is shown


def test_the_base_class_is_no_data_set():
    assert tfds_hooks.CanonicalBuilder.name not in tfds.list_builders()
    with pytest.raises(ValueError, match="unknown config 'none'"):
        tfds_hooks.CanonicalBuilder.config_of("none")
