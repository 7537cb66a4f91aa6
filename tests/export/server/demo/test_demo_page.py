"""The page in headless Chromium: the slider, playing, what is said, the layout."""

import json
import re

import numpy as np
import pytest
from chromium import CHROMIUM, read_png
from drawn_pictures import picture, stripes

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH to show the page in")


def predictions(page):
    """The signatures asked for, in order."""
    return [
        json.loads(params["request"]["postData"])["signature_name"]
        for name, params in page.events
        if name == "Network.requestWillBeSent" and params["request"]["url"].endswith(":predict")
    ]


def test_dragging_the_slider_draws_what_the_server_answers(page, samples, truth):
    first, second = samples[0], samples[3]
    assert page.text("#model") == "blend, version 1"
    assert page.run("slider.value") == "50"
    for places in ([0.5, 0.45, 0.3, 0.21], [0.2, 0.6, 0.9], [0.9, 1.0], [1.0, 0.4, 0.0]):
        page.slide(places)
        position, drawn = page.drawn()
        assert abs(position / 100 - places[-1]) < 0.02
        assert page.text("#value") == f"t = {position / 100:.2f}"
        np.testing.assert_array_equal(drawn, truth(first, second, position / 100))
        fade = page.pixels("#fade canvas").astype(int)
        exact = (1 - position / 100) * read_png(first) + position / 100 * read_png(second)
        np.testing.assert_allclose(fade, exact, atol=2)
    assert "Confidence 0.88: the pictures are like those" in page.text("#confidence")
    assert page.run("document.querySelector('#confidence').className") == ""


def test_the_slider_answers_to_the_keyboard(page, samples, truth):
    page.run("slider.focus()")
    for key, position in [("ArrowRight", 51), ("ArrowLeft", 50), ("ArrowLeft", 49), ("Home", 0)]:
        page.key(key)
        place, drawn = page.drawn()
        assert place == position
        np.testing.assert_array_equal(drawn, truth(samples[0], samples[3], position / 100))


def test_everything_is_reached_with_tab_and_has_a_name_and_an_outline(page):
    page.run("document.querySelector('#request').open = true")
    reached = []
    for _ in range(16):
        page.key("Tab")
        reached.append(page.run("document.activeElement.id || document.activeElement.tagName"))
        outline = """(() => {
          const element = document.activeElement;
          const shown = element.type === "file" ? element.nextElementSibling : element;
          return getComputedStyle(shown).outlineStyle + getComputedStyle(shown).outlineWidth;
        })()"""
        assert page.run(outline) == "solid2px", reached
    assert reached == [
        *("INPUT", "INPUT", "play", "t", *["BUTTON"] * 9, "SUMMARY", "PRE", "copy"),
    ]
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "image", "DisclosureTriangle"}
    for node in nodes:
        if not node["ignored"] and node["role"]["value"] in roles:
            assert node["name"]["value"], node


