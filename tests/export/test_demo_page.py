"""The page in headless Chromium, driven through the DevTools protocol as a person drives it."""

import asyncio
import base64
import functools
import http.server
import io
import itertools
import json
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import aiohttp
import numpy as np
import PIL.Image
import pytest

from export import client
from export.server import demo_page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH to show the page in")

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0"),
)
KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, "Tab": 9, " ": 32}


class Page:
    """One tab. Its methods block; what the tab reports is kept in `events`."""

    def __init__(self, browser):
        self._browser = browser
        self._ids = itertools.count()
        self._answers = {}
        self.events = []
        self._socket = browser.wait(self._open())
        self._reader = browser.spawn(self._read())
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=DRAG_FILES)

    async def _open(self):
        async with self._browser.http.put(f"{self._browser.url}/json/new") as answer:
            target = await answer.json()
        self._target = target["id"]
        return await self._browser.http.ws_connect(
            target["webSocketDebuggerUrl"], max_msg_size=2**28
        )

    async def _read(self):
        async for message in self._socket:
            content = json.loads(message.data)
            if "id" in content:
                self._answers.pop(content["id"]).set_result(content)
            else:
                self.events.append((content["method"], content["params"]))

    def call(self, method, **params):
        """One command of the protocol; returns its result."""

        async def ask():
            number = next(self._ids)
            answer = self._answers[number] = asyncio.get_running_loop().create_future()
            await self._socket.send_json({"id": number, "method": method, "params": params})
            return await asyncio.wait_for(answer, 20)

        content = self._browser.wait(ask())
        assert "error" not in content, content
        return content["result"]

    def run(self, expression):
        """The value of a JavaScript expression, awaited."""
        result = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression, seconds=20):
        """Waits until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(expression)):
            assert time.monotonic() < end, f"never: {expression}\n{self.said()}"
            time.sleep(0.02)
        return value

    def said(self):
        """What the page says to its reader, for the message of a failed test."""
        return self.run("document.body.innerText")

    def open(self, url, width=1200, height=1000, dark=False):
        """Loads the page in a window of that size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def mouse(self, kind, x, y):
        buttons = 0 if kind == "mouseReleased" else 1
        self.call(
            "Input.dispatchMouseEvent",
            **{"type": kind, "x": x, "y": y, "button": "left", "buttons": buttons},
            clickCount=int(kind != "mouseMoved"),
        )

    def click(self, selector):
        x, y = self.middle(selector)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def middle(self, selector):
        """Where an element's middle is, scrolled into view."""
        return self.run(
            f"""(() => {{
              const element = document.querySelector({json.dumps(selector)});
              element.scrollIntoView({{block: "nearest"}});
              const box = element.getBoundingClientRect();
              return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )

    def key(self, name):
        for kind in ("keyDown", "keyUp"):
            text = {"text": name} if name == " " and kind == "keyDown" else {}
            code = KEYS[name]
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **text
            )

    def pick(self, end, *paths):
        """Gives files to the file picker of the first or the second picture."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=f"#{end} input")["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def drop(self, selector, *paths):
        """Drops files onto an element."""
        files = [
            (Path(path).name, base64.b64encode(Path(path).read_bytes()).decode()) for path in paths
        ]
        self.run(f"dropFiles({json.dumps(selector)}, {json.dumps(files)})")

    def slide(self, fractions):
        """Drags the slider with the mouse through places, each in [0, 1] of its width."""
        box = self.run(
            """(() => {
              const {x, y, width, height} = document.querySelector("#t").getBoundingClientRect();
              return [x, y, width, height];
            })()"""
        )
        places = [box[0] + 8 + fraction * (box[2] - 16) for fraction in fractions]
        y = box[1] + box[3] / 2
        self.mouse("mousePressed", places[0], y)
        for x in places[1:]:
            self.mouse("mouseMoved", x, y)
        self.mouse("mouseReleased", places[-1], y)

    def drawn(self, timeout=20):
        """Waits until the model's frame is that of the slider's place; returns place and pixels."""
        self.until("document.querySelector('#drawn canvas').dataset.t === slider.value", timeout)
        return int(self.run("slider.value")), self.pixels("#drawn canvas")

    def pixels(self, selector):
        """A canvas's pixels, uint8 [H, W, 3]."""
        width, height, file = self.run(
            f"""(() => {{
              const canvas = document.querySelector({json.dumps(selector)});
              return [canvas.width, canvas.height, canvas.toDataURL("image/png")];
            }})()"""
        )
        pixels = read_png(base64.b64decode(file.partition(",")[2]))
        assert pixels.shape == (height, width, 3)
        return pixels

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)}).textContent")

    def requests(self):
        """The address of everything that was asked for, in order."""
        return [
            params["request"]["url"]
            for name, params in self.events
            if name == "Network.requestWillBeSent"
        ]

    def complaints(self):
        """What stands in the console, and what went wrong without being caught."""
        return [
            params
            for name, params in self.events
            if name in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        ]

    def screenshot(self, path):
        file = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        Path(path).write_bytes(base64.b64decode(file))

    def close(self):
        async def close():
            await self._socket.close()
            await self._reader
            async with self._browser.http.get(f"{self._browser.url}/json/close/{self._target}"):
                pass

        self._browser.wait(close())


