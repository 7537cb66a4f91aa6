"""Exports a run directory to a checked SavedModel for TensorFlow Serving, and other formats.

A version is moved into place only after a process that cannot import this project has loaded it,
called every signature at batch 0, 1 and 5, and compared the answers with the Keras model.
`saved_model` is the command; its docstring lists what is written.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import tensorflow as tf

from export import checksums, litert_onnx, tf_serving_files
from export.kinds import EXPORTED
from frame_io.files import read_checked_json, without_pattern, write_json
from tf_inbetween import run_directory
from tf_inbetween.config import InputError
from tf_inbetween.models import LatentModel

FORMATS = {"litert": litert_onnx.litert, "onnx": litert_onnx.onnx}
BATCHES = (0, 1, 5)
# The same float32 operations, fused or not, differ by this at most; bfloat16 has 8 bits.
_TOLERANCES = {"float32": 1e-5, "mixed_bfloat16": 2**-5}


def export(run_dir, model_dir, version=None, image_size=None):
    """Writes the next version (or `version`) of a run's model; returns its folder.

    Frames have `image_size`, see `frame_io.sizes.Size.of`; None: the size in training.

    Raises:
        InputError: if there is no trained run, the version exists, or the extra `serving` is
            missing.
        RuntimeError: if the SavedModel differs from the Keras model, or has an operation that a
            server cannot run. Then nothing is written.
    """
    run_dir, model_dir = Path(run_dir), Path(model_dir)
    name = _model_name(model_dir)
    golden_requests = _import_golden_requests()
    config, model, error = _load(run_dir)
    if image_size is not None:
        config = dataclasses.replace(config, image_size=image_size)
    with _workplace(model_dir) as beside:
        version = _free_version(model_dir, version)
        folder = beside / str(version)
        exported = EXPORTED[model.kind]
        write_saved_model(model, exported.signatures(model, config, error), folder)
        extra = folder / "assets.extra"
        extra.mkdir()
        tried = {batch: list(exported.cases(model, config, error, batch)) for batch in BATCHES}
        golden_requests.write(extra / "tf_serving_warmup_requests", tried[1], name)
        write_json(extra / "provenance.json", _provenance(run_dir, folder, error))
        _copy_samples(run_dir, extra / "samples", exported.samples)
        checksums.write(folder)
        golden_requests.write(
            beside / "cases", [case for batch in BATCHES for case in tried[batch]], name
        )
        check(folder, beside / "cases", _TOLERANCES[model.encoder.dtype_policy.name])
        kept = tf_serving_files.write(model_dir, name, version)
        folder.rename(model_dir / str(version))
    print(f"wrote {model_dir / str(version)}, the files for TensorFlow Serving beside it")
    if kept:
        print(f"kept: {', '.join(kept)}")
    return model_dir / str(version)


def convert(run_dir, model_dir, to):
    """Writes a run's model in the format `to`, a row of `FORMATS`; returns the paths of the files.

    Raises as `export`, and `InputError` if the format's extra is missing.
    """
    run_dir, model_dir = Path(run_dir), Path(model_dir)
    name = _model_name(model_dir)
    _import_golden_requests()
    config, model, error = _load(run_dir)
    if model.encoder.dtype_policy.name != "float32":
        raise InputError(f"--format={to}: takes models trained in float32")
    exported = EXPORTED[model.kind]
    if to not in exported.formats:
        raise InputError(
            f"--format={to}: does not support strings, which models of {model.kind} take"
        )
    tried = [case for n in BATCHES if n for case in exported.cases(model, config, error, n)]
    with _workplace(model_dir) as beside:
        saved, files = beside / "saved_model", beside / "files"
        files.mkdir()
        write_saved_model(model, exported.signatures(model, config, error), saved)
        with without_pattern(saved) as plain:
            worst = FORMATS[to](Path(plain), tried, files, name)
        paths = [path.replace(model_dir / path.name) for path in sorted(files.iterdir())]
    print(f"largest difference from the Keras model: {worst:.1e}")
    print(f"wrote {', '.join(str(path) for path in paths)}")
    return paths


def training_rmse(run_dir, model):
    """The root mean square error of a training frame's reconstruction, in (0, 1].

    It is the scale of a calibrated likelihood; otherwise evaluate measured it. Raises `InputError`
    if the run was not evaluated.
    """
    if model.likelihood == "calibrated_normal":
        return float(model.scale.numpy())
    path = Path(run_dir) / "metrics.json"
    try:
        mse = float(read_checked_json(path)["reconstruction"]["train"]["mse"])
        if not mse > 0:
            raise ValueError(mse)
        return mse**0.5
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: missing or damaged; python -m tf_inbetween.evaluate --run_dir={run_dir} "
            f"measures what the confidence of a model with likelihood {model.likelihood} needs"
        ) from error


def write_saved_model(model, table, folder):
    """Writes `table` (from `export.signatures`) over the weights of `model` as a SavedModel."""
    model.build()
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name in table:
        # The first endpoint becomes serving_default too.
        archive.add_endpoint(name, *table[name])
    archive.write_out(str(folder), verbose=False)


def check(folder, cases, tolerance):
    """Runs `check.py` on a SavedModel in its own process; raises `RuntimeError` if it fails."""
    script = Path(__file__).with_name("check.py")
    with without_pattern(folder) as plain:
        result = subprocess.run(
            [sys.executable, "-I", str(script), plain, str(cases), str(tolerance)],
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        said = result.stderr.strip().rpartition("\n")[2] or f"exit code {result.returncode}"
        raise RuntimeError(f"the check of the SavedModel failed, nothing was exported: {said}")
    print("largest difference from the Keras model, loaded as a server does:")
    print(result.stdout, end="")


@contextlib.contextmanager
def _workplace(model_dir):
    """Yields an empty folder inside `model_dir`, removed afterwards.

    Raises `InputError` while another export is running there.
    """
    model_dir.mkdir(parents=True, exist_ok=True)
    lock = os.open(model_dir, os.O_RDONLY)
    folder = model_dir / ".partial"
    try:
        # The system drops the lock of a process that dies.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)  # of an export that was killed
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                model_dir.rmdir()  # if nothing was exported, ever
    except BlockingIOError:
        raise InputError(f"--model_dir={model_dir}: another export is running there") from None
    finally:
        os.close(lock)


def _free_version(model_dir, version):
    names = (path.name for path in model_dir.iterdir())
    taken = {int(name) for name in names if re.fullmatch("[0-9]+", name)}
    if version is None:
        return max(taken, default=0) + 1
    if version in taken:
        raise InputError(f"{model_dir / str(version)}: exists already; choose another --version")
    return version


def _model_name(model_dir):
    name = model_dir.resolve().name
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
        raise InputError(
            f"--model_dir={model_dir}: its last part is the model's name: letters, digits, _, ., -"
        )
    return name


def _load(run_dir):
    config, model = run_directory.load_config(run_dir), run_directory.load_model(run_dir)
    if not isinstance(model, LatentModel):
        raise InputError(
            f"--run_dir={run_dir}: a run with --model={config.model} has no latents, and the "
            "signatures of a SavedModel need them; it cannot be exported"
        )
    error = training_rmse(run_dir, model) if EXPORTED[model.kind].measures_error else None
    return config, model, error


def _import_golden_requests():
    try:
        from export import golden_requests
    except ModuleNotFoundError as error:
        raise InputError(f"no package {error.name}: pip install 'tf_inbetween[serving]'") from error
    return golden_requests


def _provenance(run_dir, folder, error):
    fingerprint = tf.saved_model.experimental.read_fingerprint(str(folder))
    return {
        "fingerprint": {
            "saved_model_checksum": str(fingerprint.saved_model_checksum),
            "graph_def_program_hash": str(fingerprint.graph_def_program_hash),
            "signature_def_hash": str(fingerprint.signature_def_hash),
            "saved_object_graph_hash": str(fingerprint.saved_object_graph_hash),
            "checkpoint_hash": str(fingerprint.checkpoint_hash),
        },
        "model_keras_sha256": hashlib.sha256((run_dir / "model.keras").read_bytes()).hexdigest(),
        "training_rmse": error,
        "flags": (run_dir / "flags.txt").read_text().splitlines(),
        "environment_of_training": json.loads((run_dir / "environment.json").read_text()),
        "environment_of_export": run_directory.environment(),
    }


def _copy_samples(run_dir, folder, pattern):
    """Copies the sample frames that the evaluation wrote."""
    samples = run_dir / "figures" / "samples"
    folder.mkdir()
    for path in sorted(samples.glob(pattern)):
        shutil.copy(path, folder)
