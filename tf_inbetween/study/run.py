"""Brings all jobs of a study to their end, one after another, and says how far they are."""

import contextlib
import fcntl
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tf_inbetween.config import InputError
from tf_inbetween.study import pages
from tf_inbetween.study.jobs import CUT_OFF, DONE, MISSING, TRAINED
from tf_inbetween.study.schedule import (
    each_once,
    jobs_known_at_first,
    jobs_of_the_chosen,
    sweeps_undecided,
    winner_jobs,
)

_POLL = 5.0  # seconds between two looks at a command that runs
_OTHER_FLAGS = "other flags"


def study(questions, settings, only=(), run=True, dry_run=False):
    """Runs questions and writes the pages.

    Args:
        questions: `definitions.Question`s; the pages have all of them.
        settings: `settings.Settings`.
        only: names of those to run; empty for all.
        run: whether to run them, or only to write the pages.
        dry_run: whether only to say what is left.

    Raises:
        InputError: for a name that is no question's, a run whose flags are wrong, or results that
            would take the place of longer or more exact ones.
        RuntimeError: at the end, if a run has failed.
    """
    names = [question.name for question in questions]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise InputError(f"--only={','.join(only)}: must be among {','.join(names)}")
    chosen = [question for question in questions if not only or question.name in only]
    for job in jobs_known_at_first(questions, settings):
        try:
            job.config  # noqa: B018
        except InputError as error:
            raise InputError(f"the run {job.run.label!r}: {error}") from error
    if dry_run:
        print(overview(chosen, settings))
        return
    for job in jobs_known_at_first(questions, settings):
        job.check_record()
    with only_one(settings.runs_dir) if run else contextlib.nullcontext() as lock:
        failed = run_all(chosen, settings, lock) if run else {}
        pages.write(questions, settings)
    if failed:
        raise RuntimeError(
            f"{len(failed)} of the runs failed: {', '.join(failed)}; each has its .log in "
            f"{settings.runs_dir}"
        )


@contextlib.contextmanager
def only_one(runs_dir):
    """Waits until no other study runs in a folder, nor a training that a killed one left behind.

    Yields the lock, a file descriptor: who inherits it holds the lock too.
    """
    Path(runs_dir).mkdir(parents=True, exist_ok=True)
    with open(Path(runs_dir) / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for a study, or for what a killed one left running, in {runs_dir}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def run_all(questions, settings, lock):
    """Brings every job of some questions to its end; returns why some failed, {name: reason}.

    The runs to choose among come first, then those that were chosen by them.

    Args:
        questions, settings: as for `study`.
        lock: file descriptor that the commands inherit.
    """
    outlook = Outlook(questions, settings)
    print(outlook)
    first = jobs_known_at_first(questions, settings)
    failed = {}
    with tqdm(
        total=outlook.steps,
        initial=outlook.steps_done,
        unit=" steps",
        mininterval=0.5 if sys.stderr.isatty() else 60.0,
    ) as bar:
        _run_each(first, 0, outlook.runs, failed, lock, bar)
        jobs = each_once([*first, *jobs_of_the_chosen(questions, settings)])
        _run_each(jobs[len(first) :], len(first), len(jobs), failed, lock, bar)
    return failed


def _run_each(jobs, before, count, failed, lock, bar):
    for number, job in enumerate(jobs, before + 1):
        if job.name in failed:
            continue
        bar.set_description(f"Run {number} of {count}")
        began, step = time.monotonic(), job.step()
        try:
            did = _run(job, lock, bar)
            minutes = (time.monotonic() - began) / 60
            line = did and f"{did} in {minutes:.1f} minutes"
        except (InputError, RuntimeError) as error:
            failed[job.name] = str(error)
            line = f"FAILED: {error}"
            bar.total -= job.config.steps - max(job.step(), step)
        if line:
            bar.write(f"run {number} of {count}, {job.name}: {line}", file=sys.stdout)


def _run(job, lock, bar):
    """Trains and evaluates a job as far as that is left to do; returns what was done, in words.

    Raises `InputError` or `RuntimeError` with the reason if it fails.
    """
    state, seen = job.state(), job.step()

    def look():
        nonlocal seen
        step = job.step()
        bar.update(step - seen)
        seen = step

    if state == DONE:
        return ""
    if state != TRAINED:
        call([*job.training, "--noevaluate"], job, lock, look)
    look()
    call(job.evaluation, job, lock, look)
    if job.state() != DONE:
        raise RuntimeError(f"its commands ended well, and yet it is {job.state()}")
    words = {TRAINED: "", CUT_OFF: "trained to its end and ", MISSING: "trained and "}
    return f"{words[state]}evaluated on {job.split} clips"


def call(arguments, job, lock, look):
    """Runs a command of a job to its end, printing into its log.

    Args:
        arguments: of `python`.
        job: the `jobs.Job`.
        lock: file descriptor that the command inherits.
        look: called every few seconds.

    Raises:
        RuntimeError: with the last line that the command printed, if it fails.
    """
    began = time.monotonic()
    with open(job.log, "ab") as log:
        start = log.tell()
        command = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[lock],
        )
        try:
            while command.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    command.wait(_POLL)
                look()
        finally:
            if command.poll() is None:  # An interrupted study leaves nothing running.
                command.terminate()
                command.wait()
    said = job.log.read_bytes()[start:].decode(errors="replace").splitlines()
    job.say_how_long(arguments, command.returncode, time.monotonic() - began)
    if command.returncode:
        last = next((line for line in reversed(said) if line.strip()), "it printed nothing")
        raise RuntimeError(f"{last.strip()} (exit code {command.returncode}; {job.log})")


