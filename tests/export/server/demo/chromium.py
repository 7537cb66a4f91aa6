"""A headless Chromium, driven through the DevTools protocol as a person drives it."""

import asyncio
import base64
import io
import itertools
import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

import aiohttp
import numpy as np
import PIL.Image

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
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
