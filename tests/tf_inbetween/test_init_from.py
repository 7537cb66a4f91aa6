"""--init_from: a training that begins with the weights of another run."""

import dataclasses
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from interrupted import final_weights, interrupt_at

from frame_io.files import read_json
from tf_inbetween import init_from, run_directory, strategies, training
from tf_inbetween.config import InputError
from tf_inbetween.data import batches

pytestmark = pytest.mark.usefixtures("tiny_data")

FUSION = {"inbetween_decoder": "fusion", "fusion_filters": (4, 8)}


@pytest.fixture
def source(finished, tmp_path):
    """A finished run of two steps, to begin from."""
    return finished(steps=2, run_dir=str(tmp_path / "source"))


@pytest.fixture
def beginning(source, tiny_config):
    """Makes a `Config` that begins from `source`."""
    return lambda **overrides: tiny_config(init_from=source.run_dir, **overrides)


@pytest.fixture
def unsaved(source, tiny_config):
    """Puts a model that was not trained into `source`: the config of another kind of model."""

    def put(**settings):
        config = tiny_config(**{**settings, "run_dir": source.run_dir})
        shutil.rmtree(source.run_dir)
        run_directory.start(config, "float32")
        model = training.build_model(config)
        model.save(Path(source.run_dir) / "model.keras", include_optimizer=False)
        return model

    return put


def taken(config):
    """The new model of a config with its first weights, the other model, and what was said."""
    model = training.build_model(config)
    other, _ = init_from.read(config)
    return model, other, init_from.take_over(model, other, config)


def validated(model, stored, config):
    """What `fit` would validate with the first weights."""
    model.compile()
    data = batches(stored, "validation", config, widen_gaps=False).take(2)
    return model.evaluate(data, verbose=0, return_dict=True)


def assert_close(actual, expected):
    """As equal as means of threads' sums are."""
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-6, err_msg=name)


def assert_equal(actual, expected):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def refused(config):
    """The one line of a training that is refused before it writes anything."""
    with pytest.raises(InputError) as caught:
        training.train(config)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith(f"--init_from={config.init_from}: ")
    assert not Path(config.run_dir).exists()
    return line


def test_a_model_begins_with_the_validation_of_the_other(beginning, stored):
    model, other, said = taken(beginning())
    assert said == f"first weights of encoder, decoder from {beginning().init_from}"
    fresh = training.build_model(beginning())
    actual, expected, others = (
        validated(each, stored, beginning()) for each in (model, other, fresh)
    )
    assert_close(actual, expected)
    assert actual["reconstruction_mse"] != others["reconstruction_mse"]
    assert float(model.scale) == float(other.scale) != float(fresh.scale)


def test_a_run_begins_with_the_best_weights_and_a_new_optimizer(beginning, source, capsys):
    config = beginning(steps=2, learning_rate=0.0)
    assert training.train(config).step == 2
    assert f"first weights of encoder, decoder from {source.run_dir}\n" in capsys.readouterr().out
    actual, expected = (run_directory.load_model(run) for run in (config.run_dir, source.run_dir))
    for name in ("encoder", "decoder"):
        pairs = zip(getattr(actual, name).variables, getattr(expected, name).variables, strict=True)
        for weight, value in pairs:
            np.testing.assert_array_equal(weight, value, err_msg=weight.path)
    assert float(actual.scale) != float(expected.scale)  # It follows the batches as ever.
    assert run_directory.load_config(config.run_dir) == config
    content = (Path(source.run_dir) / "model.keras").read_bytes()
    recorded = read_json(Path(config.run_dir) / "environment.json")["init_sha256"]
    assert recorded == hashlib.sha256(content).hexdigest()


def test_a_model_keras_may_be_named_itself(beginning, source, tmp_path):
    path = tmp_path / "kept.keras"
    shutil.copy(Path(source.run_dir) / "model.keras", path)
    _, _, said = taken(dataclasses.replace(beginning(), init_from=str(path)))
    assert said == f"first weights of encoder, decoder from {path}"


def test_a_fusion_vae_begins_from_the_latent_model(beginning, stored):
    model, other, said = taken(beginning(**FUSION))
    assert said.endswith("; new weights for fusion")
    actual, expected = (validated(each, stored, beginning(**FUSION)) for each in (model, other))
    for name in ("reconstruction_nll", "prior_kl", "matching_kl", "inbetween_nll"):
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(actual["latent_inbetween_mse"], expected["inbetween_mse"], rtol=1e-6)


