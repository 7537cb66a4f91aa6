"""What the VAE is compared with: what is particular to each."""

import numpy as np
import pytest
import tensorflow as tf
from interrupted import interrupt_at
from model_inputs import T, batch_for, floats, gradients_of

from export import exporter
from frame_io.files import read_checked_json
from tf_inbetween import config_flags, drawing, run_directory, training
from tf_inbetween.config import InputError
from tf_inbetween.evaluation import baselines
from tf_inbetween.evaluation.run import evaluate


@pytest.mark.parametrize("model", ["vae", "pixel_unet"])
def test_times_are_not_rounded_to_bfloat16(tiny_config, model):
    """It has 8 bits: 0.2 would be 0.2002."""
    model = training.build_model(tiny_config(model=model, precision="mixed_bfloat16"))
    seen = []
    model.call = lambda batch, training=False: seen.append(batch["t"]) or batch["t"]
    model(batch_for(tiny_config()))
    assert seen[0].dtype == tf.float32
    assert seen[0][3] == np.float32(0.2)


# ---- autoencoders -------------------------------------------------------------------------------


def test_latents_of_an_autoencoder_are_points(tiny_config):
    model = training.build_model(tiny_config(model="autoencoder"))
    frames = floats()
    assert not np.any(model.encode(frames).stddev())
    drawn = model.sample_inbetween(frames, frames[::-1], T, tf.zeros([3, 2], tf.int32))
    np.testing.assert_allclose(drawn, model.inbetween(frames, frames[::-1], T), atol=1e-6)
    names = [weight.path for weight in model.trainable_variables]
    assert not any("stddev" in name for name in names)


def test_the_loss_of_an_autoencoder_is_its_squared_errors(tiny_config):
    config = tiny_config(model="autoencoder", inbetween_weight=2.0, alpha=100.0)
    model = training.build_model(config)
    data = tf.data.Dataset.from_tensors(batch_for(config))
    logs = model.evaluate(data, verbose=0, return_dict=True)
    expected = 64 * 64 * 3 * (3 * logs["reconstruction_mse"] + 2 * logs["inbetween_mse"])
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_the_critic_and_the_autoencoder_each_learn_from_their_own_terms(tiny_config):
    """The critic from its error alone, whatever its weight; the autoencoder not from that."""
    config = tiny_config(model="acai", critic_weight=0.5)
    model = training.build_model(config)
    batch = batch_for(config)
    critic = model.critic.trainable_variables
    own = model.encoder.trainable_variables + model.decoder.trainable_variables
    gradients = {}
    for weight in (0.0, 0.5):
        model.critic_weight = weight
        gradients[weight] = [gradients_of(model, batch, weights) for weights in (critic, own)]
    for one, other in zip(gradients[0.0][0], gradients[0.5][0], strict=True):
        assert np.any(one != 0)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    assert any(
        np.any(one != other)
        for one, other in zip(gradients[0.0][1], gradients[0.5][1], strict=True)
    )

    plain = training.build_model(tiny_config(model="autoencoder"))
    plain.encoder.set_weights(model.encoder.get_weights())
    plain.decoder.set_weights(model.decoder.get_weights())
    weights = plain.encoder.trainable_variables + plain.decoder.trainable_variables
    expected = gradients_of(plain, batch, weights)
    for one, other in zip(gradients[0.0][1], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_acai_by_its_equations(tiny_config):
    """The terms, from the frames that `call` returned, one by one."""
    config = tiny_config(model="acai", critic_weight=2.0, inbetween_weight=0.0)
    model = training.build_model(config)
    batch = batch_for(config)
    outputs = model.call(batch)
    mixed = outputs["mixed"].numpy()
    assert np.all((mixed >= 0) & (mixed <= 0.5))
    assert len(set(mixed)) == 6
    loss, shown = model.loss_and_terms(batch, outputs, False)
    real, drawn = batch["frames"].numpy() / 255.0, outputs["outputs"].numpy()
    says = model.critic(outputs["mixed_outputs"]).numpy()
    blended = model.critic(0.2 * real + 0.8 * drawn).numpy()
    np.testing.assert_allclose(
        shown["critic_error"], np.mean((says - mixed) ** 2) + np.mean(blended**2), rtol=1e-4
    )
    np.testing.assert_allclose(shown["adversarial_loss"], np.mean(says**2), rtol=1e-4)
    error = np.mean((real - drawn) ** 2) + 2.0 * np.mean(says**2)
    expected = 64 * 64 * 3 * (3 * error + shown["critic_error"])
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


# ---- the pixel method ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"latent_path": "curved"}, "--latent_path=curved: --model=pixel_unet has no latents"),
        ({"network": "sprites"}, "--network=sprites: --model=pixel_unet has no latents"),
        ({"inbetween_weight": 0.0}, "--inbetween_weight=0: --model=pixel_unet learns from"),
    ],
)
def test_what_does_not_go_with_pixels(tiny_config, setting, message):
    with pytest.raises(InputError, match=message):
        training.build_model(tiny_config(model="pixel_unet", **setting))


