"""Batching: what shares a run, what does not, and what happens when it fails or is too much."""

import asyncio
import threading

import numpy as np
import pytest

from export.server import tensor_specs
from export.server.batching import Batcher
from export.server.errors import ServingError, invalid
from export.server.server_config import Batching


class Doubling:
    """A signature that doubles x, notes the rows of every run, and runs when it is let."""

    def __init__(self, batched=True):
        shape = (None, None) if batched else (1, None)
        self.inputs = {"x": tensor_specs.Spec("x:0", 1, np.dtype(np.float32), shape)}
        self.batched = batched
        self.runs = []
        self.go = threading.Event()

    def run(self, inputs):
        self.runs.append(inputs["x"][:, 0].tolist())
        assert self.go.wait(60)
        if (inputs["x"] < 0).any():
            raise invalid("x is negative")
        return {"y": 2 * inputs["x"], "rows": np.arange(len(inputs["x"]))}


def rows(*values, width=1):
    return {"x": np.repeat(np.float32(values)[:, None], width, 1)}


def run(parameters, script, **options):
    """Runs `script(batcher, start)` on a loop; `start` starts a request and lets it be queued."""

    async def main():
        batcher = Batcher(parameters, **options)

        async def start(signature, inputs):
            task = asyncio.create_task(batcher.run(signature, inputs))
            for _ in range(5):
                await asyncio.sleep(0)
            return task

        try:
            return await asyncio.wait_for(script(batcher, start), 60)
        finally:
            batcher.close()

    return asyncio.run(main())


# Long enough that no batch of these tests starts because of it.
ONE_THREAD = Batching(
    max_batch_size=4, batch_timeout_micros=3600 * 10**6, num_batch_threads=1, max_enqueued_batches=2
)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def test_requests_that_come_while_one_runs_share_the_next_run():
    signature = Doubling()

    async def script(batcher, start):
        tasks = [await start(signature, rows(0))]
        await until(lambda: signature.runs)
        tasks += [await start(signature, rows(*values)) for values in ([1], [2, 3], [4])]
        signature.go.set()
        return [(await task)["y"][:, 0].tolist() for task in tasks]

    assert run(ONE_THREAD, script) == [[0], [2], [4, 6], [8]]
    assert signature.runs == [[0], [1, 2, 3, 4]]


def test_no_run_has_more_than_max_batch_size_rows():
    signature = Doubling()

    async def script(batcher, start):
        tasks = [await start(signature, rows(0))]
        await until(lambda: signature.runs)
        tasks += [await start(signature, rows(*values)) for values in ([1, 2, 3], [4, 5])]
        signature.go.set()
        await asyncio.gather(*tasks)

    run(ONE_THREAD, script)
    assert signature.runs == [[0], [1, 2, 3], [4, 5]]


def test_a_full_batch_starts_on_a_free_thread():
    signature = Doubling()
    parameters = Batching(max_batch_size=2, batch_timeout_micros=3600 * 10**6, num_batch_threads=2)

    async def script(batcher, start):
        tasks = [await start(signature, rows(value)) for value in (0, 1, 2, 3)]
        # The lone first one started at once; the next two fill a batch; the last one waits.
        await until(lambda: len(signature.runs) == 2)
        assert batcher.running == 2
        signature.go.set()
        await asyncio.gather(*tasks)

    run(parameters, script)
    assert sorted(signature.runs) == [[0], [1, 2], [3]]


def test_a_batch_that_has_waited_its_time_starts_on_a_free_thread():
    signature = Doubling()
    parameters = Batching(batch_timeout_micros=1000, num_batch_threads=2)

    async def script(batcher, start):
        tasks = [await start(signature, rows(value)) for value in (0, 1)]
        await until(lambda: len(signature.runs) == 2)
        signature.go.set()
        await asyncio.gather(*tasks)

    run(parameters, script)
    assert signature.runs == [[0], [1]]


def test_different_shapes_and_signatures_do_not_mix():
    signature, other = Doubling(), Doubling()
    other.go.set()
    parameters = Batching(max_batch_size=4, batch_timeout_micros=3600 * 10**6, num_batch_threads=1)

    async def script(batcher, start):
        tasks = [await start(signature, rows(0))]
        await until(lambda: signature.runs)
        tasks.append(await start(signature, rows(1)))
        tasks.append(await start(signature, rows(2, width=3)))
        tasks.append(await start(other, rows(3)))
        tasks.append(await start(signature, rows(4)))
        tasks.append(await start(signature, rows(5, width=3)))
        signature.go.set()
        return [(await task)["y"].shape for task in tasks]

    shapes = run(parameters, script)
    assert shapes == [(1, 1), (1, 1), (1, 3), (1, 1), (1, 1), (1, 3)]
    assert signature.runs == [[0], [1, 4], [2, 5]]
    assert other.runs == [[3]]