@pytest.mark.slow
def test_the_fusion_decoder_is_taken_over_too(beginning, unsaved, stored):
    other = unsaved(**FUSION)
    other.save(Path(beginning().init_from) / "model.keras")
    model, other, said = taken(beginning(**FUSION))
    assert said.startswith("first weights of encoder, decoder, fusion from")
    assert_close(*(validated(each, stored, beginning()) for each in (model, other)))
    model, _, said = taken(beginning())
    assert said.startswith("first weights of encoder, decoder from")
    assert type(model).__name__ == "TripletVAE"


def test_a_curve_starts_fresh_where_the_other_has_none(beginning):
    model, _, said = taken(beginning(latent_path="curved"))
    assert said.endswith("; new weights for curve")
    assert not np.any(model.curve.trunk[-1].kernel)


@pytest.mark.slow
def test_a_network_from_pixels_to_pixels_begins_from_another(beginning, unsaved, stored):
    unsaved(model="pixel_unet")
    config = beginning(model="pixel_unet")
    model, other, said = taken(config)
    assert "first weights of unet from" in said
    assert_close(*(validated(each, stored, config) for each in (model, other)))


def test_a_scale_that_a_flag_sets_is_not_taken_over(beginning):
    model, other, _ = taken(beginning(likelihood="normal", normal_scale=0.125))
    assert float(model.scale) == 0.125 != float(other.scale)


# ---- what does not fit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"latent_dim": 5},
            "its encoder does not fit: kernel [16, 3] there, [16, 5] here; it takes --latent_dim=3",
        ),
        (
            {"filters": (4, 4, 8, 16), "dense_units": 8},
            "it takes --filters=4,4,8,8 --dense_units=16",
        ),
        ({"image_size": 128}, "it takes --image_size=64"),
        ({"channels": 1}, "it takes --channels=3"),
        (
            {"network": "sprites"},
            "its encoder does not fit: ConvEncoder there, SpritesEncoder here; it takes "
            "--network=conv",
        ),
        ({"model": "autoencoder"}, "it takes --model=vae"),
        (
            {"model": "pixel_unet"},
            "its TripletVAE shares no network with this run's PixelUNet, which has unet",
        ),
        (
            {"likelihood": "bernoulli"},
            "was trained with --likelihood=calibrated_normal, whose decoder outputs mean "
            "something else than with --likelihood=bernoulli",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_and_nothing_is_written(beginning, settings, line):
    assert line in refused(beginning(**settings))


def test_a_fusion_decoder_must_fit_too(beginning, unsaved):
    unsaved(**FUSION)
    line = refused(beginning(**{**FUSION, "fusion_filters": (4, 4)}))
    assert "its fusion does not fit: " in line
    assert line.endswith("; it takes --fusion_filters=4,8")


def test_without_its_flags_the_shapes_are_told(beginning, source):
    (Path(source.run_dir) / "flags.txt").unlink()
    line = refused(beginning(latent_dim=5))
    assert line.endswith("[16, 3] there, [16, 5] here; it takes the flags that shaped it")


def test_what_does_not_fit_changes_no_weight(beginning):
    config = beginning()
    other, _ = init_from.read(config)
    wrong = dataclasses.replace(config, dense_units=8)
    model = training.build_model(wrong)
    before = [weight.numpy() for weight in model.variables]
    with pytest.raises(InputError):
        init_from.take_over(model, other, wrong)
    for weight, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(weight, value)


# ---- what is not there --------------------------------------------------------------------------


def test_a_run_that_is_not_there(tiny_config, tmp_path):
    assert "no model.keras there" in refused(tiny_config(init_from=str(tmp_path / "nowhere")))
    (tmp_path / "empty").mkdir()
    assert "no model.keras there" in refused(tiny_config(init_from=str(tmp_path / "empty")))
    assert "no a.keras there" in refused(tiny_config(init_from=str(tmp_path / "a.keras")))


@pytest.mark.parametrize("name", ["run", "run/model.keras", "link", "../{}/run"])
def test_a_run_does_not_begin_from_itself(tiny_config, tmp_path, name):
    (tmp_path / "link").symlink_to("run")
    given = str(tmp_path / name.format(tmp_path.name))
    assert "is this run itself" in refused(tiny_config(init_from=given))


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "empty", "large", "loop", "no zip"])
def test_what_is_no_model(beginning, source, kind):
    path = Path(source.run_dir) / "model.keras"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.write_text("[" * 1000 if kind == "no zip" else "")
    if kind == "large":
        os.truncate(path, 2**40)  # It takes no room on the disk.
    refused(beginning())


