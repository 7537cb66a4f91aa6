"""Worker processes: same bytes, same order, bounded memory, clear death."""

import itertools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from data_gen import pool, scenes
from data_gen.scenes import Part, Picture

SCENE = scenes.get("teapot_1dof")


def picture(angle):
    return Picture(SCENE.parts([float(angle)]))


def render(workers, count):
    with pool.RenderPool(SCENE.view, 24, 3, 1, workers) as renderers:
        return np.stack(list(renderers.render(picture(a) for a in range(count))))


def test_worker_count_does_not_change_the_bytes():
    here = render(0, 30)
    assert here.shape == (30, 24, 24, 3)
    for workers in (1, 3):
        np.testing.assert_array_equal(render(workers, 30), here)


def test_endless_input_is_read_a_bounded_way_ahead():
    asked = itertools.count()
    pictures = (picture(next(asked)) for _ in itertools.repeat(None))
    with pool.RenderPool(SCENE.view, 8, 1, 1, workers=1) as renderers:
        rendered = renderers.render(pictures)
        for _ in range(50):
            next(rendered)
    assert 50 <= next(asked) < 100


def test_a_worker_that_fails_is_one_clear_error():
    bad = Part("no_such_mesh", np.eye(4), (1.0, 1.0, 1.0))
    with (
        pool.RenderPool(SCENE.view, 8, 1, 1, workers=1) as renderers,
        pytest.raises(RuntimeError, match="ended with code 1: ValueError: unknown mesh"),
    ):
        list(renderers.render([Picture([bad])]))


def test_a_worker_that_is_killed_is_one_clear_error():
    with pool.RenderPool(SCENE.view, 8, 1, 1, workers=1) as renderers:
        rendered = renderers.render(picture(0) for _ in itertools.repeat(None))
        next(rendered)
        renderers._processes[0].kill()
        with pytest.raises(RuntimeError, match="ended with code -9"):
            list(rendered)


def test_negative_workers():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        pool.RenderPool(SCENE.view, 8, workers=-1)


def test_workers_die_with_their_parent():
    script = """
import time
from data_gen import pool, scenes
scene = scenes.get("teapot_1dof")
with pool.RenderPool(scene.view, 8, 1, 1, workers=1) as renderers:
    next(renderers.render([scenes.Picture(scene.parts([0.0]))]))
    print(renderers._processes[0]._process.pid, flush=True)
    time.sleep(60)
"""
    root = os.path.dirname(os.path.dirname(pool.__file__))
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    ) as parent:
        worker = int(parent.stdout.readline())
        assert _alive(worker)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(worker)


def test_workers_do_not_load_tensorflow():
    script = "import sys, data_gen.worker; assert 'tensorflow' not in sys.modules"
    root = os.path.dirname(os.path.dirname(pool.__file__))
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": root}
    )


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = f"/proc/{pid}/stat"
    if os.path.exists(stat):
        try:
            with open(stat) as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False
    return True
