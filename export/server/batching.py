"""Server-side batching: the rows of several requests run as one.

Requests for the same signature whose shapes differ only in the first dimension share a batch. On an
idle server a request runs at once; while a batch runs, others queue. The limits and their errors
are those of TensorFlow Serving's batching guide, and so is the padding to one of
`allowed_batch_sizes` with copies of a row.
"""

import asyncio
import dataclasses
import functools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from export.server.errors import ServingError, from_exception, invalid


@dataclasses.dataclass(eq=False)  # Arrays have no single truth value.
class _Task:
    inputs: dict
    rows: int
    items: int
    future: asyncio.Future
    arrived: float


@dataclasses.dataclass(eq=False)
class _Batch:
    signature: object
    key: tuple | None  # None for a request that runs alone.
    deadline: float
    tasks: list = dataclasses.field(default_factory=list)
    rows: int = 0
    items: int = 0


class Batcher:
    """Runs signatures in threads. All methods belong to one event loop.

    Args:
        parameters: a `server_config.Batching`.
        enabled: whether requests share batches; else each runs alone.
        max_items: how many items the open dimensions of a batch may have, rows times frames.
        observe: called in a thread after every run with the rows it had, padding left out, its
            seconds, and the seconds that each of its requests had waited.
    """

    def __init__(self, parameters, enabled=True, max_items=float("inf"), observe=lambda *_: None):
        self._parameters = parameters
        self._enabled = enabled
        self._max_items = max_items
        self._observe = observe
        self._threads = ThreadPoolExecutor(parameters.num_batch_threads, "batch")
        self._waiting = []  # Oldest first.
        self._open = {}  # Key -> the batch that takes more rows; all of them wait.
        self._running = 0
        self._timer = None

    @property
    def running(self):
        """How many batches run."""
        return self._running

    async def run(self, signature, inputs):
        """Runs a signature on one request's inputs.

        Args:
            signature: a `servable.Signature`.
            inputs: input name -> array, checked.

        Returns:
            Output name -> array.

        Raises:
            ServingError: what the graph says; INVALID_ARGUMENT for more rows than a batch has or
                rows that differ between inputs; UNAVAILABLE if too many batches wait already.
        """
        loop = asyncio.get_running_loop()
        key = None
        sizes = {len(array) for array in inputs.values()} if signature.batched else {1}
        rows = max(sizes)
        if self._enabled and signature.batched:
            if len(sizes) > 1:
                raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
            if rows > self._parameters.max_batch_size:
                raise invalid(
                    f"Task size {rows} is larger than maximum input batch size"
                    f" {self._parameters.max_batch_size}"
                )
            key = (signature, *(array.shape[1:] for array in inputs.values()))
        items = max((_items(signature, name, array) for name, array in inputs.items()), default=0)
        task = _Task(inputs, rows, items, loop.create_future(), loop.time())
        batch = self._open.get(key)
        if batch is None or not self._has_room(batch, task):
            if len(self._waiting) >= self._parameters.max_enqueued_batches:
                raise ServingError(
                    "UNAVAILABLE",
                    "The batch scheduling queue to which this task was submitted is full:"
                    f" {len(self._waiting)} batches wait",
                )
            wait = self._parameters.batch_timeout_micros * 1e-6
            batch = _Batch(signature, key, task.arrived + wait)
            self._waiting.append(batch)
            if key is not None:
                self._open[key] = batch
        batch.tasks.append(task)
        batch.rows += rows
        batch.items += items
        # Not at once: requests that arrived together should join it.
        loop.call_soon(self._dispatch)
        return await task.future

    def close(self):
        """Drops waiting batches; running ones end in their threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _has_room(self, batch, task):
        return (
            batch.rows + task.rows <= self._parameters.max_batch_size
            and batch.items + task.items <= self._max_items
        )

    def _is_full(self, batch):
        return (
            batch.rows >= self._parameters.max_batch_size
            or batch.items >= self._max_items
            or self._open.get(batch.key) is not batch
        )

    def _dispatch(self):
        """Starts what is ready while a thread is free."""
        loop = asyncio.get_running_loop()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._waiting and self._running < self._parameters.num_batch_threads:
            now = loop.time()
            ready = (
                batch
                for batch in self._waiting
                if not self._running or batch.deadline <= now or self._is_full(batch)
            )
            batch = next(ready, None)
            if batch is None:
                soonest = min(batch.deadline for batch in self._waiting)
                self._timer = loop.call_at(soonest, self._dispatch)
                return
            self._waiting.remove(batch)
            if self._open.get(batch.key) is batch:
                del self._open[batch.key]
            batch.tasks = [task for task in batch.tasks if not task.future.done()]
            if batch.tasks:  # Otherwise all clients have disconnected.
                self._running += 1
                run = loop.run_in_executor(self._threads, self._run_batch, batch, now)
                run.add_done_callback(functools.partial(self._finish, batch))

    def _finish(self, batch, run):
        self._running -= 1
        error = run.exception()
        outcomes = [from_exception(error)] * len(batch.tasks) if error else run.result()
        for task, outcome in zip(batch.tasks, outcomes, strict=True):
            if task.future.done():
                continue
            if isinstance(outcome, ServingError):
                task.future.set_exception(outcome)
            else:
                task.future.set_result(outcome)
        self._dispatch()

    def _run_batch(self, batch, started):
        """The outputs or the `ServingError` of every task of a batch; in a thread."""
        start = time.perf_counter()
        if batch.key is None:
            outcomes = [_attempt(batch.signature.run, batch.tasks[0].inputs)]
        else:
            outcomes = self._run_joined(batch.signature, batch.tasks)
        rows = sum(task.rows for task in batch.tasks)
        waits = [started - task.arrived for task in batch.tasks]
        self._observe(rows, time.perf_counter() - start, waits)
        return outcomes

    def _run_joined(self, signature, tasks):
        outcome = _attempt(self._join_and_run, signature, tasks)
        if not isinstance(outcome, ServingError):
            return outcome
        if len(tasks) == 1:
            return [outcome]
        # One bad request must not fail its neighbours.
        return [outcome for task in tasks for outcome in self._run_joined(signature, [task])]

    def _join_and_run(self, signature, tasks):
        rows = sum(task.rows for task in tasks)
        sizes = self._parameters.allowed_batch_sizes
        padding = next((size for size in sizes if size >= rows), rows) - rows if rows else 0
        inputs = {}
        for name in signature.inputs:
            arrays = [task.inputs[name] for task in tasks]
            if padding:
                row = next(array for array in arrays if len(array))[:1]
                arrays += [row] * padding
            inputs[name] = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        outputs = signature.run(inputs)
        for name, array in outputs.items():
            if len(array) != rows + padding:
                raise ServingError(
                    "FAILED_PRECONDITION",
                    f"Batched output tensor's 0th dimension does not equal the sum of the 0th"
                    f" dimension sizes of the input tensors: output {name!r} has {len(array)} rows",
                )
        split, end = [], 0
        for task in tasks:
            start, end = end, end + task.rows
            split.append({name: array[start:end] for name, array in outputs.items()})
        return split


def _attempt(function, *arguments):
    """A function's result, or the `ServingError` for what it raised."""
    try:
        return function(*arguments)
    except Exception as error:
        return from_exception(error)


def _items(signature, name, array):
    """The product of the dimensions that the signature leaves open."""
    shape = signature.inputs[name].shape
    if shape is None:
        return array.size
    items = 1
    for want, size in zip(shape, array.shape, strict=True):
        items *= 1 if want is not None else size
    return items