def test_one_request_at_a_time_and_the_latest_wins(page, samples, truth):
    page.call(
        "Network.emulateNetworkConditions",
        **{"offline": False, "latency": 300, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    page.events.clear()
    page.slide(np.linspace(0.5, 0.1, 25))
    position, drawn = page.drawn()
    np.testing.assert_array_equal(drawn, truth(samples[0], samples[3], position / 100))
    assert 2 <= len(predictions(page)) < 20
    in_flight = set()
    for name, params in page.events:
        if name == "Network.requestWillBeSent":
            assert not in_flight
            in_flight.add(params["requestId"])
        elif name in ("Network.loadingFinished", "Network.loadingFailed"):
            in_flight.discard(params["requestId"])
    page.events.clear()
    page.run("slider.focus()")
    page.key("ArrowRight")
    page.drawn()
    page.key("ArrowLeft")
    assert page.drawn()[0] == position
    assert len(predictions(page)) == 1  # What was drawn before is not asked for again.


def test_play_goes_there_and_back_on_one_request(page, samples, truth):
    page.events.clear()
    page.run(
        """
        window.seen = [];
        new MutationObserver(() => seen.push(Number(drawnCanvas.dataset.t)))
          .observe(drawnCanvas, {attributeFilter: ["data-t"]});
        """
    )
    page.click("#play")
    assert page.text("#play") == "Pause"
    page.until("seen.includes(100) && seen.includes(0)")
    page.run("document.querySelector('#play').focus()")
    page.key(" ")
    assert page.text("#play") == "Play"
    assert predictions(page) == ["sequence_png"]
    seen = page.run("seen")
    assert set(seen) <= set(range(0, 101, 2))
    turns = np.sign(np.diff(seen))
    assert set(turns[turns != 0]) == {-1, 1}
    position, drawn = page.drawn()
    np.testing.assert_array_equal(drawn, truth(samples[0], samples[3], position / 100))
    page.slide([0.5, 0.3])
    page.drawn()
    page.click("#play")
    page.until("seen.length > 5")
    assert predictions(page).count("sequence_png") == 1
    page.slide([0.5, 0.3])  # A hand on the slider stops it.
    assert page.text("#play") == "Play"


def test_what_was_copied_is_laid_over_the_frame(tab, masked_model_dir, run_server):
    masked = "document.querySelector('#drawn canvas').className === 'masked'"
    plain = "document.querySelector('#drawn canvas').className === ''"
    with run_server(masked_model_dir, demo=True) as server:
        tab.open(f"http://127.0.0.1:{server.port}/")
        frame = tab.drawn()[1].astype(int)
        tab.until("!document.querySelector('#copied').hidden")
        assert tab.run("document.querySelector('#key').hidden")
        assert "mask_png" not in predictions(tab)
        tab.click("#mask")
        tab.until(masked)
        assert not tab.run("document.querySelector('#key').hidden")
        mask = [127.5, 127.5, 0]
        np.testing.assert_allclose(
            tab.pixels("#drawn canvas"), 0.4 * frame + 0.6 * np.array(mask), atol=2
        )
        tab.slide([0.5, 0.25])
        tab.until(masked)
        assert "with what was copied" in tab.run(
            "document.querySelector('#drawn canvas').getAttribute('aria-label')"
        )
        # Played frames are shown alone.
        tab.click("#play")
        tab.until(plain)
        tab.click("#play")
        tab.until(masked)
        assert predictions(tab).count("sequence_png") == 1
        tab.click("#mask")
        tab.until(plain)
        assert tab.run("document.querySelector('#key').hidden")
        tab.slide([0.25, 0.5])
        np.testing.assert_array_equal(tab.drawn()[1], frame)
        assert tab.complaints() == []


def test_a_model_that_copies_nothing_has_no_checkbox(page):
    assert page.run("document.querySelector('#copied').hidden")


def test_low_confidence_is_said(page, tmp_path):
    page.pick("first", picture(tmp_path / "white.png", np.full((32, 32, 3), 255)))
    page.until("document.querySelector('#confidence').className === 'low'")
    assert page.text("#confidence") == (
        "Confidence 0.06: a picture is unlike the training pictures, or the two are too far apart."
        " Do not trust what it draws."
    )
    page.click("#strip button:nth-child(1)")  # The second picture's turn.
    page.click("#strip button:nth-child(2)")
    page.until("document.querySelector('#confidence').className === ''")


def test_what_the_server_refuses_is_one_line_and_does_not_stay(page, tmp_path):
    page.pick("second", picture(tmp_path / "small.png", stripes(52)[:13, :13]))
    said = page.until("document.querySelector('#error').textContent")
    assert said.startswith("The server says 400: ")
    assert "pictures of 13 pixels are refused" in said
    assert page.run("document.querySelector('#drawn canvas').className") == "stale"
    page.click("#play")
    page.until("document.querySelector('#play').textContent === 'Play'")
    page.pick("second", picture(tmp_path / "good.png", stripes(32)))
    page.until("document.querySelector('#error').textContent === ''")
    page.drawn()
    refused = [params["entry"]["text"] for params in page.complaints()]
    assert all("400" in text for text in refused)  # Chromium notes them in the console.
    page.events.clear()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 700, 1200])
def test_nothing_reaches_over_the_edge(tab, blend_server, width, dark):
    tab.open(f"{blend_server[0]}/", width, 800, dark)
    tab.drawn()
    tab.run("document.querySelector('#request').open = true")
    assert tab.run("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    overlapping = """(() => {
      const boxes = ["first", "drawn", "fade", "second", "controls"]
        .map((id) => document.getElementById(id).getBoundingClientRect());
      return boxes.some((a, i) => boxes.slice(i + 1).some((b) =>
        a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom));
    })()"""
    assert tab.run(overlapping) is False
    background = tab.run("getComputedStyle(document.body).backgroundColor")
    assert (int(re.search(r"\d+", background)[0]) < 128) == dark
