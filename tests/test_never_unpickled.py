"""Nothing that is read can run: no pickles, no eval, no YAML objects, no unsafe Keras files."""

import ast
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("frame_io", "tf_inbetween", "data_gen", "export", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "torch.load",
    "pandas.read_pickle",
    "keras.config.enable_unsafe_deserialization",
    "enable_unsafe_deserialization",
}
SWITCHES = {"allow_pickle": True, "safe_mode": False, "shell": True, "weights_only": False}


def faults(source):
    """What in a program's text could run what it reads: [(line, what)]."""
    uses = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        uses += [(node.lineno, name) for name in names if name.partition(".")[0] in MODULES]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in CALLS:
                uses.append((node.lineno, called))
            for keyword in node.keywords:
                value = getattr(keyword.value, "value", None)
                if keyword.arg in SWITCHES and value is not (not SWITCHES[keyword.arg]):
                    uses.append((node.lineno, f"{keyword.arg}={ast.unparse(keyword.value)}"))
    return uses


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_can_run(path):
    assert faults(path.read_text()) == []


def test_every_keras_file_is_loaded_in_safe_mode():
    loads = [
        (path, node)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("saving.load_model")
    ]
    assert loads
    for path, node in loads:
        switches = {keyword.arg: keyword.value.value for keyword in node.keywords}
        assert switches.get("safe_mode", True) is True, f"{path}:{node.lineno}"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "eval(text)",
        "yaml.load(text)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "keras.saving.load_model(path, safe_mode=False)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_what_can_run_is_found(source):
    assert faults(source)


def test_numpy_loads_no_objects(tmp_path):
    np.save(tmp_path / "a.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        np.load(tmp_path / "a.npy")
