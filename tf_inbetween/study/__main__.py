"""Trains and judges all runs of the study, and writes its pages.

    python -m tf_inbetween.study --flagfile=flags/study.flags

The runs are in tf_inbetween/study/questions.py. Each is trained and evaluated by its own commands,
one after another, which print into a log beside its run directory. What is
done is skipped, what was cut off goes on from its last checkpoint, and a run that fails does not
stop the others. At the end the pages of results are written from the runs that are there.

--dry_run says how far all is and what is left. --only=paper,alpha takes some of the questions.
--recorded resumes without the run directories, on another machine say: what is in the
results' study.json is not trained again.
"""

import signal

from absl import flags

from frame_io import command_line
from tf_inbetween.config import InputError
from tf_inbetween.study import questions, sound_questions, text_questions
from tf_inbetween.study.run import study
from tf_inbetween.study.settings import Settings, read_record

FLAGS = flags.FLAGS

QUESTIONS = (*questions.QUESTIONS, *sound_questions.QUESTIONS, *text_questions.QUESTIONS)


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("runs_dir", "runs/study", "The folder of the run directories.")
    flags.DEFINE_string("results_dir", "docs/results", "The folder to write the pages to.")
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of every row of a table.")
    flags.DEFINE_integer("steps", 1000, "Steps of a training whose row does not say.", 1)
    flags.DEFINE_integer("steps_per_epoch", 250, "Steps between two of its validations.", 1)
    flags.DEFINE_integer("pairs", 200, "Pairs for each gap of an evaluation to be done.", 1)
    flags.DEFINE_integer("validation_pairs", 100, "The same, of one that a choice is made by.", 1)
    flags.DEFINE_list("only", [], "Questions to run, by name; empty: all.")
    flags.DEFINE_bool(
        "recorded", False, "Do not train again what study.json of --results_dir has, by its flags."
    )
    flags.DEFINE_bool("run", True, "Train and evaluate; else only write the pages.")
    flags.DEFINE_bool("dry_run", False, "Say what is done and what is left, and write nothing.")


def main():
    """Runs the questions that the flags name."""
    settings = Settings(
        runs_dir=FLAGS.runs_dir,
        results_dir=FLAGS.results_dir,
        seeds=_seeds(FLAGS.seeds),
        steps=FLAGS.steps,
        steps_per_epoch=FLAGS.steps_per_epoch,
        pairs=FLAGS.pairs,
        validation_pairs=FLAGS.validation_pairs,
        record=read_record(FLAGS.results_dir),
        recorded=FLAGS.recorded,
    )
    study(QUESTIONS, settings, FLAGS.only, FLAGS.run, FLAGS.dry_run)


def _seeds(texts):
    try:
        seeds = tuple(int(text) for text in texts)
    except ValueError:
        seeds = ()
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds={','.join(texts)}: must be different whole numbers")
    return seeds


def _stop(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    define_flags()
    signal.signal(signal.SIGTERM, _stop)  # As Ctrl-C: what it runs is stopped with it.
    command_line.run(main, on_interrupt="the same command resumes")
