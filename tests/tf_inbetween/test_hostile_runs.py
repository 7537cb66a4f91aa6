"""Flags and run directories that a stranger made: one line, in bounded memory, and nothing runs."""

import io
import json
import os
import zipfile

import h5py
import keras
import pytest
from hostile_files import QUICK
from hypothesis import given, settings
from hypothesis import strategies as st

from frame_io import files
from tf_inbetween import config_flags, run_directory
from tf_inbetween.config import Config, InputError
from tf_inbetween.evaluation import comparison as compare
from tf_inbetween.kinds import KINDS
from tf_inbetween.models import TripletVAE

LONG = settings(QUICK, max_examples=2500, derandomize=False, print_blob=True)

VALUES = (
    st.text(max_size=20)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(
        ["", "True", "9" * 5000, "1e999", "nan", "-1", "../x", "a\nb", "\udcff", "\0"]
    )
)
FLAGS = st.sampled_from([field for field in Config.__dataclass_fields__])


def one_line(error):
    text = str(error.value if hasattr(error, "value") else error)
    assert text
    assert len(text.splitlines()) == 1
    return text


def check_flags(given_flags):
    try:
        config = config_flags.config_of([f"--{name}={value}" for name, value in given_flags])
    except InputError as error:
        one_line(error)
    else:
        assert isinstance(config, Config)


@QUICK
@given(given_flags=st.lists(st.tuples(FLAGS | st.text(max_size=5), VALUES), max_size=4))
def test_any_flags_are_a_config_or_one_line(given_flags):
    check_flags(given_flags)


@pytest.mark.slow
@LONG
@given(given_flags=st.lists(st.tuples(FLAGS | st.text(max_size=5), VALUES), max_size=4))
def test_many_flags_are_a_config_or_one_line(given_flags):
    check_flags(given_flags)


@QUICK
@given(content=st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_flag_file_is_a_config_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.flags"
    path.write_bytes(content)
    check_flags([("flagfile", path)])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dense_units", 10**12, "--dense_units=1000000000000: must be at most 1000000000"),
        ("filters", (32, 10**12), "--filters=1000000000000: must be at most 1000000000"),
        ("run_dir", "runs/a\n--alpha=9", "must be one line of Unicode text"),
        ("data_dir", "data\udcff", r"--data_dir='data\\udcff': must be one line of Unicode text"),
        ("scene", "a\0b", "must be one line of Unicode text"),
    ],
)
def test_what_flags_txt_could_not_hold_is_refused(name, value, message):
    with pytest.raises(InputError, match=message) as error:
        Config(**{name: value})
    one_line(error)


def test_names_of_folders_may_be_of_any_script():
    for name in ("żółw", "新しい\u3000フォルダ", "a b", "n\u00a0b"):
        assert Config(run_dir=name).run_dir == name


