"""Checks a SavedModel as a server sees it: `python -I check.py FOLDER CASES TOLERANCE`.

It runs in its own process, which cannot import this project, TensorFlow Probability or tf_keras. It
reads the graph for operations that no server can run, loads the folder through
`tf.compat.v1.saved_model.loader.load` as TensorFlow Serving does, replays its warmup requests, and
compares the answers to the requests in CASES, a TFRecord of PredictionLog, each with the response
that the Keras model gives, within TOLERANCE (relative for values above 1; of texts the share of
letters that differ).

Prints one line for each signature, or one line to stderr with exit code 1.
"""

import collections
import io
import os
import sys

FORBIDDEN = ("tf_inbetween", "export", "data_gen", "tensorflow_probability", "tf_keras")
PYTHON_OPS = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
WARMUP = "assets.extra/tf_serving_warmup_requests"
SOUND_POWERS = 0.05  # The share of a sound's power that may differ.
GREY_LEVELS = 1  # How much a pixel of a PNG may differ, by rounding.

_BINS = 16  # of a spectrum that are summed


class Mismatch(Exception):
    """A server cannot run this, or would answer differently."""


class _Hidden:
    """An import hook under which the `FORBIDDEN` packages do not exist."""

    def find_spec(self, name, path=None, target=None):
        del path, target
        if name.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"{name} is hidden from the check", name=name)


