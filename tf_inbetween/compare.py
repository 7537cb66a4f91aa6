"""Puts evaluated runs side by side.

    python -m tf_inbetween.compare --run_dir=runs/teapot_alpha0 --run_dir=runs/teapot_paper \
        --run_dir=runs/teapot --output=docs/results/teapot_1dof --page=README.md

Writes comparison.json and two pictures into the output folder, and the table into every page named,
between the lines `<!-- comparison -->` and `<!-- /comparison -->`. With --section=linked_arm they
are `<!-- linked_arm -->` and `<!-- /linked_arm -->`, so one page can hold the tables of several
scenes. A single run is compared with the pixel methods alone. --recorded writes the table alone,
from the comparison.json of an earlier call, and needs no runs.
"""

from absl import flags

from frame_io import command_line
from tf_inbetween.config import InputError
from tf_inbetween.evaluation.comparison import SECTION, compare, rewrite

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_multi_string("run_dir", [], "An evaluated run; give one or more.")
    flags.DEFINE_string("output", None, "The folder to write to.", required=True)
    flags.DEFINE_multi_string("page", [], "A Markdown page to write the table into.")
    flags.DEFINE_string("section", SECTION, "The section of the pages that holds the table.")
    flags.DEFINE_string("split", "test", "The split that the runs were evaluated on.")
    flags.DEFINE_string("data_dir", "", "Where data sets live; empty: as in training.")
    flags.DEFINE_list(
        "gaps", ["20°", "60°", "120°"], "Gaps to show, as metrics.json has them: 20° or 16 frames."
    )
    flags.DEFINE_multi_string("label", [], "What the table calls a run; one for each --run_dir.")
    flags.DEFINE_bool("brief", False, "A row for each method, a column for each gap, t = 1/2.")
    flags.DEFINE_bool("recorded", False, "Write the table again from comparison.json alone.")


def main():
    """Compares the runs that the flags name."""
    table = {"section": FLAGS.section, "labels": FLAGS.label, "brief": FLAGS.brief}
    if bool(FLAGS.run_dir) == FLAGS.recorded:
        raise InputError("give either --run_dir or --recorded")
    if FLAGS.recorded:
        rewrite(FLAGS.output, FLAGS.page, FLAGS.gaps, **table)
    else:
        compare(
            FLAGS.run_dir,
            FLAGS.output,
            FLAGS.page,
            FLAGS.gaps,
            FLAGS.data_dir,
            split=FLAGS.split,
            **table,
        )


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
