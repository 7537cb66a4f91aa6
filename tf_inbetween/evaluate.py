"""Measures a trained model: `python -m tf_inbetween.evaluate --run_dir=runs/teapot`.

Writes metrics.json and figures/ into the run directory, see `tf_inbetween.evaluation`.
"""

from absl import flags

from frame_io import command_line
from tf_inbetween.evaluation.methods import MODEL_METHODS
from tf_inbetween.evaluation.run import PAIRS, evaluate
from tf_inbetween.kinds import KINDS

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("run_dir", None, "The run to evaluate.", required=True)
    flags.DEFINE_string("data_dir", "", "Where data sets live; empty: as in training.")
    flags.DEFINE_string("split", "test", "The split to evaluate on.")
    flags.DEFINE_integer("pairs", PAIRS, "Pairs of frames for each gap.", lower_bound=1)
    flags.DEFINE_list(
        "methods",
        [],
        f"What draws in-betweens, of {', '.join(MODEL_METHODS)}"
        + "".join(f"; of {name} {', '.join(kind.methods)}" for name, kind in KINDS.items())
        + ". Empty: "
        + "; ".join(f"of {name} {', '.join(kind.default_methods)}" for name, kind in KINDS.items())
        + ".",
    )


def main():
    """Evaluates the run that the flags name."""
    evaluate(FLAGS.run_dir, FLAGS.split, FLAGS.pairs, FLAGS.data_dir, FLAGS.methods)


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