# --- run directories -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tiny_settings, tmp_path_factory):
    """The files of a run with a model that was never trained: {name: bytes}."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    config = Config(run_dir=str(folder), **tiny_settings)
    run_directory.start(config, "float32")
    TripletVAE.build_from(config).save(folder / "model.keras")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def run(whole, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name, content in whole.items():
        (folder / name).write_bytes(content)
    return folder


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["format", "split", "inbetween", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@QUICK
@given(
    name=st.sampled_from(["flags.txt", "environment.json"]),
    content=st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()),
    kept=st.integers(0, 2000),
)
def test_any_text_in_a_run_directory_is_one_line(whole, tmp_path_factory, name, content, kept):
    folder = tmp_path_factory.getbasetemp() / "any_run"
    folder.mkdir(exist_ok=True)
    for other, usual in whole.items():
        (folder / other).write_bytes(usual)
    (folder / name).write_bytes(whole[name][:kept] + content)
    try:
        assert isinstance(run_directory.load_config(folder), Config)
    except InputError as error:
        one_line(error)


@pytest.mark.parametrize("name", ["flags.txt", "environment.json", "model.keras"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "empty", "deep", "large"])
def test_what_is_no_file_of_a_run(run, name, kind):
    (run / name).unlink()
    if kind == "folder":
        (run / name).mkdir()
    elif kind == "pipe":
        os.mkfifo(run / name)
    elif kind == "device":
        (run / name).symlink_to("/dev/zero")
    else:
        (run / name).write_text("[" * 100_000 if kind == "deep" else "")
    if kind == "large":
        os.truncate(run / name, 2**40)  # It takes no room on the disk.
    read = run_directory.load_model if name == "model.keras" else run_directory.load_config
    with pytest.raises(InputError) as error:
        read(run)
    assert name in one_line(error)


ROW = {
    "gap": 12,
    "gap_label": "60°",
    "t": 0.5,
    "pairs": 4,
    "methods": {"latent": {"mse": 0.1, "timing_error": 1.0, "hit_rate": 0.5}},
}
METRICS = {"split": "test", "reconstruction": {"test": {"mse": 0.1}}, "inbetween": [ROW]}


def places(tree, path=()):
    yield path
    if isinstance(tree, (dict, list)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(value, (*path, key))


def replaced(tree, path, value):
    if not path:
        return value
    tree = json.loads(json.dumps(tree))
    inner = tree
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return tree


@QUICK
@given(path=st.sampled_from(list(places(METRICS))), value=JSON | st.just(10**400))
def test_any_metrics_are_compared_or_one_line(tmp_path_factory, path, value):
    folder = tmp_path_factory.getbasetemp()
    content = replaced(METRICS, path, value)
    if isinstance(content, dict):  # Or every case would end at the checksum.
        content = {**content, "sha256": files._sha256(content)}
    (folder / "metrics.json").write_text(json.dumps(content))
    try:
        kind = KINDS["pictures"]
        metrics = compare._metrics(folder, "test", kind)
        compare._check_same_rows([folder], [metrics], kind)
        table = compare.markdown_table({"a": metrics}, ["60°"])
    except InputError as error:
        one_line(error)
    else:
        assert "\n| 60° | " in table


# --- model.keras -----------------------------------------------------------------------------


def rewritten(folder, config=None, weights=None, compression=zipfile.ZIP_STORED):
    """Puts another configuration (a function of the usual one) or weights into model.keras."""
    path = folder / "model.keras"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if config is not None:
        parts["config.json"] = config(json.loads(parts["config.json"]))
    if weights is not None:
        parts["model.weights.h5"] = weights(parts["model.weights.h5"])
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def with_encoder(**encoder):
    def change(config):
        config["config"]["encoder"] = {"config": {}, "registered_name": None, **encoder}
        return json.dumps(config)

    return change


def with_hidden(units):
    def change(config):
        for network in ("encoder", "decoder"):
            config["config"][network]["config"]["dense_units"] = units
        return json.dumps(config)

    return change


def a_lambda():
    return keras.saving.serialize_keras_object(keras.layers.Lambda(lambda x: x))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (with_encoder(module="os", class_name="system", config="touch ran"), "cannot be loaded"),
        (
            with_encoder(
                module="subprocess", class_name="Popen", config={"args": ["touch", "ran"]}
            ),
            "cannot be loaded",
        ),
        (with_encoder(module="builtins", class_name="eval", config="1"), "cannot be loaded"),
        (
            with_encoder(
                module="keras.utils", class_name="get_file", config={"fname": "a", "origin": "b"}
            ),
            "not a modeling function",
        ),
        (with_encoder(module="unheard_of", class_name="Layer"), "cannot be loaded"),
        (lambda _: with_encoder(**a_lambda())(_), "`Lambda` layer"),
        (lambda _: json.dumps(a_lambda()), "`Lambda` layer"),
        (
            with_encoder(module="keras.layers", class_name="Dense", config={"units": 3}),
            "it is not a complete tf_inbetween model",
        ),
        (with_hidden(10**8), r"its networks have [\d,]+ weights, more than the file can hold"),
        (lambda _: "[" * 100_000, "recursion"),
        (lambda _: "[1, 2]", "cannot be loaded"),
        (lambda _: "", "cannot be loaded"),
    ],
)
def test_a_model_that_would_run_or_unfold_is_refused(run, config, message, monkeypatch):
    monkeypatch.chdir(run)
    rewritten(run, config)
    before = sorted(os.listdir(run))
    with pytest.raises(InputError, match=message) as error:
        run_directory.load_model(run)
    assert "model.keras" in one_line(error)
    assert sorted(os.listdir(run)) == before


@pytest.mark.parametrize("part", ["config", "weights"])
def test_a_zip_bomb_is_refused_before_it_unfolds(run, part):
    rewritten(run, **{part: lambda _: bytes(2**25)}, compression=zipfile.ZIP_DEFLATED)
    assert (run / "model.keras").stat().st_size < 2**18
    with pytest.raises(InputError, match=r"it would unpack to 33,[\d,]+ bytes"):
        run_directory.load_model(run)


@pytest.mark.parametrize("kind", ["external file", "external link", "large", "dangling"])
def test_weights_that_lie_elsewhere_are_refused(run, kind, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(10_000))

    def change(content):
        buffer = io.BytesIO(content)
        with h5py.File(buffer, "r+") as file:
            name = "decoder/layers/conv2d_transpose/vars/0"
            shape = file[name].shape
            del file[name]
            if kind == "external file":
                place = [(str(tmp_path / "secret"), 0, 10_000)]
                file.create_dataset(name, shape=shape, dtype="f4", external=place)
            elif kind == "external link":
                file[name] = h5py.ExternalLink(str(tmp_path / "secret"), "/x")
            elif kind == "dangling":
                file[name] = h5py.SoftLink("/nowhere")
            else:
                file.create_dataset(
                    name, (2**20, 2**14), "f4", chunks=(1, 2**14), compression="gzip"
                )
        return buffer.getvalue()

    rewritten(run, weights=change)
    with pytest.raises(InputError, match="could not be loaded") as error:
        run_directory.load_model(run)
    one_line(error)


def test_the_model_that_was_saved_loads(run):
    rewritten(run, with_hidden(16))
    assert isinstance(run_directory.load_model(run), TripletVAE)
