"""Trainings of a `FusionVAE`: resumed, shared by replicas, and refused in one line."""

import numpy as np
import pytest
import tensorflow as tf
from interrupted import final_weights, interrupt_at, weights_of

from tf_inbetween import config_flags, training
from tf_inbetween.config import InputError
from tf_inbetween.models import fusion_vae

FUSION = {"inbetween_decoder": "fusion", "fusion_filters": (4, 8)}


@pytest.fixture
def fusion_config(tiny_config):
    return lambda **overrides: tiny_config(**{**FUSION, **overrides})


@pytest.mark.usefixtures("tiny_data")
@pytest.mark.parametrize(
    ("step", "dropout"), [(3, 0.5), pytest.param(5, 1.0, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_resumes_and_ends_equal(
    fusion_config, tmp_path, monkeypatch, step, dropout
):
    whole = fusion_config(run_dir=str(tmp_path / "whole"), latent_dropout=dropout)
    training.train(whole)
    broken = fusion_config(run_dir=str(tmp_path / "broken"), latent_dropout=dropout)
    interrupt_at(monkeypatch, step)
    with pytest.raises(KeyboardInterrupt):
        training.train(broken)
    assert training.train(broken).step == 6
    expected, actual = final_weights(whole), final_weights(broken)
    assert set(expected) == set(actual)
    for name, value in expected.items():
        np.testing.assert_array_equal(value, actual[name], err_msg=name)
    for one, other in zip(weights_of(whole), weights_of(broken), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_replicas_draw_their_rows_of_what_one_device_draws(fusion_config, monkeypatch, replicas):
    """Row r of the whole batch is of clip r % clips, as `data.batches` lays them out."""
    clips, turns = 4, 3
    model = fusion_vae.FusionVAE.build_from(fusion_config(clips_per_batch=clips))
    seed, own = tf.constant([5, 7]), clips // replicas
    whole = model._uniform(2, clips * turns, seed).numpy()
    np.testing.assert_array_equal(whole, tf.random.stateless_uniform([2, clips * turns], seed))
    monkeypatch.setattr(fusion_vae, "replica_count", lambda: replicas)
    for replica in range(replicas):
        monkeypatch.setattr(fusion_vae, "replica_number", lambda replica=replica: replica)
        rows = [r for r in range(clips * turns) if r % clips // own == replica]
        np.testing.assert_array_equal(model._uniform(2, own * turns, seed), whole[:, rows])


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--model=autoencoder"], "--inbetween_decoder=fusion: needs --model=vae, not "),
        (["--model=acai"], "--inbetween_decoder=fusion: needs --model=vae, not acai"),
        (["--model=pixel_unet"], "--inbetween_decoder=fusion: needs --model=vae, not "),
        (["--inbetween_weight=0"], "--inbetween_weight=0 turns it off"),
        (["--latent_dropout=1.5"], "--latent_dropout=1.5: must be at most 1"),
        (["--latent_dropout=-0.1"], "--latent_dropout=-0.1: must be at least 0"),
        (["--latent_dropout=nan"], "--latent_dropout=nan: must be a finite number"),
        (["--fusion_filters=8,x"], "--fusion_filters=8,x: must be whole numbers"),
        (["--fusion_filters="], "--fusion_filters=: needs positive numbers"),
        (["--fusion_filters=8,0"], "--fusion_filters=8,0: needs positive numbers"),
        (
            ["--fusion_filters=4,4,4,4,4,4,4"],
            "--fusion_filters=4,4,4,4,4,4,4: 7 halvings are too many for 64 pixels",
        ),
        (["--fusion_filters=8,10000000000"], "--fusion_filters=10000000000: must be at most"),
        (["--inbetween_decoder=both"], "--inbetween_decoder"),
    ],
)
def test_flags_of_the_fusion_decoder_that_do_not_fit(flags, line):
    refused(["--inbetween_decoder=fusion", *flags], line)


SPRITES = [
    "--network=sprites",
    "--sprites=2",
    "--latent_dim=8",
    "--crop_size=32",
    "--filters=4,4,8",
]


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--latent_dim=7"], "--latent_dim=7: must be a multiple of --sprites=2"),
        (["--latent_dim=4"], "--latent_dim=4: must be a multiple of --sprites=2, at least three"),
        (["--sprites=0"], "--sprites=0: must be at least 1"),
        (["--crop_size=20"], "--filters=4,4,8: 3 halvings do not divide --crop_size=20"),
        (["--crop_size=4"], "--crop_size=4: must be at least 8"),
        (
            ["--filters=4,4,4,4,4,4"],
            "--filters=4,4,4,4,4,4: 6 halvings do not divide --crop_size=32",
        ),
    ],
)
@pytest.mark.parametrize("decoder", ["latent", "fusion"])
def test_flags_of_layers_that_do_not_fit(flags, line, decoder):
    refused([*SPRITES, f"--inbetween_decoder={decoder}", *flags], line)


def refused(flags, line):
    with pytest.raises(InputError) as caught:
        training.model_class(config_flags.config_of(flags))
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
