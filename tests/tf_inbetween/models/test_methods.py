"""What the VAE is compared with, and the curve: what is particular to each."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from interrupted import interrupt_at

from export import saved_model
from frame_io.files import read_checked_json
from tf_inbetween import (
    config_flags,
    drawing,
    run_directory,
    training,
)
from tf_inbetween.config import InputError
from tf_inbetween.evaluation import baselines
from tf_inbetween.evaluation.run import evaluate
from tf_inbetween.networks.curve import Curve

T = tf.constant([0.25, 0.5, 0.9])


def batch_for(config, frames=6):
    rng = np.random.default_rng(0)
    shape = (frames, config.image_size, config.image_size, config.channels)
    return {
        "frames": tf.constant(rng.integers(0, 256, size=shape, dtype=np.uint8)),
        "triplets": tf.constant([[0, 1, 2], [1, 3, 5], [0, 2, 4], [3, 4, 5]], tf.int32),
        "t": tf.constant([0.5, 0.5, 0.5, 0.2]),
    }


def floats(count=3):
    return np.random.default_rng(1).uniform(size=(count, 64, 64, 3)).astype(np.float32)


def gradients_of(model, batch, weights):
    with tf.GradientTape() as tape:
        loss, _ = model.loss_and_terms(batch, model.call(batch), True)
    return tape.gradient(loss, weights)


def bent(curve):
    """The curve with weights as if it had been trained."""
    rng = np.random.default_rng(2)
    for weight in curve.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    return curve


@pytest.mark.parametrize("model", ["vae", "pixel_unet"])
def test_times_are_not_rounded_to_bfloat16(tiny_config, model):
    """It has 8 bits: 0.2 would be 0.2002."""
    model = training.build_model(tiny_config(model=model, precision="mixed_bfloat16"))
    seen = []
    model.call = lambda batch, training=False: seen.append(batch["t"]) or batch["t"]
    model(batch_for(tiny_config()))
    assert seen[0].dtype == tf.float32
    assert seen[0][3] == np.float32(0.2)


# ---- the curve ----------------------------------------------------------------------------------


@pytest.fixture(params=[1, 3])
def curve(request):
    curve = Curve(3, 8, layers=request.param)
    curve.build()
    return bent(curve)


def latents(count=3):
    return tf.unstack(tf.constant(np.random.default_rng(3).normal(size=(2, count, 3)), tf.float32))


def test_the_curve_starts_as_the_chord_and_learns_from_the_first_step(tiny_config):
    """With the same seed the other weights are the same, so the frames are, to the bit."""
    models = []
    for path in ("straight", "curved"):
        keras.utils.set_random_seed(0)
        models.append(training.build_model(tiny_config(path=path)))
    straight, curved = models
    assert straight.curve is None
    first, second, _ = floats()
    times = np.linspace(0, 1, 5, dtype=np.float32)
    np.testing.assert_array_equal(
        straight.path(first, second, times), curved.path(first, second, times)
    )
    last = curved.curve.trunk[-1].trainable_variables
    for gradient in gradients_of(curved, batch_for(tiny_config()), last):
        assert np.any(gradient != 0)


def test_the_ends_of_a_curve_are_exact_and_between_them_it_is_off_the_chord(curve):
    z0, z2 = latents()
    for t in (0.0, 1.0):
        np.testing.assert_array_equal(curve(z0, z2, tf.fill([3], t)), np.zeros([3, 3]))
    assert np.all(np.abs(curve(z0, z2, T)) > 1e-6)


def test_the_way_back_is_the_way_there(curve):
    z0, z2 = latents()
    np.testing.assert_allclose(curve(z0, z2, T), curve(z2, z0, 1 - T), rtol=1e-5)


def test_each_layer_has_a_way_of_its_own():
    curve = Curve(6, 8, layers=2)
    curve.build()
    bent(curve)
    z0, z2 = (tf.ones([1, 6]) * x for x in (0.2, 0.7))
    moved = z2 + tf.constant([[0, 0, 0, 0, 0, 0.1]])
    t = tf.fill([1], 0.5)
    np.testing.assert_array_equal(curve(z0, z2, t)[:, :3], curve(z0, moved, t)[:, :3])
    assert np.all(curve(z0, z2, t)[:, 3:] != curve(z0, moved, t)[:, 3:])
    assert np.all(curve(z0, z2, t)[:, :3] != curve(z0, z2, t)[:, 3:])  # It sees which one it is.


def test_many_times_of_a_pair_are_as_one_after_another(curve):
    z0, z2 = latents()
    many = curve(z0[:, None], z2[:, None], tf.tile(T[None], [3, 1]))
    for k in range(3):
        np.testing.assert_allclose(many[:, k], curve(z0, z2, tf.fill([3], T[k])), rtol=1e-5)


def test_matching_and_chord_deviation_are_asked_of_the_curve(tiny_config):
    """Where q1 lies on the curve, and is as wide as both ends on average, there is nothing left."""
    model = training.build_model(tiny_config(latent_path="curved"))
    bent(model.curve)
    batch = {**batch_for(tiny_config()), "triplets": tf.constant([[0, 1, 2]]), "t": T[:1]}
    outputs = model.call(batch)
    z0, z2 = tf.constant([[0.1, -2.0, 1.0]]), tf.constant([[1.0, 0.5, -0.7]])
    mean = tf.concat([z0, model.interpolate_latents(z0, z2, T[:1]), z2, tf.zeros([3, 3])], axis=0)
    ours = {**outputs, "mean": mean, "stddev": tf.fill([6, 3], 0.5)}
    _, shown = model.loss_and_terms(batch, ours, False)
    np.testing.assert_allclose(shown["matching_kl"], 0, atol=1e-5)
    np.testing.assert_allclose(shown["chord_deviation"], 0, atol=1e-5)


def test_key_frames_are_joined_by_the_curve_and_by_no_spline(tiny_config):
    model = training.build_model(tiny_config(latent_path="curved"))
    bent(model.curve)
    keys = floats()
    drawn = np.stack(list(drawing.draw_through(model, keys, 2, show="none")))
    expected = [drawing.draw(model, a, b, 2) for a, b in ((keys[0], keys[1]), (keys[1], keys[2]))]
    np.testing.assert_allclose(drawn, np.concatenate(expected), atol=1e-5)
    with pytest.raises(InputError, match="--keyframe_path=spline: this model has a curve of its"):
        next(drawing.draw_through(model, keys, 2, "spline"))


def test_a_curve_needs_the_likelihood_that_it_learns_from(tiny_config):
    with pytest.raises(InputError, match="--latent_path=curved: is learned from the in-between"):
        tiny_config(latent_path="curved", inbetween_weight=0.0)


def test_models_and_runs_of_before_there_was_a_curve_still_load(tiny_config, tmp_path):
    config = tiny_config()
    model = training.build_model(config)
    run_dir = run_directory.start(config, "float32")
    model.save(tmp_path / "new.keras", include_optimizer=False)
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(run_dir / "model.keras", "w") as old,
    ):
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                settings = json.loads(content)
                assert settings["config"].pop("curve") is None
                assert settings["config"]["encoder"]["config"].pop("deterministic") is False
                content = json.dumps(settings)
            old.writestr(name, content)
    loaded = run_directory.load_model(run_dir)
    assert loaded.curve is None
    first, second, _ = floats()
    np.testing.assert_array_equal(loaded.path(first, second, T), model.path(first, second, T))

    flags = (run_dir / "flags.txt").read_text().splitlines(keepends=True)
    added = ("--model=", "--latent_path=", "--critic_weight=")
    (run_dir / "flags.txt").write_text("".join(f for f in flags if not f.startswith(added)))
    assert run_directory.load_config(run_dir) == config


@pytest.mark.slow
def test_an_exported_curve_draws_as_the_keras_model_does(tiny_config, tiny_data, tmp_path):
    """The export compares every signature with the Keras model, and refuses any difference."""
    config = tiny_config(latent_path="curved")
    training.train(config)
    path = tmp_path / "run" / "model.keras"
    model = run_directory.load_model(config.run_dir)
    bent(model.curve)
    model.save(path)
    exported = saved_model.export(config.run_dir, tmp_path / "models" / "tiny")
    served = tf.saved_model.load(str(exported)).signatures["sequence"]
    first, second, _ = floats()
    frames = served(first=first[None], second=second[None], t=T[None])["frames"][0]
    np.testing.assert_allclose(frames, model.path(first, second, T), atol=1e-5)
    straight = run_directory.load_model(config.run_dir)
    straight.curve = None
    assert np.abs(frames - straight.path(first, second, T)).max() > 1e-4


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
        ({"network": "layers"}, "--network=layers: --model=pixel_unet has no latents"),
        ({"inbetween_weight": 0.0}, "--inbetween_weight=0: --model=pixel_unet learns from"),
    ],
)
def test_what_does_not_go_with_pixels(tiny_config, setting, message):
    with pytest.raises(InputError, match=message):
        training.build_model(tiny_config(model="pixel_unet", **setting))


def test_the_unet_costs_about_what_the_vae_does():
    """Multiplications of a step of `teapot.flags`, forward, from the shapes in the graph."""
    config = config_flags.config_of(["--flagfile=teapot.flags", "--model=pixel_unet"])
    unet = training.build_model(config)
    vae = training.build_model(config_flags.config_of(["--flagfile=teapot.flags"]))
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
        assert saved_model.export(whole.run_dir, tmp_path / "models" / "tiny").is_dir()
    else:
        with pytest.raises(InputError, match="--model=pixel_unet has no latents"):
            saved_model.export(whole.run_dir, tmp_path / "models" / "tiny")
