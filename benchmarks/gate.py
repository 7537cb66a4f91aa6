"""Keras' own `fit`, one turn at a time."""

import threading

import keras


class Gate(keras.callbacks.Callback):
    """Runs a `fit` that goes on for ever in a thread and lets it through n times.

    So a turn is the middle of a long `fit`, whose start is not measured each time.
    """

    def __init__(self, fit):
        """`fit`: a function that is given this callback and calls `model.fit` with it."""
        super().__init__()
        self._allowed, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._error = None
        threading.Thread(target=self._run, args=(fit,), daemon=True).start()

    def let_through(self, count):
        """Waits for `count` calls of the training function. Raises what stopped `fit`."""
        self._allowed.release(count)
        for _ in range(count):
            self._done.acquire()
            if self._error:
                raise self._error

    def on_train_batch_begin(self, batch, logs=None):
        """Waits until it is allowed."""
        self._allowed.acquire()

    def on_train_batch_end(self, batch, logs=None):
        """Says that one is done."""
        self._done.release()

    def _run(self, fit):
        try:
            fit(self)
            self._error = RuntimeError("fit came to its end")
        except Exception as error:
            self._error = error
        self._done.release()