def main(folder, cases, tolerance):
    """Checks the SavedModel in `folder`; prints what was compared. Raises `Mismatch`."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    _check_operations(folder)
    warmup, logs = _records(os.path.join(folder, WARMUP)), _records(cases)
    compared = collections.defaultdict(list)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tags = [tf.saved_model.SERVING]
        meta_graph = tf.compat.v1.saved_model.loader.load(session, tags, folder)
        signatures = meta_graph.signature_def
        for log in warmup:
            _answer(session, signatures, log.request)
        for log in logs:
            name = log.request.model_spec.signature_name
            answer = _answer(session, signatures, log.request)
            compared[name].append(_compare(name, answer, log.response.outputs, tolerance))
    batches = {rows for results in compared.values() for rows, *_ in results}
    if not batches:
        raise Mismatch("no request tried anything")
    for name in signatures:
        untried = batches - {rows for rows, *_ in compared[name]}
        if untried and not name.startswith("__"):
            raise Mismatch(f"no request tried {name} at batch {min(untried)}")
    for name, results in sorted((name, results) for name, results in compared.items() if results):
        rows, numbers, levels = zip(*results, strict=True)
        print(
            f"{name}: {max(numbers):.1e} in numbers, {max(levels):g} in grey levels, "
            f"at batch {', '.join(map(str, rows))}"
        )


def _check_operations(folder):
    """Raises `Mismatch` for operations that need Python, XLA or another library."""
    # Private to TensorFlow: its public tf.raw_ops lacks some of the operations that graphs have.
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.framework import op_def_registry

    with open(os.path.join(folder, "saved_model.pb"), "rb") as file:
        saved_model = saved_model_pb2.SavedModel.FromString(file.read())
    for graph in (meta_graph.graph_def for meta_graph in saved_model.meta_graphs):
        functions = {function.signature.name: function for function in graph.library.function}
        compiled = [name for name, f in functions.items() if f.attr["_XlaMustCompile"].b]
        if compiled:
            raise Mismatch(
                f"function {compiled[0]} is compiled by XLA, which servers have switched off"
            )
        nodes = [*graph.node, *(node for f in functions.values() for node in f.node_def)]
        for node in nodes:
            if node.op in PYTHON_OPS:
                raise Mismatch(
                    f"operation {node.op} ({node.name}) runs Python, which no server has"
                )
            if node.op.startswith("Xla") or node.attr["_XlaMustCompile"].b:
                raise Mismatch(f"operation {node.op} ({node.name}) needs XLA, which servers lack")
            if node.op not in functions and op_def_registry.get(node.op) is None:
                raise Mismatch(f"operation {node.op} ({node.name}) is not one of TensorFlow's own")


def _records(path):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    return [
        prediction_log_pb2.PredictionLog.FromString(record).predict_log
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator()
    ]


def _answer(session, signatures, request):
    """The outputs of a PredictRequest, by name, as arrays."""
    import tensorflow as tf

    name = request.model_spec.signature_name
    if name not in signatures:
        raise Mismatch(f"no signature {name!r}: there are {', '.join(sorted(signatures))}")
    signature = signatures[name]
    feeds = {
        signature.inputs[key].name: tf.make_ndarray(tensor)
        for key, tensor in request.inputs.items()
    }
    return session.run({key: info.name for key, info in signature.outputs.items()}, feeds)


def _compare(name, answer, expected, tolerance):
    """The rows of an answer, and its largest differences in numbers and in grey levels.

    For sounds it is the difference of the power spectra, relative to the loudest.
    """
    import numpy as np
    import tensorflow as tf

    if set(answer) != set(expected):
        raise Mismatch(f"{name}: outputs {sorted(answer)}, expected {sorted(expected)}")
    worst = {"numbers": 0.0, "letters": 0.0, "powers": 0.0, "grey levels": 0.0}
    for key, tensor in expected.items():
        wanted, got = tf.make_ndarray(tensor), answer[key]
        where = f"{name}: {key} at batch {len(wanted)}"
        if got.shape != wanted.shape:
            raise Mismatch(f"{where} has shape {got.shape}, expected {wanted.shape}")
        if got.dtype != wanted.dtype:
            raise Mismatch(f"{where} is {got.dtype}, expected {wanted.dtype}")
        if wanted.dtype == object and not key.endswith("_bytes"):
            kind, allowed = "letters", tolerance
            differences = [_letters(*pair) for pair in zip(got.flat, wanted.flat, strict=True)]
        elif wanted.dtype == object and wanted.size and wanted.flat[0][:4] == b"RIFF":
            kind, allowed = "powers", SOUND_POWERS
            differences = [
                _powers(where, *pair) for pair in zip(got.flat, wanted.flat, strict=True)
            ]
        elif wanted.dtype == object:
            kind, allowed = "grey levels", GREY_LEVELS
            differences = [
                _grey_levels(where, *pair) for pair in zip(got.flat, wanted.flat, strict=True)
            ]
        else:
            kind, allowed = "numbers", tolerance
            differences = np.abs(got - wanted) / np.maximum(np.abs(wanted), 1)
        difference = np.max(differences, initial=0.0)
        if not difference <= allowed:  # NaN is not.
            raise Mismatch(f"{where} differs by {difference:.2e} {kind}, more than {allowed:g}")
        worst[kind] = max(worst[kind], difference)
    of_numbers = max(worst["numbers"], worst["letters"], worst["powers"])
    return len(wanted), of_numbers, worst["grey levels"]


def _letters(line, wanted):
    """The share of the bytes of a line that differ."""
    size = max(len(line), len(wanted), 1)
    return sum(a != b for a, b in zip(line.ljust(size), wanted.ljust(size), strict=True)) / size


def _powers(where, file, wanted):
    """How far apart the power spectra of two WAV files are, as a share of the greater power.

    Phases are found step by step, and rounding moves them; what is heard does not move.
    """
    import numpy as np

    sounds = [np.frombuffer(each[44:], "<i2").astype(float) for each in (file, wanted)]
    if len(sounds[0]) != len(sounds[1]):
        raise Mismatch(f"{where} has {len(sounds[0])} samples, expected {len(sounds[1])}")
    powers = [np.abs(np.fft.rfft(sound)) ** 2 for sound in sounds]
    bands = [np.add.reduceat(power, np.arange(0, len(power), _BINS)) for power in powers]
    return np.abs(bands[0] - bands[1]).sum() / max(*(band.sum() for band in bands), 1.0)


def _grey_levels(where, file, wanted):
    """The largest difference between the pixels of two PNG files, in 0..255."""
    import numpy as np
    import PIL.Image

    pictures = [np.asarray(PIL.Image.open(io.BytesIO(each)), int) for each in (file, wanted)]
    if pictures[0].shape != pictures[1].shape:
        shapes = [picture.shape for picture in pictures]
        raise Mismatch(f"{where} is a picture of {shapes[0]}, expected {shapes[1]}")
    return np.abs(pictures[0] - pictures[1]).max()


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.meta_path.insert(0, _Hidden())
    try:
        main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
