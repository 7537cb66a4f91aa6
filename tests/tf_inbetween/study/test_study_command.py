"""The study's command: its settings, what it runs, and how it goes on when it was killed."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tf_inbetween.config import InputError
from tf_inbetween.study import run as study
from tf_inbetween.study.__main__ import _seeds
from tf_inbetween.study.definitions import Question, Run
from tf_inbetween.study.jobs import Job
from tf_inbetween.study.settings import Settings

ROOT = Path(__file__).parents[3]


def test_a_command_that_fails_says_its_last_line(settings, questions):
    job = Job(questions[0].rows[0], 0, "test", settings)
    looked = []
    with study.only_one(settings.runs_dir) as lock:
        study.call(["-c", "print('fine')"], job, lock, lambda: looked.append(1))
        with pytest.raises(RuntimeError, match=r"^error: no \(exit code 1; .*seed=0\.log\)$"):
            study.call(["-c", "import sys; sys.exit('error: no')"], job, lock, lambda: None)
    assert looked
    pattern = r"fine\nstudy: -c print\('fine'\): exit code 0 after \d+\.\d s\nerror: no\n"
    assert re.match(pattern, job.log.read_text())
    assert job.commands() == []
    job.say_how_long(job.training, 0, 5.0)
    job.say_how_long(job.evaluation, 1, 3.0)
    job.say_how_long(job.evaluation, 0, 41.25)
    assert job.commands() == [["train", 0, 5.0], ["evaluate", 1, 3.0], ["evaluate", 0, 41.2]]


def test_what_a_killed_study_left_running_is_waited_for(tmp_path, capsys):
    with study.only_one(tmp_path) as lock:
        left = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock]
        )
    with open(tmp_path / ".lock") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    threading.Timer(0.5, left.communicate, [b"\n"]).start()
    with study.only_one(tmp_path):
        assert left.wait(timeout=10) == 0
    assert capsys.readouterr().out.startswith("waiting for a study, or for what a killed one left")


def test_wrong_settings_are_one_line(settings, questions, tiny_flags):
    with pytest.raises(InputError, match=r"^--only=alpha,beta: must be among opening,alpha,best$"):
        study.study(questions, settings, ["alpha", "beta"])
    for seeds in ([], ["0", "0"], ["a"]):
        with pytest.raises(InputError, match=r"^--seeds=.*: must be different whole numbers$"):
            _seeds(seeds)
    for flags, message in (
        (f"{tiny_flags} --alhpa=1", "Unknown command line flag 'alhpa'"),
        (f"{tiny_flags} --steps=3", "--steps=3: must be a multiple of --steps_per_epoch=2"),
        ("--flagfile=nowhere.flags", "--flagfile=nowhere.flags: No such file"),
    ):
        wrong = (Question("q", "Q", "?", (Run("a run", flags),)),)
        with pytest.raises(InputError, match=f"^the run 'a run': {message}"):
            study.study(wrong, settings)
    assert not Path(settings.runs_dir).exists()


# The command, on questions of the test's own.
STUDY = """
import signal, sys
from frame_io import command_line
from tf_inbetween.study import __main__ as command
from tf_inbetween.study import run as study
from tf_inbetween.study.definitions import Best, Question, Run

tiny, kettle = sys.argv.pop(1), sys.argv.pop(1)
short = Run("short", f"{tiny} --alpha=1")
impossible = Run("impossible", f"{tiny} --scene={kettle}")
command.QUESTIONS = (
    Question("first", "First", "?", (short,)),
    Question("second", "Second", "?", (
        *((impossible,) if kettle else ()),
        Run("long", f"{tiny} --steps=40"),
    )),
    Question("third", "Third", "?", (Best("best", (short,), more="--steps=60"),)),
)
study._POLL = 0.1
command.define_flags()
signal.signal(signal.SIGTERM, command._stop)
command_line.run(command.main)
"""


@pytest.mark.slow
def test_a_killed_study_ends_as_if_it_had_not_been(tiny_flags, tmp_path):
    tiny = f"{tiny_flags} --scene=linked_arm_2clips --min_gap=2 --max_gap=32"
    flags = ["--seeds=0", "--steps=2", "--steps_per_epoch=2", "--pairs=2", "--validation_pairs=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(tmp_path / "tfds")}
    settings = Settings(str(tmp_path / "runs/study"), "", (0,), 2, 2, 2, 2)
    short, long, winner = (
        Job(Run("", f"{tiny} {flag}"), 0, "test", settings)
        for flag in ("--alpha=1", "--steps=40", "--alpha=1 --steps=60")
    )

    def start(impossible="kettle"):
        return subprocess.Popen(
            [sys.executable, "-c", STUDY, tiny, impossible, *flags],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(process, job, step):
        while job.step() < step:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)

    # Everything is killed at once, as when the power fails.
    process = start()
    wait_for(process, long, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = {path: path.stat().st_mtime_ns for path in files(short.run_dir)}
    assert any(path.name == "metrics.json" for path in done)
    cut_at = long.step()
    assert cut_at < 40

    # Then the study alone: what it runs goes on, and is waited for. Then all, after the choice.
    process = start()
    wait_for(process, long, cut_at + 2)
    process.kill()
    process.communicate()
    process = start()
    wait_for(process, winner, 2)
    os.killpg(process.pid, signal.SIGKILL)
    said, _ = process.communicate()
    assert "waiting for a study, or for what a killed one left running" in said
    log = long.log.read_text()
    assert log.count("resuming at step") == 1
    assert re.search(rf"resuming at step {cut_at} of 40", log)
    assert long.state() == "done"
    assert log.count("evaluate --run_dir") == 1

    # It goes on, in spite of a run that fails.
    process = start()
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 1, said
    assert "1 of the runs failed: tiny,max_gap=32,min_gap=2,scene=kettle,seed=0" in said
    assert "unknown scene 'kettle'" in said
    assert winner.log.read_text().count("resuming at step") == 1
    page = (tmp_path / "docs/results/second.md").read_text()
    assert "**Missing (1):** impossible, `kettle`: seed 0." in page

    # Done is done, and the pages are complete.
    done = {
        path: path.stat().st_mtime_ns
        for job in (short, long, winner)
        for path in files(job.run_dir)
    }
    process = start(impossible="")
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert {path: path.stat().st_mtime_ns for path in done} == done
    page = (tmp_path / "docs/results/README.md").read_text()
    assert "missing" not in page
    for label in ("short", "long", "best: short"):
        assert f"| {label} | 1 " in page
    for path in re.findall(r"!\[.*?\]\((.*?)\)", page):
        assert (tmp_path / "docs/results" / path).stat().st_size > 1000

    # Stopped by a signal that can be caught, it stops what it runs.
    shutil.rmtree(long.run_dir)
    process = start()
    wait_for(process, long, 2)
    process.terminate()
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith("interrupted")
    with study.only_one(settings.runs_dir):
        assert long.state() == "cut off"


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]