def test_a_damaged_model(beginning, source):
    path = Path(source.run_dir) / "model.keras"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "model.keras: cannot be loaded: " in refused(beginning())


def test_a_model_that_is_replaced_while_it_is_read(beginning, source, monkeypatch):
    path = Path(source.run_dir) / "model.keras"
    original = run_directory.load_model_file

    def load(run_dir):
        model = original(run_dir)
        shutil.copy(path, path.with_name("beside"))
        os.replace(path.with_name("beside"), path)
        return model

    monkeypatch.setattr(run_directory, "load_model_file", load)
    assert "a training saved a new model.keras during reading" in refused(beginning())


# ---- resuming -----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, pytest.param(FUSION, marks=pytest.mark.slow)])
def test_an_interrupted_run_ends_equal_without_the_other(
    beginning, source, tmp_path, monkeypatch, capsys, settings
):
    whole = beginning(run_dir=str(tmp_path / "whole"), **settings)
    training.train(whole)
    broken = beginning(**settings)
    interrupt_at(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        training.train(broken)
    shutil.rmtree(source.run_dir)
    capsys.readouterr()
    assert training.train(broken).step == 6
    assert "first weights" not in capsys.readouterr().out
    assert_equal(final_weights(broken), final_weights(whole))
    assert training.train(broken).restored_step == 6  # finished, and left alone
    one, other = (run_directory.load_model(config.run_dir) for config in (whole, broken))
    for weight, value in zip(one.variables, other.variables, strict=True):
        np.testing.assert_array_equal(weight, value, err_msg=weight.path)


@pytest.mark.slow
def test_a_run_stopped_before_its_first_checkpoint_begins_again(
    beginning, source, tmp_path, monkeypatch
):
    whole = beginning(run_dir=str(tmp_path / "whole"), steps=2)
    training.train(whole)
    broken = beginning(steps=2)
    interrupt_at(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        training.train(broken)
    path = Path(source.run_dir) / "model.keras"
    content = path.read_bytes()
    model = run_directory.load_model_file(path)
    model.scale.assign(0.5)
    model.save(path)
    with pytest.raises(InputError, match=r"its model\.keras has changed since .*run began"):
        training.train(broken)
    path.unlink()
    with pytest.raises(InputError, match=r"no model\.keras there"):
        training.train(broken)
    path.write_bytes(content)
    assert training.train(broken).step == 2
    assert_equal(final_weights(broken), final_weights(whole))


@pytest.mark.slow
def test_another_source_refuses_to_resume(beginning, tiny_config):
    training.train(beginning(steps=2))
    with pytest.raises(InputError, match=r"--init_from= \(was .*source\)"):
        training.train(tiny_config(steps=2))


# ---- replicas -----------------------------------------------------------------------------------


def test_workers_that_read_different_models(beginning, monkeypatch):
    answers = iter([[1, 1], [0, 0], [5, 7]])
    monkeypatch.setattr(strategies, "_of_all_workers", lambda *_: next(answers))
    with pytest.raises(InputError, match="the workers read different models; it must be the same"):
        strategies.check_agreement(None, beginning(), 0, "5a")


def test_workers_name_the_folder_as_they_see_it(beginning, monkeypatch):
    seen = []
    monkeypatch.setattr(
        strategies, "_of_all_workers", lambda _, number: seen.append(number) or [number]
    )
    for folder in ("/a/source", "/b/source"):
        strategies.check_agreement(None, dataclasses.replace(beginning(), init_from=folder), 0, "5")
    strategies.check_agreement(None, dataclasses.replace(beginning(), init_from=""), 0)
    assert seen[0] == seen[3] != seen[6]
    assert seen[2] == seen[5] != seen[8]
