"""Exports a trained run as a checked SavedModel for TensorFlow Serving.

    python -m export.saved_model --run_dir=runs/teapot --model_dir=models/teapot

    models/teapot/
      1/                       a version: saved_model.pb, variables/, fingerprint.pb
        assets.extra/          tf_serving_warmup_requests, provenance.json, samples/*.png,
                               SHA256SUMS (export.checksums)
      models.config            and batching_parameters.txt, monitoring.config, compose.yaml:
                               for TensorFlow Serving; an existing one is left alone

A version is moved into place only after a process that cannot import this project has loaded it,
called every signature at batch 0, 1 and 5, and compared the answers with the Keras model.

--format=litert and --format=onnx write models/teapot/teapot.tflite and teapot.SIGNATURE.onnx
instead, see `export.litert_onnx`.
"""

from absl import flags

from export.exporter import FORMATS, convert, export
from frame_io import command_line
from frame_io.errors import InputError

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("run_dir", None, "The run whose model to export.", required=True)
    flags.DEFINE_string(
        "model_dir", None, "Where its versions go; the folder's name is the model's.", required=True
    )
    flags.DEFINE_integer("version", None, "Default: the next free number.", 1, 10**18 - 1)
    flags.DEFINE_string(
        "image_size", None, "Size of the frames to serve, such as 320x180. Default: the training's."
    )
    flags.DEFINE_enum("format", "saved_model", ["saved_model", *FORMATS], "What to write.")


def main():
    """Exports the run that the flags name."""
    if FLAGS.format == "saved_model":
        export(FLAGS.run_dir, FLAGS.model_dir, FLAGS.version, FLAGS.image_size)
    elif FLAGS.version is not None:
        raise InputError(f"--version={FLAGS.version}: a file of --format={FLAGS.format} has none")
    else:
        convert(FLAGS.run_dir, FLAGS.model_dir, FLAGS.format)


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
