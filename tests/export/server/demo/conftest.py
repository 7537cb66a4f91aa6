"""A tab of a browser, the page in it, and what it is to show."""

import functools
import http.server
import threading
from pathlib import Path

import pytest
from chromium import Browser, Page, read_png

from export import client
from export.server import demo_page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def tab(browser):
    tab = Page(browser)
    yield tab
    tab.close()


@pytest.fixture
def page(tab, blend_server):
    """The page with its first samples, drawn. In the end nothing was wrong, nor anyone else asked.

    A test that makes the server refuse clears `tab.events` itself.
    """
    tab.open(f"{blend_server[0]}/")
    tab.drawn()
    yield tab
    assert tab.complaints() == []
    elsewhere = [url for url in tab.requests() if not url.startswith((blend_server[0], "data:"))]
    assert elsewhere == []


@pytest.fixture
def samples(blend_model_dir):
    """The bytes of the samples, in order."""
    folder = blend_model_dir / "1" / "assets.extra" / "samples"
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@pytest.fixture
def truth(blend_server):
    """What the server draws between two files at one t, uint8 [H, W, 3]."""
    rest = client.connect(blend_server[0], "blend")

    def draw(first_bytes, second_bytes, t):
        frames, _ = client.draw(rest, first_bytes, second_bytes, [t])
        return read_png(frames[0])

    return draw


@pytest.fixture
def elsewhere():
    """The address of a plain file server of the page: no samples, no model."""
    folder = Path(demo_page.__file__).parent / "demo"

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
