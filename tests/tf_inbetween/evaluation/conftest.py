"""What the tests of evaluation share: a test clip, and a model that fuses frames."""

import numpy as np
import pytest

from tf_inbetween import training


@pytest.fixture
def clips(stored):
    """The test clips of the tiny teapot."""
    return stored.load("test")


@pytest.fixture
def fusion_model(tiny_config):
    """Makes a `FusionVAE` with weights as if it had been trained, so that its mask is uneven."""

    def make(**settings):
        config = tiny_config(inbetween_decoder="fusion", fusion_filters=(4, 4, 4, 4), **settings)
        model = training.build_model(config)
        kernel, bias = model.fusion.last.trainable_variables
        kernel.assign(np.random.default_rng(0).normal(scale=0.3, size=kernel.shape))
        bias.assign([0.0] * 4 + [0.0, 0.5, 2.0] + [0.0] * (bias.shape[0] - 7))
        return model

    return make
