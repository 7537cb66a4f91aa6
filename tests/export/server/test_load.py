"""Many clients at once: no error, and memory that stays where it is."""

import pytest

from benchmarks import serving


def test_sixty_four_clients_are_all_answered(exported, run_server):
    first, _ = serving.sample_pictures(exported)
    with run_server(exported) as server:
        where = {
            "pid": "self",
            "rest": f"127.0.0.1:{server.port}",
            "grpc": f"127.0.0.1:{server.grpc_port}",
            "model": "tiny",
        }
        for protocol in ("rest", "grpc"):
            turn = serving.turn(where, protocol, 64, 2, first, first)
            assert turn["errors"] == 0
            assert len(turn["latencies"]) >= 64


@pytest.mark.slow
def test_a_minute_of_sixty_four_clients_does_not_make_the_server_grow(exported):
    first, _ = serving.sample_pictures(exported)
    with serving.server(exported) as where:
        turns = [serving.turn(where, "rest", 64, 15, first, first) for _ in range(5)]
    assert sum(turn["errors"] for turn in turns) == 0
    memory = [turn["memory"] for turn in turns]
    # The first fills the allocator's pools.
    assert memory[-1] < 1.05 * memory[1], memory