class Outlook:
    """How far some questions are, and what is left.

    Attributes:
        states: `Job` -> "done", "to be evaluated", "cut off", "missing" or "other flags".
        to_choose: how many more there will be, of runs that are yet to be chosen.
        runs: how many there are in all.
        steps, steps_done: of all trainings.
        hours: left, at the rate of the runs that are done; None if there are none.
    """

    def __init__(self, questions, settings):
        """Looks at the run directories, and at what is recorded."""
        undecided = sweeps_undecided(questions, settings)
        jobs = each_once(
            [
                *jobs_known_at_first(questions, settings),
                *jobs_of_the_chosen(questions, settings, leave_out=undecided),
            ]
        )
        self.states = {job: _state(job) for job in jobs}
        self.to_choose = len(undecided) * len(settings.seeds)
        self.runs = len(self.states) + self.to_choose
        trainings = {job.name: job for job in jobs}.values()
        # The winner of a sweep has been trained with the first seed already, if with these flags.
        more = [
            job
            for best in undecided
            for job in winner_jobs(best, best.among[0], settings)[0 if best.more else 1 :]
        ]
        self.steps = sum(job.config.steps for job in [*trainings, *more])
        self.steps_done = sum(job.step() for job in trainings)
        self.hours = self._hours([*trainings, *more], len(trainings))

    def count(self, state):
        """How many jobs are in a state."""
        return list(self.states.values()).count(state)

    def __str__(self):
        """One line."""
        counts = [f"{self.count(state)} {state}" for state in (DONE, TRAINED, CUT_OFF, MISSING)]
        if self.count(_OTHER_FLAGS):
            counts.append(f"{self.count(_OTHER_FLAGS)} with {_OTHER_FLAGS}")
        if self.to_choose:
            counts.append(f"{self.to_choose} yet to be chosen")
        hours = "" if self.hours is None else f", about {self.hours:.1f} hours"
        return (
            f"{self.runs} runs: {', '.join(counts)}; "
            f"{self.steps - self.steps_done:,} of {self.steps:,} steps to go{hours}"
        )

    def _hours(self, trainings, begun):
        """At the mean rate of the runs of the same flag file, or of all where none is done."""
        known = [job for job, state in self.states.items() if state == DONE and job.metrics()]
        done = {job.name: job for job in known}.values()
        if not done:
            return None
        rates = {}
        for job in done:
            for key in (job.run.arguments[0], None):
                rates.setdefault(key, []).append(job.metrics()["train_seconds"] / job.config.steps)
        ended = [command for job in done for command in job.commands()]
        evaluating = [seconds for what, code, seconds in ended if (what, code) == ("evaluate", 0)]
        seconds = np.mean(evaluating or [0.0]) * (self.runs - self.count(DONE))
        for number, job in enumerate(trainings):
            left = job.config.steps - (job.step() if number < begun else 0)
            seconds += left * np.mean(rates.get(job.run.arguments[0], rates[None]))
        return seconds / 3600


def overview(questions, settings):
    """What is done and what is left, question by question, in lines."""
    lines = []
    for question in questions:
        outlook = Outlook([question], settings)
        lines += [f"{question.name}: {outlook}"]
        lines += [
            f"    {state:<15}  {job.name} ({job.split})" for job, state in outlook.states.items()
        ]
    return "\n".join([*lines, f"all, each run counted once: {Outlook(questions, settings)}"])


def _state(job):
    try:
        return job.state()
    except InputError:
        return _OTHER_FLAGS
