"""The study's command on two tiny runs: `python -m benchmarks.faults.small_study FLAGS`."""

import signal
import sys

from frame_io import command_line
from tf_inbetween.study import __main__ as command
from tf_inbetween.study import run
from tf_inbetween.study.definitions import Question, Run

if __name__ == "__main__":
    tiny = sys.argv.pop(1)
    tiny += " --steps=24 --steps_per_epoch=4"  # Or they would be as long as the study's own.
    runs = tuple(Run(f"alpha {alpha}", f"{tiny} --alpha={alpha}") for alpha in (0, 5))
    command.QUESTIONS = (Question("opening", "Opening", "In ten seconds:", runs),)
    run._POLL = 0.2
    command.define_flags()
    signal.signal(signal.SIGTERM, command._stop)
    command_line.run(command.main, on_interrupt="the same command resumes")