def test_the_unet_costs_about_what_the_vae_does():
    """Multiplications of a step on the turn, forward, from the shapes in the graph."""
    config = config_flags.config_of(["--flagfile=flags/study/teapot.flags", "--model=pixel_unet"])
    unet = training.build_model(config)
    vae = training.build_model(config_flags.config_of(["--flagfile=flags/study/teapot.flags"]))
    frames = (config.frames_per_clip, 64, 64)
    pixel = multiplications(unet.unet, (*frames, 7))
    latent = multiplications(vae.encoder, (*frames, 3)) + multiplications(
        vae.decoder, (config.frames_per_clip + config.inbetweens_per_clip, config.latent_dim)
    )
    assert 0.8 < pixel / latent < 1.25
    assert 0.5 < unet.count_params() / vae.count_params() < 1.25


def multiplications(network, shape):
    """Of the convolutions and dense layers, in the graph of a batch of `shape`."""
    graph = tf.function(network).get_concrete_function(tf.TensorSpec(shape)).graph
    total = 0
    for op in graph.get_operations():
        if op.type == "Conv2D":
            total += op.outputs[0].shape.num_elements() * np.prod(op.inputs[1].shape[:3])
        elif op.type == "Conv2DBackpropInput":  # a transposed convolution
            total += op.inputs[2].shape.num_elements() * np.prod(op.inputs[1].shape[:3])
        elif op.type == "MatMul":
            total += op.outputs[0].shape.num_elements() * op.inputs[0].shape[1]
    return int(total)


def test_the_unet_sees_both_frames_and_the_time(tiny_config):
    model = training.build_model(tiny_config(model="pixel_unet"))
    a, b = floats(2)[:, None]
    drawn = model.inbetween(a, b, [0.5]).numpy()
    for other in ((b, b, [0.5]), (a, a, [0.5]), (a, b, [0.25])):
        assert np.abs(model.inbetween(*other) - drawn).max() > 1e-4


def test_key_frames_are_joined_pair_by_pair(tiny_config):
    model = training.build_model(tiny_config(model="pixel_unet"))
    keys = floats()
    drawn = np.stack(list(drawing.draw_through(model, keys, 2)))
    np.testing.assert_array_equal(drawn[::3], keys)
    np.testing.assert_allclose(drawn[1:3], drawing.draw(model, *keys[:2], 2), atol=1e-6)
    between = list(drawing.draw_through(model, keys, 2, show="none"))
    np.testing.assert_array_equal(between, np.delete(drawn, np.s_[::3], axis=0))
    with pytest.raises(InputError, match="--keyframe_path=spline: this model has no latents"):
        next(drawing.draw_through(model, keys, 2, "spline"))
    with pytest.raises(InputError, match="--redraw: this model has no latents"):
        next(drawing.draw_through(model, keys, 2, show="drawn"))


# ---- whole commands -----------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [{"model": "acai"}, {"model": "pixel_unet"}])
def test_several_replicas_are_refused(tiny_config, tiny_data, tmp_path, setting):
    with pytest.raises(InputError, match="trains on a single device; --strategy=single"):
        training.train(tiny_config(**setting), strategy=tf.distribute.MirroredStrategy(["CPU:0"]))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        {"model": "autoencoder"},
        {"model": "acai"},
        {"model": "pixel_unet"},
        {"latent_path": "curved"},
    ],
)
def test_a_run_is_resumed_evaluated_and_exported_or_says_why_not(
    tiny_config, tiny_data, tmp_path, monkeypatch, setting
):
    monkeypatch.setattr(baselines, "available", lambda: {"crossfade": baselines.crossfade})
    latent, vae = setting.get("model") != "pixel_unet", "latent_path" in setting
    whole = tiny_config(run_dir=str(tmp_path / "whole"), **setting)
    broken = tiny_config(run_dir=str(tmp_path / "broken"), **setting)
    training.train(whole)
    interrupt_at(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        training.train(broken)
    training.train(broken)
    ends = [run_directory.load_model(config.run_dir) for config in (whole, broken)]
    for one, other in zip(*(model.variables for model in ends), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)

    result = evaluate(whole.run_dir, pairs=2)
    assert result == read_checked_json(tmp_path / "whole" / "metrics.json")
    for row in result["inbetween"]:
        assert all(np.isfinite(value) for value in row["methods"]["latent"].values())
    assert np.isfinite(result["path"]["smoothness"])
    for row in result["reconstruction"].values():
        assert set(row) == {"mse", "psnr", "ssim", "detail", "elbo"}
        assert (row["mse"] is not None) == latent
        assert (row["elbo"] is not None) == vae
    assert (result["loss"]["alpha"] is not None) == vae
    pictures = {path.name for path in (tmp_path / "whole" / "figures").glob("*.png")}
    assert {"inbetween.png", "path.png", "error_by_gap.png", "first.png"} <= pictures
    assert ({"reconstruction.png", "latent_pca.png"} <= pictures) == latent
    if latent:
        assert exporter.export(whole.run_dir, tmp_path / "models" / "tiny").is_dir()
    else:
        with pytest.raises(InputError, match="--model=pixel_unet has no latents"):
            exporter.export(whole.run_dir, tmp_path / "models" / "tiny")
