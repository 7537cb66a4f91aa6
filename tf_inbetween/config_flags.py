"""Flags made from `Config`, one for each of its fields."""

import dataclasses
import importlib

from absl import flags

from frame_io.errors import one_line
from frame_io.sizes import Size
from tf_inbetween.config import Config, InputError

FLAGS = flags.FLAGS

flags.disclaim_key_flags()  # --help lists the config's flags under the command that defines them.


def define_config_flags(flag_values=FLAGS):
    """Defines one flag per field of `Config`, in absl's `FLAGS` or in other `FlagValues`."""
    for field in dataclasses.fields(Config):
        name, default, text = field.name, field.default, _help(field)
        to = {"flag_values": flag_values}
        if field.metadata["choices"] and isinstance(default, str):
            flags.DEFINE_enum(name, default, field.metadata["choices"], text, **to)
        elif isinstance(default, bool):
            flags.DEFINE_bool(name, default, text, **to)
        elif isinstance(default, int):
            flags.DEFINE_integer(name, default, text, **to)
        elif isinstance(default, float):
            flags.DEFINE_float(name, default, text, **to)
        elif isinstance(default, Size):
            flags.DEFINE_string(name, str(default), text, **to)
        elif isinstance(default, tuple):
            flags.DEFINE_list(name, [str(value) for value in default], text, **to)
        else:
            flags.DEFINE_string(name, default, text, **to)


def _help(field):
    """The help text of a field, with the names there are."""
    table = field.metadata["names"]
    if not table:
        return field.metadata["help"]
    module, name = table.split(".")
    names = getattr(importlib.import_module(f"tf_inbetween.{module}"), name)
    return f"{field.metadata['help']} One of {', '.join(names)}."


def config_from_flags(flag_values=FLAGS):
    """The `Config` that parsed flags describe."""
    values = {field.name: getattr(flag_values, field.name) for field in dataclasses.fields(Config)}
    for name, value in values.items():
        if isinstance(value, list):
            try:
                values[name] = tuple(map(int, value))
            except ValueError:
                raise InputError(
                    f"--{name}={','.join(value)}: must be whole numbers, such as 32,64,128"
                ) from None
    return Config(**values)


def config_of(arguments):
    """The `Config` of a training's command line, without running it.

    Args:
        arguments: such as ["--flagfile=teapot.flags", "--alpha=5"]; flags of `Config` alone.

    Raises:
        InputError: for a flag that is unknown or wrong, or a flag file that cannot be read.
    """
    flag_values = flags.FlagValues()
    define_config_flags(flag_values)
    try:
        flag_values(["train", *arguments])
    except flags.CantOpenFlagFileError as error:
        raise InputError(f"--flagfile={one_line(error.__context__)}") from error
    except (flags.Error, ValueError) as error:
        raise InputError(one_line(error).removeprefix("flag ")) from error
    return config_from_flags(flag_values)
