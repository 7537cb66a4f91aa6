"""The study's command on two tiny runs: `python -m tests.faults.small_study FLAGS`."""

import signal
import sys

from tf_inbetween import command_line, study
from tf_inbetween.study_runs import Question, Run

if __name__ == "__main__":
    tiny = sys.argv.pop(1)
    tiny += " --steps=24 --steps_per_epoch=4"  # Or they would be as long as the study's own.
    runs = tuple(Run(f"alpha {alpha}", f"{tiny} --alpha={alpha}") for alpha in (0, 5))
    study.QUESTIONS = (Question("opening", "", "In ten seconds:", runs),)
    study._POLL = 0.2
    study.define_flags()
    signal.signal(signal.SIGTERM, study._stop)
    command_line.run(study.main, on_interrupt="the same command goes on where it was")
