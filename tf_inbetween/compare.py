"""Puts evaluated runs side by side.

    python -m tf_inbetween.compare --run_dir=runs/teapot_alpha0 --run_dir=runs/teapot_paper \
        --run_dir=runs/teapot --output=docs/results/teapot_1dof --page=README.md

Writes comparison.json and two pictures into the output folder, and the table into every page named,
between the lines `<!-- comparison -->` and `<!-- /comparison -->`. With --section=linked_arm they
are `<!-- linked_arm -->` and `<!-- /linked_arm -->`, so one page can hold the tables of several
scenes. A single run is compared with the pixel methods alone.
"""

from absl import flags

from frame_io import command_line
from tf_inbetween.evaluation.comparison import SECTION, compare

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_multi_string("run_dir", None, "An evaluated run; give one or more.", required=True)
    flags.DEFINE_string("output", None, "The folder to write to.", required=True)
    flags.DEFINE_multi_string("page", [], "A Markdown page to write the table into.")
    flags.DEFINE_string("section", SECTION, "The section of the pages that holds the table.")
    flags.DEFINE_string("split", "test", "The split that the runs were evaluated on.")
    flags.DEFINE_string("data_dir", "", "Where data sets live; empty: as in training.")
    flags.DEFINE_list(
        "gaps", ["20°", "60°", "120°"], "Gaps to show, as metrics.json has them: 20° or 16 frames."
    )


def main():
    """Compares the runs that the flags name."""
    compare(
        FLAGS.run_dir,
        FLAGS.output,
        FLAGS.page,
        FLAGS.gaps,
        FLAGS.data_dir,
        FLAGS.section,
        FLAGS.split,
    )


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
