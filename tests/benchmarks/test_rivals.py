"""The rivals compute what they are compared with."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import flops, keras_ours, keras_plain, rendering, trimesh_render
from benchmarks.canonical import ROOT, batch_config, canonical_config, synthetic_batch
from benchmarks.child import Child
from benchmarks.gate import Gate
from benchmarks.training import network_of, paper_settings, ratios
from data_gen.render import Renderer
from tf_inbetween import distributions
from tf_inbetween.models import TripletVAE, to_float
from tf_inbetween.training import build_model

SMALL = {"filters": (4, 4, 8, 8), "dense_units": 16, "latent_dim": 3, "frames_per_clip": 12}
SMALL |= {"triplets_per_clip": 20, "inbetweens_per_clip": 5, "precision": "float32"}


@pytest.fixture
def small():
    keras.utils.set_random_seed(0)
    config = canonical_config(**SMALL)
    return config, build_model(config)


def copy_weights(model, twin):
    """Gives `benchmarks.torch_twin.Network` the weights of a `TripletVAE`."""
    import torch
    from torch import nn

    torch_layers = [
        *(layer for layer in twin.down if not isinstance(layer, (nn.SiLU, nn.Flatten))),
        twin.mean,
        twin.raw_stddev,
        *(layer for layer in twin.up if not isinstance(layer, (nn.SiLU, nn.Unflatten))),
        twin.last,
    ]
    encoder, decoder = model.encoder, model.decoder
    layers = [*encoder.trunk, encoder.mean, encoder.raw_stddev, *decoder.trunk]
    layers = [layer for layer in layers if layer.weights]
    innermost = encoder.filters[-1]
    for ours, theirs in zip(layers, torch_layers, strict=True):
        kernel, bias = (weight.numpy() for weight in ours.weights)
        if kernel.ndim == 4:
            kernel = kernel.transpose(3, 2, 0, 1)
        else:
            side = round((kernel.shape[0] / innermost) ** 0.5)
            if ours is encoder.trunk[-1]:  # Pixels come channels first there.
                kernel = kernel.reshape(side, side, innermost, -1).transpose(2, 0, 1, 3)
                kernel = kernel.reshape(side * side * innermost, -1)
            side = round((kernel.shape[1] / innermost) ** 0.5)
            if ours is decoder.trunk[1]:
                kernel = kernel.reshape(-1, side, side, innermost).transpose(0, 3, 1, 2)
                kernel = kernel.reshape(len(kernel), -1)
                bias = bias.reshape(side, side, innermost).transpose(2, 0, 1).ravel()
            kernel = kernel.T
        with torch.no_grad():
            theirs.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
            theirs.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))


@pytest.mark.filterwarnings("ignore:CUDA initialization")  # A build of torch that finds no GPU.
def test_the_twin_in_torch_computes_the_same_loss_and_gradients(small):
    torch = pytest.importorskip("torch")
    from benchmarks import torch_twin

    config, model = small
    batch = {name: value.numpy() for name, value in synthetic_batch(config, 64).items()}
    noise = distributions.gaussian(
        tf.zeros([12, config.latent_dim]), tf.ones([12, config.latent_dim])
    ).sample(seed=model._seed_of_step(0))
    with tf.GradientTape() as tape:
        ours, shown = model.loss_and_terms(batch, model.call(batch), training=True)
        assert float(shown["alpha"]) == 0  # At step 0; the twin is asked for 1.
        ours += shown["matching_kl"]
    settings = {"prior_weight": 1.0, "inbetween_weight": 2.0, "inbetweens": 5, "alpha": 1.0}
    twin = torch_twin.Network(**network_of(config))
    copy_weights(model, twin)
    frames = torch_twin.as_channels_first(torch.from_numpy(batch["frames"]), torch.channels_last)
    theirs = torch_twin.triplet_loss(
        twin,
        frames / 255,
        torch.from_numpy(batch["triplets"]).long(),
        torch.from_numpy(batch["t"]),
        torch.from_numpy(noise.numpy()),
        settings,
    )
    assert float(theirs.detach()) == pytest.approx(float(ours), rel=1e-5)

    theirs.backward()
    kernel = tape.gradient(ours, model.encoder.trunk[0].kernel).numpy().transpose(3, 2, 0, 1)
    np.testing.assert_allclose(
        twin.down[0].weight.grad, kernel, rtol=1e-3, atol=np.ptp(kernel) / 1e4
    )


def test_every_variant_in_torch_does_steps(small, tmp_path):
    pytest.importorskip("torch")
    config, _ = small
    batch = {name: value.numpy()[None] for name, value in synthetic_batch(config, 64).items()}
    data = str(tmp_path / "batches.npz")
    np.savez(data, clip=batch["frames"][0], **batch)
    settings = {"prior_weight": 1.0, "inbetween_weight": 2.0, "inbetweens": 5, "alpha": 1.0}
    settings |= {"learning_rate": 0.0, "global_clipnorm": 3e5}
    given = {"data": data, "network": network_of(config)}
    with Child("benchmarks.torch_twin", **given, settings=settings) as twins:
        eager = [name for name in twins.facts if "eager" in name]
        assert (len(twins.facts), len(eager)) == (8, 4)
        for name in eager:
            assert twins.facts[name] == {"steps": 1, "frames": 12, "triplets": 20}
            twins.run(name, 1)
        losses = [twins.values[name] for name in eager]
        np.testing.assert_allclose(losses, losses[0], rtol=0.5)  # Other weights, other noise.

    settings = {**paper_settings(), "min_gap": 2, "max_gap": 6}
    judged = str(tmp_path / "pairs.npz")
    np.savez(judged, **{name: batch["frames"][0] for name in ("first", "middle", "second")})
    given |= {"batch": 4, "settings": settings, "variants": ["eager, float32"], "judged": judged}
    with Child("benchmarks.torch_paper", **given) as paper:
        (name,) = (row for row in paper.facts if row != "judge")
        assert paper.facts[name] == {"steps": 1, "frames": 12, "triplets": 4}
        paper.run(name, 2)
        paper.run("judge", 1)
        assert np.isfinite(paper.values[name])
        assert 0 < paper.values["judge"] < 1


def test_the_divergence_in_torch_is_that_of_tensorflow():
    torch = pytest.importorskip("torch")
    from benchmarks.torch_twin import gaussian_kl

    rng = np.random.default_rng(0)
    mean, other = (rng.normal(size=(5, 3)).astype("f") for _ in range(2))
    variance, wide = (rng.uniform(0.1, 2, (5, 3)).astype("f") for _ in range(2))
    theirs = gaussian_kl(*map(torch.from_numpy, (mean, variance, other, wide)))
    p, q = (distributions.gaussian(m, np.sqrt(v)) for m, v in ((mean, variance), (other, wide)))
    np.testing.assert_allclose(theirs, p.kl_divergence(q), rtol=1e-4)


def test_plain_keras_fits_and_a_gate_lets_it_through(small, tmp_path):
    config, _ = small
    clip = np.random.default_rng(0).integers(0, 256, (90, 64, 64, 3), np.uint8)
    np.savez(tmp_path / "clip.npz", clip=clip)
    rows = keras_plain.rivals(str(tmp_path / "clip.npz"), 4, network_of(config))
    ((run, worth),) = rows.values()
    run(2)
    run(1)
    assert worth == {"steps": 1, "frames": 12, "triplets": 4}


def test_a_gate_tells_why_fit_stopped():
    def fit(gate):
        gate.on_train_batch_begin(0)
        gate.on_train_batch_end(0)
        raise ValueError("no more data")

    gate = Gate(fit)
    gate.let_through(1)
    with pytest.raises(ValueError, match="no more data"):
        gate.let_through(1)


def test_the_counted_operations_are_those_that_tensorflow_counts(small):
    config, model = small
    shapes = {"encoder": (64, 64, 3), "decoder": (config.latent_dim,)}
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    for name, shape in shapes.items():
        network = getattr(model, name)
        graph = tf.function(network).get_concrete_function(tf.TensorSpec((1, *shape))).graph
        counted = tf.compat.v1.profiler.profile(graph, options=options).total_float_ops
        # It counts biases and activations too: 3 to 5 operations for each number of a layer.
        numbers = sum(
            np.prod(layer.output_shape_of_one) for layer in _with_shapes(network, (1, *shape))
        )
        own = flops.forward(network, shape)
        assert own < counted < own + 8 * numbers


def _with_shapes(network, shape):
    for layer in network.trunk:
        shape = layer.compute_output_shape(shape)
        layer.output_shape_of_one = shape
        yield layer


def test_a_step_counts_three_times_forward_but_for_the_frames_gradient(small):
    config, model = small
    encode = flops.forward(model.encoder, (64, 64, 3))
    decode = flops.forward(model.decoder, (config.latent_dim,))
    first = 2 * 4 * 4 * 3 * 4 * 32 * 32
    wanted = 12 * (3 * encode - first) + (12 + 5) * 3 * decode
    assert flops.training_step(model, config) == wanted


@pytest.mark.parametrize("scene", ["teapot_1dof", "objects"])
def test_trimesh_draws_the_same_pictures(scene):
    pytest.importorskip("trimesh")
    drawn, view = rendering.pictures(scene)
    picture = drawn[0]
    ours = Renderer(view, 32).render(picture.parts, picture.light, picture.background)
    theirs = trimesh_render.draw(picture, view, 32)
    assert np.mean(np.abs(ours.astype(int) - theirs)) < 0.5


def test_the_settings_are_those_of_the_flag_files():
    config = canonical_config()
    assert f"--steps={config.steps}\n" in (ROOT / "flags/study/teapot.flags").read_text()
    assert (config.t_sampling, config.inbetween_weight) == ("uniform", 2.0)
    assert batch_config(128).triplets_per_clip == 1024
    assert paper_settings()["alpha"] == 10000


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("encoder/conv2d/Conv2D:_MklNativeConv2D", "convolutions, forward"),
        ("decoder/conv_transpose:_MklNativeConv2DBackpropInput", "convolutions, forward"),
        ("gradient_tape/x/Conv2D:_MklNativeConv2D", "convolutions, backward"),
        ("adam/Mul_3:Mul", "optimizer and metrics"),
        ("x/dense/MatMul:_MklMatMul", "dense layers"),
        ("x/transpose:Transpose", "layout changes"),
        ("IteratorGetNext:IteratorGetNext", "input pipeline"),
        ("likelihood/Square:Square", "activations, losses and other element-wise work"),
        ("EagerExecute", None),
        ("ExecutorState::Process", None),
    ],
)
def test_operations_of_a_trace_have_a_kind(event, kind):
    assert keras_ours.kind_of(event) == kind


def test_the_fastest_rival_is_that_with_the_smallest_ratio():
    ratio_of = {"step": 1.0, "PyTorch, float32": 2.0, "PyTorch, bfloat16": 1.5, "PyTorch, b": 1.7}
    rows = {name: {"ratio": r, "ratio_quartiles": [r, r]} for name, r in ratio_of.items()}
    findings = ratios({"the same": {"base": "step", "rows": rows}})
    assert {what: value["ratio"] for what, value in findings.items()} == {
        "the same: step against the fastest of PyTorch (PyTorch, bfloat16)": 1.5,
        "the same: step against the fastest of PyTorch, float32 (PyTorch, float32)": 2.0,
    }


def test_synthetic_batches_fit_the_model(small):
    config, model = small
    batch = synthetic_batch(config, 64)
    assert isinstance(model, TripletVAE)
    assert model.call(batch)["inbetween_outputs"].shape == (5, 64, 64, 3)
    assert float(tf.reduce_max(to_float(batch["frames"]))) <= 1
