"""How sure a model is of the frames of its scene, and of others.

    python -m benchmarks.confidence --run_dir=runs/teapot \
        --output=docs/results/teapot_1dof/confidence.json --page=docs/serving.md

The scene's test frames, the same frames damaged, and frames of scenes that are ever less like it.
For each, the root mean square error of the reconstruction in units of the training's, and the
confidence that the export gives to a pair of the frame with itself (see `export.signatures`).
"""

import io

import numpy as np
import PIL.Image
from absl import flags
from tqdm import tqdm

from data_gen import render, scenes
from export.exporter import training_rmse
from export.signatures import signatures
from frame_io import command_line
from frame_io.files import check_section, write_json, write_section
from tf_inbetween import images, run_directory
from tf_inbetween.clips import prepare
from tf_inbetween.config import InputError
from tf_inbetween.models import to_float

FLAGS = flags.FLAGS

_SECTION = "confidence"
_ANGLES = range(0, 360, 30)
_PORCELAIN = (0.85, 0.30, 0.09)


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("run_dir", None, "A run on teapot_1dof, 64 px, RGB.", required=True)
    flags.DEFINE_string("output", None, "The JSON file to write.", required=True)
    flags.DEFINE_multi_string("page", [], "A Markdown page to write the table into.")
    flags.DEFINE_string("data_dir", "", "Where data sets live; empty: as in training.")


def main():
    """Measures the run that the flags name and writes the results."""
    for page in FLAGS.page:
        check_section(page, _SECTION)
    config = run_directory.load_config(FLAGS.run_dir)
    if (config.scene, *config.image_size, config.channels) != ("teapot_1dof", 64, 64, 3):
        raise InputError(f"--run_dir={FLAGS.run_dir}: is no run on teapot_1dof, 64 px, RGB")
    model = run_directory.load_model(FLAGS.run_dir)
    usual = training_rmse(FLAGS.run_dir, model)
    inbetween, _ = signatures(model, config, usual)["inbetween"]
    frames = to_float(prepare(config, FLAGS.data_dir).load("test")[0].frames).numpy()
    rows = {}
    for name, pictures in tqdm(pictures_to_judge(frames).items(), unit=" sets"):
        error = np.sqrt(np.mean((model.reconstruct(pictures) - pictures) ** 2, axis=(1, 2, 3)))
        confidence = inbetween(pictures, pictures, np.full(len(pictures), 0.5, "f"))["confidence"]
        rows[name] = {
            "frames": len(pictures),
            "error": [round(float(value / usual), 2) for value in (error.min(), error.max())],
            "confidence": [round(float(v), 4) for v in (min(confidence), max(confidence))],
        }
    write_json(FLAGS.output, {"training_rmse": usual, "pictures": rows})
    for page in FLAGS.page:
        write_section(page, _SECTION, markdown_table(rows))
    print(markdown_table(rows))
    print(f"wrote {', '.join([FLAGS.output, *FLAGS.page])}")


def pictures_to_judge(frames):
    """Names to frames [K, 64, 64, 3] in [0, 1], from the test frames to white noise."""
    some = frames[:: len(frames) // len(_ANGLES)]
    rng = np.random.default_rng(0)

    def noisy(stddev):
        return np.clip(some + stddev * rng.normal(size=some.shape), 0, 1).astype(np.float32)

    return {
        "test frames": frames,
        "as JPEG, quality 95": np.stack([_as_jpeg(frame, 95) for frame in some]),
        "as JPEG, quality 50": np.stack([_as_jpeg(frame, 50) for frame in some]),
        "with noise of 0.02": noisy(0.02),
        "with noise of 0.05": noisy(0.05),
        "the pot tipped by 2°": _drawn(tilt=2),
        "the pot tipped by 10°": _drawn(tilt=10),
        "the pot moved by 5 % of the picture": _drawn(move=0.38),
        "a blue pot": _drawn(colour=(0.1, 0.3, 0.85)),
        "a ball": _drawn(mesh="sphere", size=2.0),
        "the empty background": _drawn(mesh=None),
        "white noise": rng.uniform(size=some.shape).astype(np.float32),
    }


def _drawn(mesh="teapot", colour=_PORCELAIN, tilt=0.0, move=0.0, size=1.0):
    """The scene with something changed, at every angle: [K, 64, 64, 3]."""
    renderer = render.Renderer(scenes.get("teapot_1dof").view, 64)
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    placed = np.array([[size, 0, 0, move], [0, c * size, -s, 0], [0, s, c * size, 0], [0, 0, 0, 1]])
    if mesh == "sphere":
        placed[2, 3] = 2.0
    return np.stack(
        [
            renderer.render(
                [scenes.Part(mesh, placed @ scenes.rotation_z(angle), colour)] if mesh else []
            )
            / np.float32(255)
            for angle in _ANGLES
        ]
    )


def _as_jpeg(frame, quality):
    with io.BytesIO() as file:
        PIL.Image.fromarray(images.to_uint8(frame)).save(file, "JPEG", quality=quality)
        return np.asarray(PIL.Image.open(file), np.float32) / 255


def markdown_table(rows):
    """One row for each set of pictures."""
    lines = ["| | error, in units of the training's | confidence |", "| --- | --- | --- |"]
    for name, row in rows.items():
        error, confidence = (
            "{:.2g} to {:.2g}".format(*row[key])
            if row[key][0] != row[key][1]
            else f"{row[key][0]:.2g}"
            for key in ("error", "confidence")
        )
        lines.append(f"| {name} | {error} | {confidence} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
