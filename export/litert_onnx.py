"""The same model for devices and other runtimes: LiteRT (.tflite) and ONNX files.

    python -m export.saved_model --format=litert ...   one file with the signatures below
    python -m export.saved_model --format=onnx ...     one file for each of them

The converters support no PNG decoder and no stateless random numbers, so only `SIGNATURES` are
converted (frames and latents as arrays, one row or more), and `mask` of a `FusionVAE`. Each file is
compared with the Keras model in its own runtime.
"""

import subprocess
import sys

import numpy as np
import tensorflow as tf

from tf_inbetween.config import InputError

SIGNATURES = ("inbetween", "sequence", "encode", "decode", "reconstruct", "mask")
# ONNX needs different names for inputs and outputs; `reconstruct` is encode and decode.
ONNX_SIGNATURES = tuple(name for name in SIGNATURES if name != "reconstruct")
TOLERANCE = 1e-4  # Of float32: another runtime sums in another order.
_ONNX_OPSET = 18


def litert(saved_model, cases, folder, name):
    """Writes FOLDER/NAME.tflite and checks it; returns the largest difference.

    Args:
        saved_model: the folder of an export.
        cases: (signature, inputs, outputs), as from `export.golden_requests`.
        folder: where to.
        name: the model's.

    Raises:
        InputError: if the extra `litert` is missing.
        RuntimeError: if an answer differs by more than `TOLERANCE`.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise InputError(f"no package {error.name}: pip install 'tf_inbetween[litert]'") from error
    signatures = tried(SIGNATURES, cases)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=signatures
    )
    path = folder / f"{name}.tflite"
    path.write_bytes(converter.convert())
    interpreter = Interpreter(str(path))

    def answer(signature, inputs):
        return interpreter.get_signature_runner(signature)(**inputs)

    return max(compare(answer, cases, signature) for signature in signatures)


def onnx(saved_model, cases, folder, name):
    """Writes FOLDER/NAME.SIGNATURE.onnx for those of `ONNX_SIGNATURES`; otherwise as `litert`."""
    try:
        import onnxruntime
        import tf2onnx  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(f"no package {error.name}: pip install 'tf_inbetween[onnx]'") from error
    worst = 0.0
    for signature in tried(ONNX_SIGNATURES, cases):
        path = folder / f"{name}.{signature}.onnx"
        _run_tf2onnx(saved_model, signature, path)
        session = onnxruntime.InferenceSession(path)
        outputs = [output.name for output in session.get_outputs()]

        def answer(_, inputs, session=session, outputs=outputs):
            return dict(zip(outputs, session.run(outputs, inputs), strict=True))

        worst = max(worst, compare(answer, cases, signature))
    return worst


def _run_tf2onnx(saved_model, signature, path):
    # Its command keeps the signature's names; its functions give the outputs names of their own.
    result = subprocess.run(
        [
            *(sys.executable, "-m", "tf2onnx.convert"),
            *("--saved-model", str(saved_model), "--signature_def", signature),
            *("--opset", str(_ONNX_OPSET), "--output", str(path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"tf2onnx: {signature}: {result.stderr.strip().rpartition(chr(10))[2]}")


def tried(signatures, cases):
    """The signatures that the model has: those in `cases`."""
    names = {name for name, *_ in cases}
    return [name for name in signatures if name in names]


def compare(answer, cases, signature):
    """The largest difference of `answer(signature, inputs)` from the outputs of its `cases`."""
    worst = 0.0
    for _, inputs, outputs in (case for case in cases if case[0] == signature):
        answered = answer(signature, inputs)
        for key, wanted in outputs.items():
            difference = np.abs(answered[key] - wanted) / np.maximum(np.abs(wanted), 1)
            largest = float(difference.max())
            if not largest <= TOLERANCE:  # NaN is not.
                raise RuntimeError(f"{signature}: {key} differs by {largest:.2e}")
            worst = max(worst, largest)
    return worst
