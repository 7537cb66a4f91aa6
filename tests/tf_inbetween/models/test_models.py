"""One table of models, each run through every behaviour."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_inbetween import networks, training
from tf_inbetween.config import InputError
from tf_inbetween.models import LatentModel, TripletVAE, ops

SPRITES = {"network": "sprites", "sprites": 2, "crop_size": 16, "latent_dim": 8}
FUSION = {"inbetween_decoder": "fusion", "fusion_filters": (4, 4, 4, 4)}
MODELS = {
    "default": {},
    "paper": {"inbetween_weight": 0.0, "alpha": 5.0},
    "plain_vae": {"inbetween_weight": 0.0, "alpha": 0.0},
    "bernoulli": {"likelihood": "bernoulli"},
    "normal": {"likelihood": "normal"},
    "mixture": {"matching": "mixture"},
    "upper_bound": {"matching": "upper_bound"},
    "mean_latent": {"matching": "mean_latent"},
    "moment_matched": {"matching": "moment_matched"},
    "grey": {"channels": 1},
    "large": {"image_size": 128, "filters": (4, 4, 4, 4, 8)},
    "bfloat16": {"precision": "mixed_bfloat16"},
    "curved": {"latent_path": "curved"},
    "curved_bfloat16": {"latent_path": "curved", "precision": "mixed_bfloat16"},
    "autoencoder": {"model": "autoencoder", "inbetween_weight": 0.0},
    "acai": {"model": "acai"},
    "acai_bernoulli": {"model": "acai", "likelihood": "bernoulli"},
    "acai_bfloat16": {"model": "acai", "precision": "mixed_bfloat16"},
    "fusion": FUSION,
    "fusion_bfloat16": {**FUSION, "precision": "mixed_bfloat16"},
    "sprites": SPRITES,
    "sprites_fusion_bfloat16": {**SPRITES, **FUSION, "precision": "mixed_bfloat16"},
    "pixel_unet": {"model": "pixel_unet"},
    "pixel_unet_grey": {"model": "pixel_unet", "channels": 1, "likelihood": "bernoulli"},
    "pixel_unet_bfloat16": {"model": "pixel_unet", "precision": "mixed_bfloat16"},
}
SLOW = (
    "upper_bound",
    "mean_latent",
    "moment_matched",
    "curved_bfloat16",
    "autoencoder",
    "acai_bernoulli",
    "acai_bfloat16",
    "fusion_bfloat16",
    "sprites",
    "pixel_unet_grey",
    "pixel_unet_bfloat16",
)
SHOWN = {
    "TripletVAE": {
        "reconstruction_nll",
        "prior_kl",
        "matching_kl",
        "inbetween_nll",
        "reconstruction_mse",
        "inbetween_mse",
        "chord_deviation",
        "alpha",
    },
    "FusionVAE": {
        "reconstruction_nll",
        "prior_kl",
        "matching_kl",
        "inbetween_nll",
        "fusion_nll",
        "reconstruction_mse",
        "inbetween_mse",
        "latent_inbetween_mse",
        "drawn_share",
        "chord_deviation",
        "alpha",
    },
    "Autoencoder": {"reconstruction_nll", "inbetween_nll", "reconstruction_mse", "inbetween_mse"},
    "ACAI": {
        "reconstruction_nll",
        "inbetween_nll",
        "reconstruction_mse",
        "inbetween_mse",
        "critic_error",
        "adversarial_loss",
    },
    "PixelUNet": {"inbetween_nll", "inbetween_mse"},
}


@pytest.fixture(
    params=[pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in MODELS]
)
def config(request, tiny_config):
    return tiny_config(**MODELS[request.param])


def batch_for(config, frames=6):
    rng = np.random.default_rng(0)
    shape = (frames, *config.image_size, config.channels)
    return {
        "frames": tf.constant(rng.integers(0, 256, size=shape, dtype=np.uint8)),
        "triplets": tf.constant([[0, 1, 2], [1, 3, 5], [0, 2, 4], [3, 4, 5], [0, 1, 5]], tf.int32),
        "t": tf.constant([0.5, 0.5, 0.5, 0.5, 0.2]),
    }


def floats_for(config, count=3):
    rng = np.random.default_rng(1)
    shape = (count, *config.image_size, config.channels)
    return rng.uniform(size=shape).astype(np.float32)


def test_shapes_ranges_and_batch_sizes(config):
    model = training.build_model(config)
    for count in (1, 3):
        frames = floats_for(config, count)
        if isinstance(model, LatentModel):
            q = model.encode(frames)
            assert q.mean().shape == q.stddev().shape == (count, config.latent_dim)
            assert q.mean().dtype == tf.float32
            assert np.all((q.stddev() > 0) == isinstance(model, TripletVAE))
        drawn = model.inbetween(frames, frames[::-1], tf.fill([count], 0.5))
        assert drawn.shape == frames.shape
        assert drawn.dtype == tf.float32
        assert np.all((drawn >= 0) & (drawn <= 1))
        if isinstance(model, TripletVAE):
            assert model.elbo(frames, seed=[0, 0]).shape == (count,)
        many = model.inbetween(frames, frames[::-1], tf.fill([count, 2], 0.5))
        assert many.shape == (count, 2, *frames.shape[1:])
        np.testing.assert_allclose(
            many[:, 1], drawn, atol=2e-2 if "bf" in config.precision else 1e-5
        )
    assert model.inbetween(frames[:0], frames[:0], tf.zeros([0])).shape == (0, *frames.shape[1:])


def test_the_ends_of_the_line_are_the_reconstructions_or_the_frames_themselves(config):
    """Where pixels are copied the ends are exact, whatever the weights."""
    model = training.build_model(config)
    if not isinstance(model, LatentModel):
        pytest.skip("it has no reconstructions")
    copies = config.inbetween_decoder == "fusion"
    first, second = floats_for(config), floats_for(config)[::-1]
    for t, end in ((0.0, first), (1.0, second)):
        drawn = model.inbetween(first, second, tf.fill([3], t))
        expected = end if copies else model.reconstruct(end)
        np.testing.assert_allclose(drawn, expected, atol=0 if copies else 1e-5)


def test_a_path_is_the_inbetweens_of_its_ends(tiny_config):
    model = training.build_model(tiny_config())
    first, second, _ = floats_for(tiny_config())
    t = np.float32([0.0, 0.3, 1.0])
    expected = model.inbetween(np.stack([first] * 3), np.stack([second] * 3), t)
    np.testing.assert_allclose(model.path(first, second, t), expected, atol=1e-6)


def test_steps_change_every_weight_and_what_is_saved_draws_the_same(config, tmp_path):
    model = training.build_model(config)
    before = [weight.numpy() for weight in model.trainable_variables]
    data = tf.data.Dataset.from_tensors(batch_for(config)).repeat()
    history = model.fit(data, steps_per_epoch=3, epochs=1, verbose=0, shuffle=False).history
    assert all(np.all(np.isfinite(value)) for value in history.values())
    assert set(history) == {"loss", *SHOWN[type(model).__name__]}
    for weight, old in zip(model.trainable_variables, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path

    model.save(tmp_path / "model.keras", include_optimizer=False)
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    assert type(loaded) is type(model)
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    for weight, other in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(weight, other, err_msg=weight.path)
    frames = floats_for(config)
    # In bfloat16 oneDNN rounds by where the arrays lie, and a flow may cross the frame's edge,
    # where the decoder has a step: two pixels may differ. In float32 all is equal to the bit.
    slack, outliers = (2**-8, 2e-4) if config.precision == "mixed_bfloat16" else (0, 0)
    t = np.float32([0.0, 0.5, 0.9])
    pairs = [[each.inbetween(frames, frames[::-1], t) for each in (model, loaded)]]
    if isinstance(model, TripletVAE):
        pairs.append([each.reconstruct(frames) for each in (model, loaded)])
        pairs.append([each.elbo(frames, [1, 2]) for each in (model, loaded)])
    for one, other in pairs:
        assert one.shape == other.shape
        assert np.mean(~np.isclose(one, other, atol=slack, rtol=slack)) <= outliers


def test_evaluate_weighs_matching_fully_whatever_the_warm_up(tiny_config):
    config = tiny_config(alpha=7.0, alpha_warmup_steps=1000)
    model = training.build_model(config)
    data = tf.data.Dataset.from_tensors(batch_for(config)).repeat(2)
    fitted = model.fit(data, epochs=1, verbose=0, shuffle=False).history
    assert 0 < fitted["alpha"][0] < 0.02
    assert model.evaluate(data, verbose=0, return_dict=True)["alpha"] == 7.0


def test_the_loss_is_the_sum_that_its_metrics_name(tiny_config):
    config = tiny_config(alpha=3.0, alpha_warmup_steps=0, prior_weight=0.5, inbetween_weight=2.0)
    model = training.build_model(config)
    data = tf.data.Dataset.from_tensors(batch_for(config))
    logs = model.evaluate(data, verbose=0, return_dict=True)
    expected = (
        3 * (logs["reconstruction_nll"] + 0.5 * logs["prior_kl"])
        + 3.0 * logs["matching_kl"]
        + 2.0 * logs["inbetween_nll"]
    )
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_the_calibrated_scale_goes_to_the_root_mean_squared_error(tiny_config):
    config = tiny_config(learning_rate=0.0, learning_rate_warmup_steps=0)
    model = training.build_model(config)
    data = tf.data.Dataset.from_tensors(batch_for(config)).repeat()
    logs = model.fit(data, steps_per_epoch=300, epochs=1, verbose=0, shuffle=False).history
    np.testing.assert_allclose(
        float(model.scale), np.sqrt(logs["reconstruction_mse"][0]), rtol=5e-2
    )


def test_a_fixed_scale_stays(tiny_config):
    config = tiny_config(likelihood="normal", normal_scale=0.125)
    model = training.build_model(config)
    model.fit(tf.data.Dataset.from_tensors(batch_for(config)), verbose=0, shuffle=False)
    assert float(model.scale) == 0.125


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"matching": "middle"}, "unknown matching 'middle': must be one of averaged"),
        ({"likelihood": "gauss"}, "likelihood=gauss: is not for pictures; must be bernoulli or "),
        ({"network": "transformer"}, "network 'transformer': must be one of conv, sprites"),
        (
            {"model": "gan"},
            "unknown model 'gan': must be one of acai, autoencoder, pixel_unet, vae",
        ),
        ({"latent_path": "round"}, "unknown latent path 'round': must be one of curved, straight"),
    ],
)
def test_unknown_names_list_the_valid_ones(tiny_config, setting, message):
    with pytest.raises(InputError, match=message):
        training.build_model(tiny_config(**setting))


def test_networks_compute_in_bfloat16_and_return_float32(tiny_config):
    model = training.build_model(tiny_config(precision="mixed_bfloat16"))
    assert model.encoder.trunk[0].compute_dtype == "bfloat16"
    assert model.decoder.trunk[0].compute_dtype == "bfloat16"
    assert model.decoder.trunk[-1].compute_dtype == "float32"
    assert model.encoder.mean.compute_dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_the_decoder_mirrors_the_encoder(tiny_config):
    for row in networks.NETWORKS.values():
        encoder, decoder = row(tiny_config())
        frames = np.random.default_rng(1).uniform(size=(3, *decoder.frame_shape))
        mean, stddev = encoder(frames.astype(np.float32))
        assert decoder(mean).shape[:3] == frames.shape[:3]
        assert stddev.shape == mean.shape


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_frames_and_latents_must_be_finite(tiny_config, value):
    model = TripletVAE.build_from(tiny_config())
    frame = np.zeros((64, 64, 3), np.float32)
    broken = frame.copy()
    broken[5, 6, 0] = value
    with pytest.raises(InputError, match=r"^second: has values that are NaN or infinite$"):
        model.path(frame, broken, [0.5])
    with pytest.raises(InputError, match=r"^frames: has"):
        model.reconstruct(broken[np.newaxis])
    with pytest.raises(InputError, match=r"^t: has"):
        model.inbetween(frame[np.newaxis], frame[np.newaxis], [value])


@pytest.mark.parametrize(
    ("validating", "said"), [(False, "step 8: b, c bec"), (True, "step 7: val_b, val_c bec")]
)
def test_terms_that_are_not_finite_are_named_with_the_step(validating, said):
    good = {"a": tf.constant(1.0), "b": tf.constant(2.0), "c": tf.constant(-3e38)}
    bad = {**good, "b": tf.constant(np.nan), "c": 10 * good["c"]}
    step = tf.Variable(7)
    ops.assert_finite(good, step, validating)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{said}ame NaN or infinite"):
        ops.assert_finite(bad, step, validating)