# What a person's drop amounts to; the protocol's own drag events take no files in headless mode.
DRAG_FILES = """
  function dropFiles(selector, files) {
    const dataTransfer = new DataTransfer();
    for (const [name, content] of files) {
      const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
      dataTransfer.items.add(new File([bytes], name));
    }
    const options = {dataTransfer, bubbles: true, cancelable: true};
    document.querySelector(selector).dispatchEvent(new DragEvent("drop", options));
  }
"""


class Browser:
    """A headless Chromium with an event loop in a thread of its own."""

    def __init__(self, folder):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._log = open(folder / "log.txt", "wb")  # noqa: SIM115 - Open while it runs.
        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=self._log,
            stderr=self._log,
        )
        port = folder / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not (port.exists() and "\n" in port.read_text()):
            assert self._process.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < end, (folder / "log.txt").read_text()
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{port.read_text().splitlines()[0]}"
        self.http = self.wait(self._session())

    async def _session(self):
        return aiohttp.ClientSession()

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def spawn(self, coroutine):
        async def start():
            return asyncio.create_task(coroutine)

        return self.wait(start())

    async def _quit(self):
        async with self.http.get(f"{self.url}/json/version") as answer:
            address = (await answer.json())["webSocketDebuggerUrl"]
        async with self.http.ws_connect(address) as socket:
            await socket.send_json({"id": 0, "method": "Browser.close"})
            async for _ in socket:
                pass
        await self.http.close()

    def close(self):
        self.wait(self._quit())
        self._process.wait(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._log.close()


def read_png(content):
    """uint8 [H, W, 3]."""
    with PIL.Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))


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


def predictions(page):
    """The signatures asked for, in order."""
    return [
        json.loads(params["request"]["postData"])["signature_name"]
        for name, params in page.events
        if name == "Network.requestWillBeSent" and params["request"]["url"].endswith(":predict")
    ]


def picture(path, pixels, **options):
    PIL.Image.fromarray(np.uint8(pixels)).save(path, **options)
    return path


def stripes(size, seed=0):
    """A coarse pattern that survives resizing, uint8 [size, size, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 200, (4, 4, 3))
    return coarse.repeat(size // 4, 0).repeat(size // 4, 1)


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
    found = pixels[
        slice(shape[0] // 8, None, shape[0] // 4), slice(shape[0] // 8, None, shape[0] // 4)
    ]
    np.testing.assert_allclose(found.astype(int), expected[middles, middles], atol=16)


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
        assert "The server wants its token." in tab.said()
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
