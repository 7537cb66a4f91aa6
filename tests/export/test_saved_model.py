"""An export is proven before it is there, and leaves nothing behind when it is not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from export import check, exporter, golden_requests, pictures, tf_serving_files
from frame_io.files import write_checked_json
from tf_inbetween import run_directory, training
from tf_inbetween.config import InputError

ROOT = Path(__file__).parents[2]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_an_export_leaves(exported, trained):
    folder = exported / "1"
    assert names(exported) == [
        *("1", "batching_parameters.txt", "compose.yaml", "models.config", "monitoring.config")
    ]
    assert names(folder) == [
        "assets",
        "assets.extra",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]
    assert names(folder / "assets.extra") == [
        *("SHA256SUMS", "provenance.json", "samples", "tf_serving_warmup_requests")
    ]
    assert names(folder / "assets.extra" / "samples") == ["00.png", "01.png", "02.png"]

    provenance = json.loads((folder / "assets.extra" / "provenance.json").read_text())
    fingerprint = tf.saved_model.experimental.read_fingerprint(str(folder))
    assert provenance["fingerprint"]["saved_model_checksum"] == str(
        fingerprint.saved_model_checksum
    )
    assert provenance["flags"] == (trained / "flags.txt").read_text().splitlines()
    assert provenance["environment_of_training"]["seed"] == 0
    assert provenance["environment_of_export"]["packages"]["tensorflow"] == tf.__version__
    model = run_directory.load_model(trained)
    assert provenance["training_rmse"] == float(model.scale.numpy())


def test_the_warmup_requests_are_one_row_of_every_signature(exported):
    path = exported / "1" / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    assert {log.model_spec.signature_name for log in logs} == {
        *("serving_default", "inbetween_png", "inbetween", "sequence", "sequence_png"),
        *("encode", "decode", "reconstruct", "sample"),
    }
    assert all(log.model_spec.name == "tiny" for log in logs)
    rows = {tensor.tensor_shape.dim[0].size for log in logs for tensor in log.inputs.values()}
    assert rows == {1}


def test_the_signatures_are_row_wise_named_and_float32(exported):
    loaded = tf.saved_model.load(str(exported / "1"))
    for name, signature in loaded.signatures.items():
        specs = {**signature.structured_input_signature[1], **signature.structured_outputs}
        for key, spec in specs.items():
            assert spec.shape[0] is None, (name, key)
            if key not in ("seed", "first_bytes", "second_bytes", "frame_bytes"):
                assert spec.dtype == tf.float32, (name, key)
    assert set(loaded.signatures["inbetween_png"].structured_outputs) == {
        "frame_bytes",
        "confidence",
    }
    assert set(loaded.signatures["sequence"].structured_outputs) == {"frames"}


def test_the_files_for_tensorflow_serving(exported):
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((exported / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("tiny", "/models/tiny")
    assert dict(model.version_labels) == {"stable": 1}
    assert model.model_version_policy.HasField("all")
    compose = (exported / "compose.yaml").read_text()
    for file in ("models.config", "batching_parameters.txt", "monitoring.config"):
        assert f"/models/tiny/{file}" in compose


def test_files_that_a_person_changed_are_kept(tmp_path):
    assert tf_serving_files.write(tmp_path, "mine", 1) == []
    (tmp_path / "models.config").write_text("changed")
    (tmp_path / "compose.yaml").unlink()
    kept = tf_serving_files.write(tmp_path, "mine", 2)
    assert kept == ["models.config", "batching_parameters.txt", "monitoring.config"]
    assert (tmp_path / "models.config").read_text() == "changed"
    assert "/models/mine/models.config" in (tmp_path / "compose.yaml").read_text()


@pytest.fixture
def no_check(monkeypatch):
    """Leaves out the separate process, which the other tests run, and the tracing of the graph."""
    monkeypatch.setattr(exporter, "check", lambda *_: None)

    def write(model, table, folder):
        folder.mkdir()
        tf.saved_model.save(tf.Module(), str(folder))

    monkeypatch.setattr(exporter, "write_saved_model", write)


def test_versions_are_counted_on(trained, tmp_path, no_check):
    model_dir = tmp_path / "modèles" / "pot"
    (model_dir / "not_a_version").mkdir(parents=True)
    (model_dir / ".partial").mkdir()  # of an export that was killed
    assert exporter.export(trained, model_dir, version=3) == model_dir / "3"
    assert exporter.export(trained, model_dir) == model_dir / "4"
    assert "4" in names(model_dir)
    assert ".partial" not in names(model_dir)
    with pytest.raises(InputError, match="3: exists already"):
        exporter.export(trained, model_dir, version=3)


def test_the_name_of_the_folder_must_do_as_the_name_of_a_model(trained, tmp_path):
    with pytest.raises(InputError, match="last part is the model's name"):
        exporter.export(trained, tmp_path / "my pot")


def test_without_the_extra_one_line_says_how_to_get_it(trained, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "export.golden_requests")
    monkeypatch.delattr("export.golden_requests")
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(InputError, match=r"pip install 'tf_inbetween\[serving\]'"):
        exporter.export(trained, tmp_path / "pot")
    assert names(tmp_path) == []


def test_the_usual_error_of_other_likelihoods_is_what_evaluate_measured(tiny_config, tmp_path):
    model = training.build_model(tiny_config(likelihood="bernoulli"))
    with pytest.raises(InputError, match=r"metrics.json: missing.*tf_inbetween.evaluate"):
        exporter.training_rmse(tmp_path, model)
    write_checked_json(tmp_path / "metrics.json", {"reconstruction": {"train": {"mse": 0.0004}}})
    assert exporter.training_rmse(tmp_path, model) == pytest.approx(0.02)


@pytest.mark.parametrize(
    "settings", [{"channels": 1, "precision": "mixed_bfloat16", "likelihood": "bernoulli"}]
)
def test_grey_bfloat16_and_logits_export_as_well(settings, tiny_config, tmp_path, capsys):
    config = tiny_config(**settings)
    model = training.build_model(config)
    run_directory.start(config, "mixed_bfloat16")
    model.save(Path(config.run_dir) / "model.keras", include_optimizer=False)
    write_checked_json(
        Path(config.run_dir) / "metrics.json", {"reconstruction": {"train": {"mse": 0.01}}}
    )
    exporter.export(config.run_dir, tmp_path / "grey")
    assert "sequence_png" in capsys.readouterr().out
    assert names(tmp_path / "grey" / "1" / "assets.extra" / "samples") == []


class Doubles(tf.Module):
    """A stand-in whose signature `decode` gives twice its input, in a way a test chooses."""

    def __init__(self, double):
        self.double = tf.function(
            lambda latent: {"image": double(latent)},
            input_signature=[tf.TensorSpec([None, 2], tf.float32, "latent")],
        )


def written(folder, double):
    """A SavedModel of `Doubles` with its warmup request; returns the path of the cases."""
    module = Doubles(double)
    tf.saved_model.save(module, str(folder), {"decode": module.double})
    (folder / "assets.extra").mkdir()
    latent = np.float32([[1, 2]])
    logged = [("decode", {"latent": latent}, {"image": 2 * latent})]
    golden_requests.write(folder / "assets.extra" / "tf_serving_warmup_requests", logged, "doubles")
    golden_requests.write(folder / "cases", logged, "doubles")
    return folder / "cases"


def python_double(x):
    return tf.numpy_function(lambda x: 2 * x, [x], tf.float32)


DEFECTS = {
    "wrong": (lambda x: 2.001 * x, "image at batch 1 differs by 5.00e-04"),
    "shape": (lambda x: tf.concat([x, x], 1), r"has shape \(1, 4\), expected \(1, 2\)"),
    "type": (lambda x: tf.cast(2 * x, tf.float64), "is float64, expected float32"),
    "python": (python_double, "operation PyFunc .* runs Python"),
    "xla": (tf.function(lambda x: 2 * x, jit_compile=True), "compiled by XLA"),
    "nan": (lambda x: 2 * x + np.float32("nan"), "differs by nan"),
}


def png_of(level, side=4):
    """A grey PNG file of one level."""
    return pictures.encode_png(tf.fill([side, side, 1], level / 255.0))


# What the signature makes of rows that are to become a PNG of level 128, and what is said of it.
PICTURES = {
    "one_off": (lambda x: tf.map_fn(lambda _: png_of(129), x, tf.string), None),
    "black": (lambda x: tf.map_fn(lambda _: png_of(0), x, tf.string), "1.28e.02 grey levels"),
    "two_off": (lambda x: tf.map_fn(lambda _: png_of(130), x, tf.string), "2.00e.00 grey levels"),
    "small": (lambda x: tf.map_fn(lambda _: png_of(128, 2), x, tf.string), "is a picture of"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_compared_in_grey_levels(name):
    draw, said = PICTURES[name]
    rows = tf.zeros([1])
    expected = {"frame_bytes": tf.make_tensor_proto(png_of(128)[tf.newaxis].numpy())}
    answer = {"frame_bytes": draw(rows).numpy()}
    if said is None:
        assert check._compare("sequence_png", answer, expected, 1e-5) == (1, 0.0, 1)
    else:
        with pytest.raises(check.Mismatch, match=said):
            check._compare("sequence_png", answer, expected, 1e-5)


def test_every_signature_must_be_tried_at_every_batch(tmp_path):
    """One that no request, or not every batch, has tried might answer anything."""
    written(tmp_path, lambda x: x + x)
    latent = np.float32([[1, 2]])
    rows = [
        ("decode", {"latent": np.repeat(latent, n, 0)}, {"image": 2 * np.repeat(latent, n, 0)})
        for n in (1, 2)
    ]
    golden_requests.write(tmp_path / "cases", rows, "doubles")
    check.main(str(tmp_path), str(tmp_path / "cases"), 1e-5)
    golden_requests.write(tmp_path / "cases", [], "doubles")
    with pytest.raises(check.Mismatch, match="no request"):
        check.main(str(tmp_path), str(tmp_path / "cases"), 1e-5)


def test_two_exports_at_once_do_not_touch_each_other(trained, tmp_path, no_check):
    with exporter._workplace(tmp_path / "pot"):
        with pytest.raises(InputError, match="another export is running there"):
            exporter.export(trained, tmp_path / "pot")
        assert names(tmp_path / "pot") == [".partial"]
    assert not (tmp_path / "pot").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFECTS)
def test_every_defect_fails_the_check(name, tmp_path):
    double, said = DEFECTS[name]
    with pytest.raises(RuntimeError, match=f"nothing was exported: .*{said}"):
        exporter.check(tmp_path, written(tmp_path, double), 1e-5)


def test_the_check_finds_python_and_lets_the_right_one_pass(tmp_path, capfd):
    exporter.check(tmp_path / "good", written(tmp_path / "good", lambda x: x + x), 1e-5)
    assert "decode: 0.0e+00 in numbers, 0 in grey levels, at batch 1" in capfd.readouterr().out
    with pytest.raises(RuntimeError, match=r"operation PyFunc .* runs Python"):
        exporter.check(tmp_path / "bad", written(tmp_path / "bad", python_double), 1e-5)


def test_an_export_that_does_not_hold_leaves_nothing(trained, tmp_path, monkeypatch):
    def write(model, table, folder):
        written(folder, lambda x: x)
        shutil.rmtree(folder / "assets.extra")

    monkeypatch.setattr(exporter, "write_saved_model", write)
    with pytest.raises(RuntimeError, match="no signature 'inbetween_png'"):
        exporter.export(trained, tmp_path / "models" / "pot")
    assert not (tmp_path / "models" / "pot").exists()


def test_the_check_cannot_see_this_project(tmp_path):
    code = (
        "import runpy, sys\n"
        f"hidden = runpy.run_path({str(ROOT / 'export' / 'check.py')!r})['_Hidden']()\n"
        "sys.meta_path.insert(0, hidden)\n"
        "for name in hidden.find_spec.__globals__['FORBIDDEN']:\n"
        "    try:\n"
        "        __import__(name)\n"
        "    except ModuleNotFoundError:\n"
        "        print('hidden', name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("hidden") == 5


def test_the_command_says_in_one_line_what_is_wrong(tmp_path):
    command = [sys.executable, "-m", "export.saved_model", f"--model_dir={tmp_path / 'models'}"]
    result = subprocess.run(
        [*command, f"--run_dir={tmp_path / 'no_run'}"],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.strip().endswith("no run there (flags.txt is missing)")
    assert not (tmp_path / "models").exists()


def test_a_loaded_model_needs_no_custom_code(exported):
    """What the archive holds is a plain SavedModel: no Keras object comes out of it."""
    assert not isinstance(tf.saved_model.load(str(exported / "1")), keras.Model)
