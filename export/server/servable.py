"""One version of a model in memory: a SavedModel, its signatures, its warmup requests.

How warmup requests are replayed follows TensorFlow Serving (`saved_model_warmup_util.cc`).
"""

import contextlib
import gc
import os
import stat
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from export import checksums
from export.server import proto_tensors, tensor_specs
from export.server.errors import ServingError, from_exception, invalid
from frame_io.files import without_pattern

DEFAULT_SIGNATURE = "serving_default"

_INIT_OP = "__saved_model_init_op"
_WARMUP_REQUESTS = Path("assets.extra") / "tf_serving_warmup_requests"
_MAX_WARMUP_REQUESTS = 1000


class UnknownSignature(ServingError):
    """A request names a signature that the model does not have."""

    def __init__(self, name):
        super().__init__("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        self.name = name


class Signature:
    """One signature of a loaded version, called with numpy arrays.

    Attributes:
        name: its key.
        inputs, outputs: name -> `tensor_specs.Spec`, in the order of the names.
        batched: whether every input and output has an open first dimension, so that the rows of
            several requests can be run as one.
    """

    def __init__(self, name, definition, session):
        self.name = name
        self.inputs = _specs(definition.inputs)
        self.outputs = _specs(definition.outputs)
        specs = [*self.inputs.values(), *self.outputs.values()]
        if None in specs or not self.outputs:
            raise ServingError(
                "UNIMPLEMENTED", f"signature {name!r} has inputs or outputs that are not dense"
            )
        self.batched = bool(self.inputs) and all(spec.batched for spec in specs)
        graph = session.graph
        self._call = session.make_callable(
            [graph.get_tensor_by_name(spec.tensor) for spec in self.outputs.values()],
            [graph.get_tensor_by_name(spec.tensor) for spec in self.inputs.values()],
        )

    def run(self, inputs):
        """Calls the graph: input name -> array, for all inputs; output name -> array.

        Raises:
            tf.errors.OpError: the graph's error for the inputs.
        """
        values = self._call(*(inputs[name] for name in self.inputs))
        return dict(zip(self.outputs, values, strict=True))


def _specs(infos):
    return {name: tensor_specs.spec_of(infos[name]) for name in sorted(infos)}


class Servable:
    """A SavedModel in memory, its warmup requests replayed.

    Attributes:
        path: its folder, a `Path`.
        definitions: signature name -> SignatureDef, as the metadata shows them.

    Args:
        path: a folder with `saved_model.pb`.

    Raises:
        Exception: of any kind; TensorFlow raises various errors for a damaged file.
    """

    def __init__(self, path):
        self.path = Path(path)
        _check_files(path)
        checksums.check(self.path)
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with self._session.graph.as_default(), without_pattern(path) as plain:
                meta = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], plain)
            self.definitions = dict(meta.signature_def)
            self._signatures = {}
            for name, definition in self.definitions.items():
                if name != _INIT_OP:
                    # One that cannot be called does not keep the others from being.
                    with contextlib.suppress(ServingError):
                        self._signatures[name] = Signature(name, definition, self._session)
            self._warm_up()
        except BaseException:
            self.close()
            raise

    def signature(self, name):
        """The `Signature` of a name; of the default one for "".

        Raises:
            UnknownSignature: there is none.
            ServingError: UNIMPLEMENTED if its tensors are not dense.
        """
        name = name or DEFAULT_SIGNATURE
        if name in self._signatures:
            return self._signatures[name]
        if name in self.definitions and name != _INIT_OP:
            raise ServingError(
                "UNIMPLEMENTED", f"signature {name!r} has inputs or outputs that are not dense"
            )
        raise UnknownSignature(name)

    def close(self):
        """Frees the memory."""
        self._signatures = {}
        self._session.close()
        self._session = None
        gc.collect()  # The Python side of a graph is full of cycles.

    def _warm_up(self):
        path = self.path / _WARMUP_REQUESTS
        if not path.exists():
            return
        count = 0
        try:
            for record in tf.compat.v1.io.tf_record_iterator(str(path)):
                log = prediction_log_pb2.PredictionLog()
                try:
                    log.ParseFromString(record)
                except DecodeError:
                    raise invalid("Failed to parse warmup record") from None
                count += 1
                if count > _MAX_WARMUP_REQUESTS:
                    raise invalid(
                        "Number of warmup records exceeds the maximum"
                        f" ({_MAX_WARMUP_REQUESTS}) at {path}"
                    )
                if log.HasField("predict_log"):
                    request = log.predict_log.request
                    signature = self.signature(request.model_spec.signature_name)
                    limits = tensor_specs.Limits()
                    signature.run(
                        proto_tensors.read_protos(request.inputs, signature.inputs, limits)
                    )
        except tf.errors.DataLossError as error:
            raise ServingError(
                "DATA_LOSS",
                f"{from_exception(error).message}. Please verify your warmup data is in TFRecord"
                " format.",
            ) from None


def _check_files(path):
    """Raises PERMISSION_DENIED for files that do not belong to a SavedModel, before reading.

    That is a symbolic link out of the version's folder, which may itself be a link, and anything
    that is neither a file nor a folder: reading a pipe may never end.
    """
    root = os.path.realpath(path)
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            file = os.path.join(folder, name)
            if not is_within(root, file):
                what = "is a symbolic link that leads out of the version's folder"
            elif stat.S_IFMT(os.stat(file).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
                what = "is neither a file nor a folder"
            else:
                continue
            raise ServingError("PERMISSION_DENIED", f"{os.path.relpath(file, root)!a} {what}")


def is_within(folder, path):
    """Whether a path still lies in a folder when all symbolic links are followed."""
    folder = os.path.realpath(folder)
    return os.path.commonpath([folder, os.path.realpath(path)]) == folder
