import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import child
from benchmarks.child import Child

ROOT = Path(__file__).parents[2]
MODULE = "benchmarks_child_rivals"
SOURCE = """
import os, subprocess, time

def rivals(seconds, fail=False):
    if fail:
        import no_such_package_anywhere
    print("libraries print")

    def work(steps):
        print("and print")
        end = time.process_time() + seconds * steps
        while time.process_time() < end:
            pass
        return steps

    def broken(steps):
        raise ValueError("of no\\nuse")

    return {"work": (work, {"triplets": 3}), "broken": (broken, {})}
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return MODULE


def test_a_child_works_in_its_own_process_and_says_what_it_used(module):
    with Child(module, seconds=0.05) as rivals:
        assert rivals.facts == {"work": {"triplets": 3}, "broken": {}}
        before = time.process_time()
        used = rivals.runs("work")["work"](4)
        assert 0.19 < used < 0.5
        assert time.process_time() - before < 0.1
        assert rivals.values["work"] == 4
        assert rivals.memory_mib > 1
        with pytest.raises(RuntimeError, match=r"^ValueError: of no use$"):
            rivals.run("broken", 1)
        assert rivals.run("work", 1) > 0


def test_children_take_turns_by_what_a_step_is_worth(module, tmp_path):
    one = SOURCE.replace('"broken": (broken, {})', "").replace("triplets", "steps")
    (tmp_path / f"{MODULE}.py").write_text(one)
    settings = {"slow": {"seconds": 0.02}, "fast": {"seconds": 0.01}}
    rows = child.children_take_turns(module, settings, 3, 0.1)["rows"]
    assert list(rows) == ["slow", "fast"]
    assert rows["slow"]["cpu_ms"] == pytest.approx(20 / 3, rel=0.3)  # 3 in 20 ms of CPU
    assert all(row["memory_mib"] > 5 for row in rows.values())


def test_what_cannot_be_set_up_is_one_line(module):
    with pytest.raises(RuntimeError, match=r"no package no_such.*pip install 'tf_inbetween\[bench"):
        Child(module, seconds=1, fail=True)


def test_a_child_has_no_tensorflow_unless_its_rivals_have(module):
    line = "import sys, benchmarks.child; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", line], cwd=ROOT, check=True)


def test_a_child_that_dies_is_an_error(module):
    with Child(module, seconds=0) as rivals:
        rivals._process.kill()
        rivals._process.wait()
        with pytest.raises(RuntimeError, match="its process ended"):
            rivals.run("work", 1)


def test_the_time_of_processes_that_it_started_counts(tmp_path):
    busy = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
    before = child._cpu_seconds()
    process = subprocess.Popen(
        [sys.executable, "-c", busy + "print(flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    assert child._cpu_seconds() - before > 0.25
    process.communicate(b"\n")
