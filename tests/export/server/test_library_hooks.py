"""The private names of libraries that the server and the check use are still there."""

import inspect

from aiohttp.web_protocol import RequestHandler
from tensorflow.python.framework import op_def_registry


def test_aiohttp_keeps_the_future_that_an_idle_connection_waits_for():
    assert "_waiter" in RequestHandler.__slots__
    assert "self._waiter = " in inspect.getsource(RequestHandler.start)


def test_tensorflow_tells_its_operations_by_name():
    assert op_def_registry.get("Conv2D").name == "Conv2D"
    assert op_def_registry.get("NoSuchOperation") is None
