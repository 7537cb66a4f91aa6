"""LiteRT and ONNX files answer as the Keras model does."""

import sys

import numpy as np
import pytest

from export import exporter, litert_onnx
from tf_inbetween.config import InputError


def test_a_difference_is_an_error_that_names_the_signature():
    cases = [("decode", {"latent": np.ones(2)}, {"image": np.array([1.0, 100.0])})]

    def off_by(difference):
        return lambda name, inputs: {"image": np.array([1.0, 100.0 + difference])}

    assert litert_onnx.compare(off_by(0.005), cases, "decode") == pytest.approx(5e-5)
    for difference in (0.02, np.nan):
        with pytest.raises(RuntimeError, match="decode: image differs by"):
            litert_onnx.compare(off_by(difference), cases, "decode")


@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_without_the_extra_one_line_says_how_to_get_it(name, tmp_path, monkeypatch):
    for package in ("ai_edge_litert", "ai_edge_litert.interpreter", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"pip install 'tf_inbetween\[{name}\]'"):
        litert_onnx.__dict__[name](tmp_path, [], tmp_path, "pot")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("name", "package"), [("litert", "ai_edge_litert"), ("onnx", "tf2onnx")])
@pytest.mark.parametrize("run", ["trained", "fusion_run"])
def test_a_model_is_converted_and_compared(name, package, run, request, tmp_path):
    pytest.importorskip(package, reason=f"pip install -e '.[{name}]'")
    model_dir = tmp_path / "pot"
    paths = exporter.convert(request.getfixturevalue(run), model_dir, name)
    signatures = ["decode", "encode", "inbetween", "sequence"]
    if run == "fusion_run":
        signatures.insert(3, "mask")
    onnx = [f"pot.{signature}.onnx" for signature in signatures]
    files = ["pot.tflite"] if name == "litert" else onnx
    assert [path.name for path in paths] == files
    assert sorted(path.name for path in model_dir.iterdir()) == files
