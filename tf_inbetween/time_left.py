"""How long a training still takes."""

import collections
import time


class TimeLeft:
    """Estimates the rest of a training from its own steps and pauses.

    After its steps, an epoch has a pause, in which the model is validated, drawn and saved. So the
    rest is

        steps left * seconds per step + pauses left * seconds per pause

    Left out are the first call, which traces the graph, and the first pause, which traces those of
    the validation and of drawing. Until a second pause is measured, a pause counts as one training
    step for each batch of the validation. Seconds per step are those of the last epoch's worth of
    steps, so that the estimate follows the machine. Steps that a checkpoint restored are not timed.
    """

    def __init__(self, steps, steps_per_epoch, validation_steps, clock=time.monotonic):
        """`clock`: a function that returns seconds."""
        self._steps, self._steps_per_epoch = steps, steps_per_epoch
        self._validation_steps, self._clock = validation_steps, clock
        self._done = self._since = self._pauses_left = None
        self._calls = collections.deque()  # (steps, seconds) of each, the newest last
        self._pauses = []  # seconds
        self._began = False  # Whether the first call is over.

    def begin(self, done):
        """Call where an epoch begins, and at the end of all; `done`: steps, also restored."""
        now = self._clock()
        if self._began:
            self._pauses.append(now - self._since)
        self._done, self._since = done, now
        self._pauses_left = (self._steps - done) // self._steps_per_epoch

    def step(self, done):
        """Call after each graph call of one or more steps; `done`: steps, also restored."""
        now = self._clock()
        if self._began:
            self._calls.append((done - self._done, now - self._since))
            if sum(steps for steps, _ in self._calls) > self._steps_per_epoch:
                self._calls.popleft()
        self._done, self._since, self._began = done, now, True

    @property
    def seconds_per_step(self):
        """Of training alone; None if not yet known."""
        if not self._calls:
            return None
        steps, seconds = map(sum, zip(*self._calls, strict=True))
        return seconds / steps

    @property
    def seconds(self):
        """The estimate; None if not yet known."""
        per_step = self.seconds_per_step
        if per_step is None:
            return None
        pauses = self._pauses[1:]
        pause = sum(pauses) / len(pauses) if pauses else self._validation_steps * per_step
        return (self._steps - self._done) * per_step + self._pauses_left * pause
