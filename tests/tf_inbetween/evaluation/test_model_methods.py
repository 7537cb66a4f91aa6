"""The methods by name, and what each draws with a model."""

import numpy as np
import pytest
import tensorflow as tf

from tf_inbetween import training
from tf_inbetween.config import InputError
from tf_inbetween.evaluation import baselines
from tf_inbetween.evaluation import methods as method_table
from tf_inbetween.kinds import KINDS


def test_methods_that_are_unknown_or_cannot_run(monkeypatch, capsys):
    valid = (
        "crossfade, latent, latent_only, latent_slerp, nearest_frame, optical_flow, "
        "optical_flow_farneback"
    )
    with pytest.raises(InputError, match=rf"^unknown method 'flow': must be one of {valid}$"):
        method_table.check_methods(["latent", "flow"])
    assert tuple(method_table.check_methods([])) == KINDS["pictures"].default_methods
    without = {name: baselines.METHODS[name] for name in ("crossfade", "nearest_frame")}
    monkeypatch.setattr(baselines, "available", lambda: without)
    assert method_table.check_methods([]) == ["latent", "crossfade", "nearest_frame"]
    assert "optical flow left out: pip install" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"^--methods=optical_flow: .* needs OpenCV: pip install"):
        method_table.check_methods(["optical_flow"])


def test_a_model_draws_by_slerp_and_at_a_time_for_each_pair(tiny_config):
    model = training.build_model(tiny_config())
    first, second = np.random.default_rng(0).uniform(size=(2, 3, 64, 64, 3)).astype(np.float32)
    latent, alone, slerp = (method(model) for method in method_table.MODEL_METHODS.values())
    for method in (latent, alone, slerp):
        np.testing.assert_allclose(method(first, second, 0), model.reconstruct(first), atol=1e-5)
        np.testing.assert_allclose(method(first, second, 1), model.reconstruct(second), atol=1e-5)
    assert np.abs(latent(first, second, 0.5) - slerp(first, second, 0.5)).max() > 1e-6
    # This model's own way is the latent alone.
    np.testing.assert_allclose(latent(first, second, 0.5), alone(first, second, 0.5), atol=1e-6)
    times = np.array([0.25, 0.5, 0.75])
    drawn = slerp(first, second, times)
    for i, t in enumerate(times):
        np.testing.assert_allclose(drawn[[i]], slerp(first[[i]], second[[i]], t), atol=1e-5)


def test_a_fusion_model_draws_fused_frames_and_by_the_latent_alone(fusion_model):
    """Its own way and slerp give the ends themselves; the latent alone their reconstructions."""
    model = fusion_model()
    first, second = np.random.default_rng(0).uniform(size=(2, 3, 64, 64, 3)).astype(np.float32)
    latent, alone, slerp = (method(model) for method in method_table.MODEL_METHODS.values())
    for t, end in ((0, first), (1, second)):
        np.testing.assert_allclose(latent(first, second, t), end, atol=1e-6)
        np.testing.assert_allclose(slerp(first, second, t), end, atol=1e-6)
        np.testing.assert_allclose(alone(first, second, t), model.reconstruct(end), atol=1e-5)
    z0, z2 = model.encode(first).mean(), model.encode(second).mean()
    np.testing.assert_allclose(alone(first, second, 0.5), model.decode((z0 + z2) / 2), atol=1e-5)
    fused = latent(first, second, 0.5)
    np.testing.assert_allclose(
        fused, model.parts(first, second, tf.fill([3], 0.5))["frame"], atol=1e-6
    )
    assert np.abs(fused - alone(first, second, 0.5)).max() > 0.1
    assert 1e-6 < np.abs(fused - slerp(first, second, 0.5)).max() < 0.1
