"""What a user's own Keras settings (keras.json, KERAS_BACKEND) do to the package."""

import json
import os
import subprocess
import sys

STEP = """
import numpy as np
import tf_inbetween as ib

assert __import__("keras").config.image_data_format() == "channels_first"
rng = np.random.default_rng(0)
clips = [rng.integers(0, 255, [6, 64, 64, 3], np.uint8)]
tiny = {"filters": (4, 4), "dense_units": 8, "frames_per_clip": 6, "inbetweens_per_clip": 2}
tiny |= {"min_gap": 2, "max_gap": 5, "steps": 1, "validation_steps": 1, "fusion_filters": (4, 4)}
for more in ({}, {"network": "sprites", "crop_size": 16}):
    model = ib.train(clips, **tiny, **more)
    assert model.path(clips[0][0], clips[0][1], 0.5).shape == (1, 64, 64, 3)
"""


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_channels_first_in_keras_json_changes_nothing(tmp_path):
    settings = {"image_data_format": "channels_first", "backend": "tensorflow"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    done = python(STEP, KERAS_HOME=str(tmp_path))
    assert not done.returncode, done.stderr


def test_another_backend_is_named_with_what_to_set(tmp_path):
    for environment in ({"KERAS_BACKEND": "jax"}, {"KERAS_HOME": str(tmp_path)}):
        (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
        done = python("import tf_inbetween", **environment)
        assert done.returncode == 1
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("ImportError: tf_inbetween runs on Keras with TensorFlow; this")
        assert "KERAS_BACKEND=tensorflow" in last
