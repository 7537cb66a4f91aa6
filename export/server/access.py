"""Authentication, rate limits and concurrency limits. Nothing is queued here.

Both APIs share one `Access`; all its methods belong to one event loop.
"""

import contextlib
import hmac
import ipaddress
import math
import time

from export.server.errors import ServingError

_MAX_ADDRESSES = 10_000  # Whose pace is known; beyond, that of the one longest ago is forgotten.


class Access:
    """The token, the rate of every address, and the memory of all requests.

    Attributes:
        wants_token: whether clients must send one.

    Args:
        token: what clients must send; None for no authentication.
        max_per_second: requests of one address, in bursts of one second's worth; None for no limit.
        max_concurrent: concurrent predictions.
        max_buffered_mb: MiB of requests and answers in memory.
    """

    def __init__(
        self, token=None, max_per_second=None, max_concurrent=math.inf, max_buffered_mb=math.inf
    ):
        self.wants_token = token is not None
        self._token = token and token.encode()
        self._max_per_second = max_per_second
        self._max_concurrent = max_concurrent
        self._max_buffered_mb = max_buffered_mb
        self._due = {}  # Address -> when it would be at its pace again; the oldest first.
        self._concurrent = 0
        self._buffered = 0

    def pace(self, address):
        """Counts a request of an address (the generic cell rate algorithm).

        Raises:
            ServingError: RESOURCE_EXHAUSTED for one too many.
        """
        if self._max_per_second is None:
            return
        address = _network(address)
        now = time.monotonic()
        interval = 1 / self._max_per_second
        due = max(self._due.get(address, now), now)
        if due - now > max(0.0, 1.0 - interval):
            raise ServingError(
                "RESOURCE_EXHAUSTED",
                f"more than {self._max_per_second:g} requests a second from {address}, the server's"
                " --max_requests_per_second",
            )
        self._due.pop(address, None)
        self._due[address] = due + interval
        if len(self._due) > _MAX_ADDRESSES:
            del self._due[next(iter(self._due))]

    def authenticate(self, authorization):
        """Checks "Bearer TOKEN", the value of the header or of gRPC's metadata; None if missing.

        Raises:
            ServingError: UNAUTHENTICATED.
        """
        if not self.wants_token:
            return
        scheme, _, token = (authorization or "").partition(" ")
        # In constant time, so that timing reveals nothing about the token.
        right = hmac.compare_digest(token.strip().encode(errors="replace"), self._token)
        if scheme.lower() != "bearer" or not right:
            what = "wrong" if authorization else "missing"
            raise ServingError(
                "UNAUTHENTICATED", f"{what} token: this server needs `Authorization: Bearer TOKEN`"
            )

    @contextlib.contextmanager
    def work(self):
        """A slot among the concurrent predictions.

        Raises:
            ServingError: RESOURCE_EXHAUSTED, over HTTP 503, if none is free.
        """
        if self._concurrent >= self._max_concurrent:
            raise ServingError(
                "RESOURCE_EXHAUSTED",
                f"{self._concurrent} requests are running, the server's --max_concurrent_requests",
                503,
            )
        self._concurrent += 1
        try:
            yield
        finally:
            self._concurrent -= 1

    @contextlib.contextmanager
    def buffer(self):
        """Yields `hold`, a function that counts bytes in memory until the context ends.

        `hold` raises `ServingError`, RESOURCE_EXHAUSTED and over HTTP 503, if that is too many.
        """
        held = 0

        def hold(size):
            nonlocal held
            if self._buffered + size > self._max_buffered_mb * 2**20:
                raise ServingError(
                    "RESOURCE_EXHAUSTED",
                    f"requests and answers in memory exceed {self._max_buffered_mb} MB, the"
                    " server's --max_buffered_mb",
                    503,
                )
            held += size
            self._buffered += size

        try:
            yield hold
        finally:
            self._buffered -= held


def _network(address):
    """The address, or the /64 network of an IPv6 client."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
