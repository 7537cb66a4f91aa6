"""How often one address may ask."""

import contextlib

import pytest

from export.server import access
from export.server.errors import ServingError


def test_the_rate_is_per_address(monkeypatch):
    now = 0.0
    monkeypatch.setattr(access.time, "monotonic", lambda: now)
    gate = access.Access(max_per_second=4)

    def passes(address, count):
        passed = 0
        for _ in range(count):
            with contextlib.suppress(ServingError):
                gate.pace(address)
                passed += 1
        return passed

    assert passes("10.0.0.1", 9) == 4  # One second's worth at once.
    assert passes("10.0.0.2", 9) == 4
    assert passes("::ffff:10.0.0.2", 9) == 0
    assert passes("2001:db8::1", 9) == 4
    assert passes("2001:db8::2", 9) == 0  # Whoever has one of 2^64 addresses has them all.
    now += 0.25
    assert passes("10.0.0.1", 9) == 1
    now += 100
    assert passes("10.0.0.1", 9) == 4
    slow = access.Access(max_per_second=0.5)
    slow.pace("a")
    with pytest.raises(ServingError, match=r"^more than 0\.5 requests a second from a, the server"):
        slow.pace("a")
    monkeypatch.setattr(access, "_MAX_ADDRESSES", 3)
    for i in range(100):
        slow.pace(f"10.0.1.{i}")
    assert len(slow._due) == 3
