"""The page in headless Chromium: which server it asks, and how that lets it in."""

import numpy as np
import pytest
from chromium import CHROMIUM
from drawn_pictures import picture, stripes

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH to show the page in")


def test_the_page_works_from_elsewhere_and_calls_only_the_server_it_is_given(
    tab, elsewhere, blend_server, tmp_path, truth
):
    host = blend_server[0].removeprefix("http://")
    tab.open(f"{elsewhere}/?server={blend_server[0]}&model=blend")
    tab.until(f"document.querySelector('#model').textContent === 'blend, version 1 on {host}'")
    assert tab.run("document.querySelector('#samples').hidden")
    paths = [picture(tmp_path / f"{seed}.png", stripes(32, seed)) for seed in range(2)]
    tab.pick("first", paths[0])
    tab.pick("second", paths[1])
    tab.until("!slider.disabled")
    position, drawn = tab.drawn()
    first, second = (path.read_bytes() for path in paths)
    np.testing.assert_array_equal(drawn, truth(first, second, position / 100))
    assert tab.run("fetch('http://127.0.0.1:1/').catch((error) => error.name)") == "TypeError"
    blocked = [params["entry"]["text"] for params in tab.complaints() if "entry" in params]
    assert any("Content Security Policy" in text for text in blocked)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "Which model? Add ?model=NAME to the address of this page."),
        ("?server=here", "?server=here: must be http://HOST:PORT"),
        (
            "?model=blend&server=http://127.0.0.1:1",
            "http://127.0.0.1:1 cannot be reached, or does not allow this page to call it (CORS).",
        ),
        ("?model=blend", "The server says 404: File not found"),
    ],
)
def test_what_is_wrong_with_the_address_is_said(tab, elsewhere, address, said):
    tab.open(f"{elsewhere}/{address}")
    assert tab.until("document.querySelector('#error').textContent") == said


def test_a_server_with_a_token(tab, blend_model_dir, run_server, tmp_path):
    token = "a-token-of-many-letters"
    (tmp_path / "token").write_text(token)
    with run_server(blend_model_dir, demo=True, token_file=str(tmp_path / "token")) as server:
        tab.open(f"http://127.0.0.1:{server.port}/")
        enter = """
            document.getElementById('token').value = '%s';
            document.getElementById('login').requestSubmit();
        """
        tab.until("document.getElementById('login').hidden === false")
        assert "Enter the server's token." in tab.said()
        tab.run(enter % "wrong")
        tab.until("document.getElementById('error').textContent.includes('not the server')")
        tab.run(enter % token)
        tab.until("document.querySelector('#drawn canvas').dataset.t === '50'")
        assert tab.run("document.getElementById('login').hidden")
        shown = "[...document.querySelectorAll('#strip img')].filter((image) => image.naturalWidth)"
        tab.until(f"{shown}.length === 9")
        curl = "document.getElementById('request').open = true"
        tab.run(curl)
        tab.until("document.getElementById('curl').textContent.includes('Authorization: Bearer')")
        assert token not in tab.run("document.documentElement.outerHTML")
