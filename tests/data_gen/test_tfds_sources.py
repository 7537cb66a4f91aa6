"""Rows of the public data sets fit TFDS's own builders, and the training flags fit the rows."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_gen import import_clips
from data_gen.tfds_sources import SOURCES
from tf_inbetween import data
from tf_inbetween.config import Config


@pytest.mark.parametrize("name", SOURCES)
def test_the_row_fits_the_real_builder(name):
    source, cls = SOURCES[name], tfds.builder_cls(name)
    features = cls(data_dir="none").info.features
    if source.sweep:
        assert features[source.sweep].num_classes == source.length
        assert all(isinstance(features[f], tfds.features.ClassLabel) for f in source.fixed)
        assert isinstance(features[source.image], tfds.features.Image)
        factors = {label for label in features if label.startswith(("label_", "instance", "obj"))}
        assert factors | {source.sweep} == {*source.fixed, source.sweep}
        if source.motion.cyclic:
            assert source.motion.units_per_frame * source.length == 360
    elif isinstance(features, tfds.features.Sequence):
        assert features.get_tensor_info()[source.image].shape[0] == source.length
    else:
        assert features[source.image].shape[0] == source.length
    sums = Path(inspect.getfile(cls)).with_name("checksums.tsv")
    if not sums.exists():
        sums = Path(tfds.__file__).parent / "url_checksums" / f"{name}.txt"
    size = sum(int(line.split()[1]) for line in sums.read_text().splitlines())
    assert source.download == f"{size / 1e9:.2g} GB"


@pytest.mark.parametrize("name", SOURCES)
def test_every_gap_is_of_whole_quarters_and_fits(name):
    source = SOURCES[name]
    frames = np.array(source.motion.gaps) / (source.motion.units_per_frame or 1)
    np.testing.assert_allclose(frames, 4 * np.round(frames / 4), rtol=1e-6)
    assert frames.max() < (source.length / 2 if source.motion.cyclic else source.length)


@pytest.mark.parametrize("t_sampling", ["midpoint", "uniform"])
@pytest.mark.parametrize("name", SOURCES)
def test_the_flags_that_are_named_fit(name, t_sampling):
    length, motion = SOURCES[name].length, SOURCES[name].motion
    flags = import_clips.training_flags(length, motion.cyclic, motion.units_per_frame)
    asked = dict(flag.removeprefix("--").split("=") for flag in flags)
    fitting = Config(
        t_sampling=t_sampling, **{key: type(getattr(Config, key))(asked[key]) for key in asked}
    )
    strides, low, high, all_round = data.gaps_of_strides(
        length, motion.cyclic, motion.units_per_frame or 1.0, fitting
    )
    assert all_round == motion.cyclic
    frames = [int(strides[0] * low[0]), int(strides[-1] * high[-1])]
    assert frames[0] <= 4
    assert frames[1] >= {"shapes3d": 8}.get(
        name, max(motion.gaps) / (motion.units_per_frame or 1.0) - 8
    )
