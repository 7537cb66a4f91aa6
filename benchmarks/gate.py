"""Keras' own `fit`, one turn at a time."""

import queue
import threading

import keras


class Gate(keras.callbacks.Callback):
    """Runs a `fit` that goes on for ever in a thread and lets it through n times.

    So a turn is the middle of a long `fit`, whose start is not measured each time.
    """

    def __init__(self, fit):
        """`fit`: a function that is given this callback and calls `model.fit` with it."""
        super().__init__()
        self._allowed, self._done = threading.Semaphore(0), queue.SimpleQueue()
        threading.Thread(target=self._run, args=(fit,), daemon=True).start()

    def let_through(self, count):
        """Waits for `count` calls of the training function. Raises what stopped `fit`."""
        self._allowed.release(count)
        for _ in range(count):
            if error := self._done.get():
                raise error

    def on_train_batch_begin(self, batch, logs=None):
        """Waits until it is allowed."""
        self._allowed.acquire()

    def on_train_batch_end(self, batch, logs=None):
        """Says that one is done."""
        self._done.put(None)

    def _run(self, fit):
        try:
            fit(self)
            self._done.put(RuntimeError("fit came to its end"))
        except Exception as error:
            self._done.put(error)
