"""The page in headless Chromium: pictures that are given to it, and what it sends of them."""

import base64
import json
import subprocess

import numpy as np
import PIL.Image
import pytest
from chromium import CHROMIUM, read_png
from drawn_pictures import picture, stripes

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH to show the page in")


def test_what_is_no_picture_is_said_and_the_old_one_stays(page, tmp_path, samples, truth):
    (tmp_path / "notes.txt").write_text("no picture")
    page.drop("#first", tmp_path / "notes.txt")
    said = page.until("document.querySelector('#error').textContent")
    assert said == "notes.txt: not a picture that this browser can read."
    position, drawn = page.drawn()
    np.testing.assert_array_equal(drawn, truth(samples[0], samples[3], position / 100))


def test_two_pictures_dropped_anywhere_are_both_ends(page, tmp_path, truth):
    paths = [picture(tmp_path / f"{seed}.png", stripes(32, seed)) for seed in range(2)]
    page.drop("h1", *paths)
    page.until("document.querySelector('#first-name').textContent === '0.png'")
    page.until("document.querySelector('#second-name').textContent === '1.png'")
    position, drawn = page.drawn()
    first, second = (path.read_bytes() for path in paths)
    np.testing.assert_array_equal(drawn, truth(first, second, position / 100))


UPSIDE_DOWN = PIL.Image.Exif()
UPSIDE_DOWN[0x0112] = 3


def sent(page):
    """The first picture of the latest request."""
    bodies = [
        params["request"]["postData"]
        for name, params in page.events
        if name == "Network.requestWillBeSent" and "postData" in params["request"]
    ]
    inputs = json.loads(bodies[-1])["inputs"]
    return base64.b64decode(inputs["first_bytes"][0]["b64"])


@pytest.mark.parametrize(
    ("name", "size", "options", "shape"),
    [
        ("a.jpg", 64, {}, None),
        ("a.webp", 64, {"lossless": True}, (64, 64, 3)),
        ("huge.png", 2052, {}, (1024, 1024, 3)),
        (
            "turned.jpg",
            64,
            {"exif": UPSIDE_DOWN},
            (64, 64, 3),
        ),
    ],
)
def test_pictures_are_sent_as_they_are_unless_a_server_would_misread_them(
    page, tmp_path, name, size, options, shape
):
    path = picture(tmp_path / name, stripes(size), **options)
    page.events.clear()
    page.drop("#first", path)
    page.until(f"document.querySelector('#first-name').textContent === '{name}'")
    page.drawn()
    if shape is None:
        assert sent(page) == path.read_bytes()
        return
    pixels = read_png(sent(page))
    assert pixels.shape == shape
    expected = stripes(size)[::-1, ::-1] if "turned" in name else stripes(size)
    middles = slice(size // 8, None, size // 4)
    at_middles = pixels[
        slice(shape[0] // 8, None, shape[0] // 4), slice(shape[0] // 8, None, shape[0] // 4)
    ]
    np.testing.assert_allclose(at_middles.astype(int), expected[middles, middles], atol=16)


def test_samples_become_the_first_and_the_second_picture_by_turns(page, samples, truth):
    for button, end in [(5, "first"), (8, "second")]:
        assert page.text("#turn") == f"Click one to make it the {end} picture."
        page.click(f"#strip button:nth-child({button})")
        page.until(f"document.querySelector('#{end}-name').textContent === '{button - 1}.png'")
    position, drawn = page.drawn()
    np.testing.assert_array_equal(drawn, truth(samples[4], samples[7], position / 100))


@pytest.mark.parametrize("name", [None, 'it\'s "$(a) `pot`".png'])
def test_the_curl_command_runs_as_it_is_shown(page, tmp_path, name):
    if name:
        picture(tmp_path / name, stripes(32))
        page.pick("first", tmp_path / name)
        page.until("document.querySelector('#first-name').textContent !== '0.png'")
    page.click("summary")
    page.slide([0.5, 0.25])
    position, drawn = page.drawn()
    assert f'"t": [{position / 100}]' in page.text("#curl")
    done = subprocess.run(
        ["bash", "-c", page.text("#curl")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)["outputs"]["frame_bytes"][0]["b64"]
    np.testing.assert_array_equal(read_png(base64.b64decode(answer)), drawn)
    page.click("#copy")
    assert page.until("copy.textContent !== 'Copy' && copy.textContent") in (
        "Copied",
        "Selected: copy with Ctrl+C",
    )
