"""A build by Apache Beam holds the same examples as one without it."""

import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_gen import builder


def test_without_beam(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.setitem(sys.modules, "apache_beam.options.pipeline_options", None)
    with pytest.raises(ValueError, match=r"needs it: pip install 'tf_inbetween\[beam\]'"):
        builder.build("fast_motion", data_dir=tmp_path, beam_pipeline_options="runner=DirectRunner")
    assert not list(tmp_path.rglob("*.tfrecord*"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Apache Beam's own.
def test_same_examples(tmp_path):
    pytest.importorskip("apache_beam")
    scene = "objects_2objects_3frames_9clips_colour_light"
    local = builder.build(scene, data_dir=tmp_path / "local", workers=0)
    beam = builder.build(
        scene, data_dir=tmp_path / "beam", beam_pipeline_options="runner=DirectRunner"
    )
    for split, (clips, _) in local.counts().items():
        ours, theirs = (
            sorted(tfds.as_numpy(b.as_dataset(split=split)), key=lambda example: example["clip"])
            for b in (local, beam)
        )
        assert len(ours) == len(theirs) == clips
        for a, b in zip(ours, theirs, strict=True):
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_array_equal(a[name], b[name])
