"""Data sets that an import wrote, by name."""

import contextlib
import json

import tensorflow_datasets as tfds

from data_gen import scenes
from data_gen.clip_store import READER, VERSION, folder_of
from data_gen.data_set_folder import check_metadata, damaged
from frame_io.sizes import Size

_NAMES_OF_FEATURES = ("pythonClassName", "python_class_name", "type")  # All that TFDS reads.


def names(data_dir=None):
    """Returns the names of the imported data sets, sorted."""
    imports = []
    for path in folder_of("*", data_dir).parent.parent.glob(f"*/{VERSION}/dataset_info.json"):
        with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
            if path.is_file() and json.loads(path.read_text()).get("moduleName") == READER:
                imports.append(path.parent.parent.name)
    return sorted(imports)


def open_clips(name, image_size=64, channels=3, data_dir=None):
    """Returns the builder of an imported data set.

    Args:
      name: as it was imported.
      image_size, channels: what the frames must have.
      data_dir: where TFDS keeps its data sets; None for its default.

    Raises:
      ValueError: if there is no such data set (the message lists all scenes), it is damaged, its
        description is not one that an import writes, or its frames are of another size.
    """
    folder = _folder_of_import(name, data_dir)
    check_metadata(folder)
    _check_features(folder / "features.json")
    try:
        builder = tfds.builder_from_directory(folder)
        metadata = builder.info.metadata
    except Exception as error:  # TFDS raises various errors for damage.
        raise damaged(folder, error) from error
    size = Size.of(image_size)
    if (Size.of(metadata["image_size"]), metadata["channels"]) != (size, channels):
        raise ValueError(
            f"scene {name!r} was imported with --image_size={metadata['image_size']} "
            f"--channels={metadata['channels']}, not --image_size={size} "
            f"--channels={channels}: ask for those, or import it again"
        )
    return builder


def kind_of(name, data_dir=None):
    """Returns the kind of an imported data set's frames, a row of `data_gen.kinds.KINDS`.

    Raises:
      ValueError: as `open_clips`, from the metadata alone.
    """
    folder = _folder_of_import(name, data_dir)
    check_metadata(folder)
    return json.loads((folder / "metadata.json").read_text()).get("kind", "pictures")


def _folder_of_import(name, data_dir):
    """The folder of an imported data set. Raises ValueError if there is none."""
    imported = names(data_dir)
    folder = folder_of(name, data_dir)
    if name not in imported and folder.is_dir():
        raise damaged(folder, ValueError("dataset_info.json cannot be read"))
    if name not in imported:
        valid = ", ".join([*sorted(scenes.SCENES), *imported])
        raise ValueError(f"unknown scene {name!r}; valid: {valid}")
    return folder


def _check_features(path):
    """Raises `ValueError` if features are not TFDS's own: it imports the modules that they name."""
    named = []

    def note(part):
        named.extend(part[key] for key in _NAMES_OF_FEATURES if key in part)

    try:
        json.loads(path.read_text(), object_hook=note)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: missing or damaged; import the clips again") from error
    for name in named:
        if not str(name).startswith("tensorflow_datasets.core.features."):
            raise ValueError(f"{path}: {name!r} is not a feature of TFDS; import the clips again")
