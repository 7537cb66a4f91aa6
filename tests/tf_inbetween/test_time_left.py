"""The time left of trainings, on a clock that only moves as told."""

import types

import pytest

from tf_inbetween.callbacks import Progress
from tf_inbetween.time_left import TimeLeft


class Training:
    """Trains on a fake clock; yields (seconds since the start, step) after each call and pause."""

    def __init__(self, steps=1600, epoch=200, call=10, step=0.1, validation=1.5, tracing=25.0):
        self.steps, self.epoch, self.call = steps, epoch, call
        self.step, self.validation, self.tracing = step, validation, tracing
        self.now = 1000.0

    def clock(self):
        return self.now

    def run(self, time_left, done=0):
        traced = self.tracing
        first_pause = 4 * self.validation
        while done < self.steps:
            time_left.begin(done)
            for _ in range(self.epoch // self.call):
                self.now += traced + self.call * self.step
                traced, done = 0.0, done + self.call
                time_left.step(done)
                yield self.now, done
            self.now += self.validation + first_pause
            first_pause = 0.0
        time_left.begin(done)
        yield self.now, done


def estimates(training, done=0):
    """[(seconds since the start, seconds really left, the estimate)]."""
    time_left = TimeLeft(training.steps, training.epoch, 10, training.clock)
    seen = [(now - 1000, time_left.seconds) for now, _ in training.run(time_left, done)]
    end = training.now - 1000
    return [(now, end - now, estimate) for now, estimate in seen]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"step": 0.36, "steps": 4000, "validation": 6.0},
        {"step": 0.02, "steps": 16000, "validation": 0.4, "tracing": 60.0},
        {"call": 1, "epoch": 20, "validation": 0.3},
        {"call": 200, "step": 0.05},
    ],
)
def test_the_time_left_is_right_from_the_first_minute_on(settings):
    """Neither the traces nor the validations spoil it."""
    training = Training(**settings)
    seen = estimates(training)
    assert seen[0][2] is None  # One call, with its trace: not yet known.
    for now, left, estimate in seen[1:-1]:
        if now > 60:
            assert estimate == pytest.approx(left, rel=0.1)
    assert seen[-1][2] == 0


def test_restored_steps_do_not_count_as_speed():
    fresh, resumed = estimates(Training()), estimates(Training(), done=800)
    assert resumed[0][2] is None
    for now, left, estimate in resumed[1:-1]:
        if now > 60:
            assert estimate == pytest.approx(left, rel=0.1)
    assert resumed[1][2] == pytest.approx(fresh[1][2] / 2, rel=0.02)


def test_it_follows_a_machine_that_slows_down():
    training = Training(steps=2000)
    time_left = TimeLeft(training.steps, training.epoch, 10, training.clock)
    for _, done in training.run(time_left):
        if done == 1000:
            training.step = 0.3
        if done == 1200:  # An epoch later.
            assert time_left.seconds_per_step == pytest.approx(0.3)
            assert time_left.seconds == pytest.approx(800 * 0.3 + 5 * 1.5)


def test_the_line_of_a_training(tiny_config, capsys):
    """After the first call the time is not known; then it is, whatever was restored."""
    config = tiny_config(steps=40, steps_per_epoch=10, steps_per_execution=1, validation_steps=5)
    now = [0.0]
    progress = Progress(config, 20, clock=lambda: now[0])
    iterations = types.SimpleNamespace(numpy=lambda: done)
    optimizer = types.SimpleNamespace(iterations=iterations)
    progress.set_model(types.SimpleNamespace(optimizer=optimizer, kind="pictures"))
    done = 20
    progress.on_train_begin()
    progress.on_epoch_begin(2)
    now[0], done = 30.0, 21
    progress.on_train_batch_end(0)
    assert "21/40" in str(progress._bar)
    assert "? left, ? steps/s" in str(progress._bar)
    now[0], done = 34.0, 22
    progress.on_train_batch_end(1)
    # 18 steps of 4 s, and two pauses that count as 5 of them each.
    assert "22/40" in str(progress._bar)
    assert "01:52 left, 0.25 steps/s" in str(progress._bar)
    progress.on_epoch_end(2, {"val_loss": 1.5, "val_inbetween_mse": 0.25})
    assert "val_loss=1.5, val_inbetween_mse=0.25]" in str(progress._bar)
    done = 40
    progress.on_train_batch_end(19)
    progress.on_train_end()
    progress.close()
    assert "40/40" in capsys.readouterr().err.splitlines()[-1]
    assert "00:00 left" in str(progress._bar)