@pytest.mark.parametrize(("batched", "enabled"), [(False, True), (True, False)])
def test_what_cannot_share_runs_alone(batched, enabled):
    signature = Doubling(batched)

    async def script(batcher, start):
        tasks = [await start(signature, rows(0))]
        await until(lambda: signature.runs)
        tasks += [await start(signature, rows(value)) for value in (1, 2)]
        signature.go.set()
        await asyncio.gather(*tasks)

    run(ONE_THREAD, script, enabled=enabled)
    assert signature.runs == [[0], [1], [2]]


def test_one_bad_request_does_not_fail_its_neighbours():
    signature = Doubling()

    async def script(batcher, start):
        tasks = [await start(signature, rows(0))]
        await until(lambda: signature.runs)
        tasks += [await start(signature, rows(value)) for value in (1, -2, 3)]
        signature.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = run(ONE_THREAD, script)
    assert signature.runs == [[0], [1, -2, 3], [1], [-2], [3]]
    assert [outcome["y"].tolist() for outcome in (*outcomes[:2], outcomes[3])] == [
        [[0]],
        [[2]],
        [[6]],
    ]
    assert isinstance(outcomes[2], ServingError)
    assert (outcomes[2].code, outcomes[2].message) == ("INVALID_ARGUMENT", "x is negative")


def test_an_output_with_other_rows_is_no_result_of_a_batch():
    class Summing(Doubling):
        def run(self, inputs):
            return {"y": super().run(inputs)["y"].sum(0)}

    signature = Summing()
    signature.go.set()

    async def script(batcher, start):
        await batcher.run(signature, rows(1, 2))

    with pytest.raises(ServingError, match="0th dimension does not equal") as caught:
        run(ONE_THREAD, script)
    assert caught.value.code == "FAILED_PRECONDITION"


def test_a_full_queue_refuses():
    signature = Doubling()

    async def script(batcher, start):
        tasks = [await start(signature, rows(0))]
        await until(lambda: signature.runs)
        tasks += [await start(signature, rows(1, 2, 3, 4)) for _ in range(2)]
        refused = await start(signature, rows(5))
        with pytest.raises(ServingError, match=r"queue .* is full: 2 batches wait") as caught:
            await refused
        assert (caught.value.code, caught.value.http_status) == ("UNAVAILABLE", 503)
        signature.go.set()
        await asyncio.gather(*tasks)
        return await batcher.run(signature, rows(5))

    assert run(ONE_THREAD, script)["y"] == [[10]]


def test_a_request_with_too_many_rows():
    async def script(batcher, start):
        await batcher.run(Doubling(), rows(1, 2, 3, 4, 5))

    with pytest.raises(ServingError, match=r"^Task size 5 is larger than maximum input batch size"):
        run(ONE_THREAD, script)


def test_a_batch_has_no_more_items_than_it_may():
    signature = Doubling()

    async def script(batcher, start):
        tasks = [await start(signature, rows(0, width=3))]
        await until(lambda: signature.runs)
        tasks += [await start(signature, rows(value, width=3)) for value in (1, 2, 3)]
        signature.go.set()
        await asyncio.gather(*tasks)

    run(ONE_THREAD, script, max_items=6)
    assert signature.runs == [[0], [1, 2], [3]]


def test_who_has_gone_is_not_run_for():
    signature = Doubling()

    async def script(batcher, start):
        first = await start(signature, rows(0))
        await until(lambda: signature.runs)
        gone, stays = await start(signature, rows(1)), await start(signature, rows(2))
        gone.cancel()
        lonely = await start(signature, rows(3, width=3))
        lonely.cancel()
        await asyncio.sleep(0)
        signature.go.set()
        await asyncio.gather(first, stays)
        # A request that leaves while it runs takes nothing with it.
        signature.go.clear()
        leaves = await start(signature, rows(4))
        await until(lambda: len(signature.runs) == 3)
        leaves.cancel()
        signature.go.set()
        return await batcher.run(signature, rows(5))

    assert run(ONE_THREAD, script)["y"] == [[10]]
    assert signature.runs == [[0], [2], [4], [5]]


def test_rows_are_filled_up_to_an_allowed_size():
    signature = Doubling()
    signature.go.set()
    seen = []
    parameters = Batching(max_batch_size=8, allowed_batch_sizes=(4, 8))

    async def script(batcher, start):
        return [await batcher.run(signature, rows(*values)) for values in ([7], range(5), [])]

    outputs = run(parameters, script, observe=lambda rows, *_: seen.append(rows))
    assert [output["rows"].tolist() for output in outputs] == [[0], [0, 1, 2, 3, 4], []]
    assert signature.runs == [[7, 7, 7, 7], [0, 1, 2, 3, 4, 0, 0, 0], []]
    assert seen == [1, 5, 0]


def test_nothing_is_kept_of_shapes_that_clients_made_up():
    signature = Doubling()
    signature.go.set()

    async def script(batcher, start):
        for width in range(1, 50):
            await batcher.run(signature, rows(1, width=width))
        return batcher

    batcher = run(ONE_THREAD, script)
    assert not batcher._open
    assert not batcher._waiting
