"""The text files that configure TensorFlow Serving, read strictly.

`models.config` is a ModelServerConfig, `batching_parameters.txt` a BatchingParameters and
`monitoring.config` a MonitoringConfig (TensorFlow Serving's configuration guide). The package
`tensorflow-serving-api` has only the first of the three messages; the others are declared here.
"""

import dataclasses
import itertools
import os
import re
from pathlib import Path

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from frame_io.errors import InputError

METRICS_PATH = "/monitoring/prometheus/metrics"


@dataclasses.dataclass(frozen=True)
class Batching:
    """How requests are put together; the names are those of BatchingParameters.

    Attributes:
        max_batch_size: rows of one run, at most.
        batch_timeout_micros: how long a batch may wait to be filled while another one runs.
        max_enqueued_batches: batches that may wait.
        num_batch_threads: batches that may run at a time.
        allowed_batch_sizes: rows of a run, filled up; any number if empty.
    """

    max_batch_size: int = 64
    batch_timeout_micros: int = 1000
    max_enqueued_batches: int = 100
    num_batch_threads: int = max(1, (os.cpu_count() or 1) // 2)
    allowed_batch_sizes: tuple = ()


@dataclasses.dataclass(frozen=True)
class Models:
    """The served model's entry in `models.config`.

    Attributes:
        name: the model's name; None if the file does not say.
        policy: a ServableVersionPolicy.
        labels: label -> version.
    """

    name: str | None
    policy: object
    labels: dict


def _messages():
    """The classes of BatchingParameters and MonitoringConfig."""
    wrapped = {
        "max_batch_size": (1, "Int64Value"),
        "batch_timeout_micros": (2, "Int64Value"),
        "max_enqueued_batches": (3, "Int64Value"),
        "num_batch_threads": (4, "Int64Value"),
        "thread_pool_name": (5, "StringValue"),
        "enable_large_batch_splitting": (8, "BoolValue"),
        "max_execution_batch_size": (9, "Int64Value"),
    }
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="server_config.proto", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")

    def message(name, **fields):
        added = file.message_type.add(name=name)
        for label, (number, kind) in fields.items():
            repeated = field.LABEL_REPEATED if kind == "int64" else field.LABEL_OPTIONAL
            scalar = {"int64": field.TYPE_INT64, "bool": field.TYPE_BOOL, "str": field.TYPE_STRING}
            added.field.add(
                name=label,
                number=number,
                label=repeated,
                type=scalar.get(kind, field.TYPE_MESSAGE),
                type_name=None if kind in scalar else f".{kind}",
            )

    message(
        "BatchingParameters",
        **{name: (number, f"google.protobuf.{kind}") for name, (number, kind) in wrapped.items()},
        allowed_batch_sizes=(6, "int64"),
        pad_variable_length_inputs=(7, "bool"),
    )
    message("PrometheusConfig", enable=(1, "bool"), path=(2, "str"))
    message("MonitoringConfig", prometheus_config=(1, "PrometheusConfig"))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    names = ("BatchingParameters", "MonitoringConfig")
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names]


_BatchingParameters, _MonitoringConfig = _messages()


def read_batching(path):
    """Reads a BatchingParameters file into a `Batching`.

    Raises:
        InputError: the file and the line that is wrong, or the field that has no use here.
        OSError: the file cannot be read.
    """
    message = _read(path, _BatchingParameters())
    for name in ("pad_variable_length_inputs", "enable_large_batch_splitting"):
        value = getattr(message, name)
        if getattr(value, "value", value):
            raise InputError(f"{path}: {name} is only supported by TensorFlow Serving")
    names = [field.name for field in dataclasses.fields(Batching)[:-1]]
    values = {name: getattr(message, name).value for name in names if message.HasField(name)}
    batching = Batching(**values, allowed_batch_sizes=tuple(message.allowed_batch_sizes))
    for name in names:
        least = 0 if name == "batch_timeout_micros" else 1
        if getattr(batching, name) < least:
            raise InputError(f"{path}: {name} must be at least {least}")
    sizes = batching.allowed_batch_sizes
    if sizes and (sizes[0] < 1 or any(a >= b for a, b in itertools.pairwise(sizes))):
        raise InputError(f"{path}: allowed_batch_sizes must be positive and increase")
    if sizes and sizes[-1] != batching.max_batch_size:
        raise InputError(
            f"{path}: the last of allowed_batch_sizes must be max_batch_size,"
            f" {batching.max_batch_size}; it is {sizes[-1]}"
        )
    return batching


def read_metrics_path(path):
    """The path of the Prometheus page in a MonitoringConfig file; None if disabled."""
    config = _read(path, _MonitoringConfig()).prometheus_config
    if config.path and not config.path.startswith("/"):
        raise InputError(f"{path}: the path of prometheus_config must start with /")
    return (config.path or METRICS_PATH) if config.enable else None


def read_models(path, name=None):
    """Reads the one model of a ModelServerConfig file, or its model `name` if there are several.

    Its `base_path`, where TensorFlow Serving finds the model, is ignored.
    """
    message = _read(path, model_server_config_pb2.ModelServerConfig())
    if message.WhichOneof("config") == "custom_model_config":
        raise InputError(f"{path}: custom_model_config is only supported by TensorFlow Serving")
    configs = list(message.model_config_list.config)
    if len(configs) > 1 and name is not None:
        configs = [config for config in configs if config.name == name]
    if len(configs) != 1:
        raise InputError(f"{path}: {len(configs)} models; this server serves one")
    (config,) = configs
    return Models(config.name or None, config.model_version_policy, dict(config.version_labels))


def _read(path, message):
    try:
        return text_format.Parse(Path(path).read_text(), message)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        line = f"line {error.GetLine()}: " if getattr(error, "GetLine", None) else ""
        text = re.sub(r"^\d+:\d+ : ", "", str(error))
        raise InputError(f"{path}: {line}{text}") from None
