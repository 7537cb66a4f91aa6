"""The files of the page to play with, and the samples: these and no others."""

import contextlib
import io
import json
import shutil
import urllib.request

import PIL.Image


def test_without_the_flag_there_is_no_page(server):
    assert server.ask("GET", "/index.html")[0] == 404
    assert server.ask("GET", "/samples.json")[0] == 404


def test_the_page_and_its_samples(toy_dir, run_server, tmp_path):
    folder = tmp_path / "toy"
    shutil.copytree(toy_dir / "123", folder / "123")
    samples = folder / "123" / "assets.extra" / "samples"
    samples.mkdir(parents=True)
    for name in ("b c.png", "a.png"):
        PIL.Image.new("RGB", (2, 2)).save(samples / name)
    (samples / "secret.md").write_text("secret")
    with run_server(folder, demo=True) as server:
        status, headers, text = server.ask("GET", "/")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert text == server.ask("GET", "/index.html")[2]
        assert "<html" in text
        status, headers, text = server.ask("GET", "/samples.json")
        assert (status, json.loads(text)) == (
            200,
            {"model": "toy", "samples": ["a.png", "b c.png"]},
        )
        with contextlib.closing(
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/samples/b%20c.png")
        ) as answer:
            assert answer.headers["Content-Type"] == "image/png"
            assert PIL.Image.open(io.BytesIO(answer.read())).size == (2, 2)
        for path in (
            "/samples/secret.md",
            "/samples/../samples/secret.md",
            "/samples/..%2fsamples%2fsecret.md",
            "/samples/%2e%2e/%2e%2e/saved_model.pb",
            "/..%2fserve.py",
            "/../serve.py",
            "/%2e%2e/serve.py",
            "//etc/passwd",
            "/samples/",
            "/samples",
        ):
            status, _, text = server.ask("GET", path)
            assert status == 404, path
            assert list(json.loads(text)) == ["error"]
        assert server.ask("HEAD", "/")[0] == 200
        assert server.ask("POST", "/", "")[0] == 405
