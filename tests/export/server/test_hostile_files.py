"""Names that want out, links that lead out, and files that are not what they say."""

import ast
import json
import os
import shutil
import urllib.request
import zipfile
from pathlib import Path

import grpc
import PIL.Image
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

import export
from export.server.server import Options, Server
from frame_io.errors import InputError

ROOT = Path(export.__file__).parents[1]
PAGE_POLICY = ["default-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'none'"]


@pytest.fixture
def toy(quick_toy, tmp_path):
    """A model folder "toy" to be damaged."""
    shutil.copytree(quick_toy, tmp_path / "toy" / "1")
    return tmp_path / "toy"


def refuses(run_server, model_dir, reason):
    """Checks that the server does not start, and says why in a line."""
    with pytest.raises(InputError) as caught, run_server(model_dir):
        pass
    assert str(caught.value) == f"{model_dir}: version 1: {reason}"


@pytest.mark.parametrize(
    "name", ["saved_model.pb", "variables", "assets.extra/samples/a.png", "\udcff"]
)
def test_links_that_lead_out_of_a_version_are_refused(toy, run_server, tmp_path, name):
    link = toy / "1" / name
    outside = tmp_path / "outside"
    if link.exists():
        shutil.move(link, outside)
    else:
        outside.write_text("secret")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    reason = f"{name!a} is a symbolic link that leads out of the version's folder"
    refuses(run_server, toy, reason)


def test_links_within_a_version_and_to_a_whole_one_are_followed(toy, run_server, tmp_path):
    (toy / "1" / "saved_model.pb").rename(toy / "1" / "real.pb")
    (toy / "1" / "saved_model.pb").symlink_to("real.pb")
    (toy / "1").rename(tmp_path / "elsewhere")
    (toy / "1").symlink_to(tmp_path / "elsewhere")
    with run_server(toy) as server:
        assert server.ask("POST", "/v1/models/toy:predict", {"inputs": [1]})[0] == 200


@pytest.mark.parametrize("name", ["saved_model.pb", "assets.extra/tf_serving_warmup_requests"])
def test_a_pipe_is_not_waited_for(toy, run_server, name):
    pipe = toy / "1" / name
    pipe.unlink(missing_ok=True)
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    refuses(run_server, toy, f"{name!r} is neither a file nor a folder")


def test_a_link_among_the_samples_that_comes_later_is_not_served(toy, run_server, tmp_path):
    samples = toy / "1" / "assets.extra" / "samples"
    samples.mkdir(parents=True)
    PIL.Image.new("RGB", (2, 2)).save(samples / "a.png")
    (tmp_path / "secret.png").write_text("secret")
    with run_server(toy, demo=True, file_system_poll_wait_seconds=60) as server:
        (samples / "b.png").symlink_to(tmp_path / "secret.png")
        (samples / "c.png").symlink_to("a.png")
        assert json.loads(server.ask("GET", "/samples.json")[2])["samples"] == ["a.png", "c.png"]
        assert server.ask("GET", "/samples/b.png")[0] == 404


NAMES = [
    "../toy",
    "..",
    "%2e%2e/toy",
    "..%2ftoy",
    "/etc/passwd",
    "toy%00",
    "toy\\..",
    "%ff",
    "a" * 9,
]
NAMES += ["toy/versions/1/../1", "toy/versions/-1", "toy/versions/1e3", "toy/versions/..%2f1"]
NAMES += ["toy/labels/..", "toy/labels/..%2f..", "toy/labels/%00", "toy/versions/%D9%A3"]


@pytest.fixture(scope="module")
def server(quick_toy, run_server, tmp_path_factory):
    """A server whose folder has odd neighbours and odd samples."""
    folder = tmp_path_factory.mktemp("models") / "toy"
    shutil.copytree(quick_toy, folder / "1")
    for odd in ("2.partial", "-3", "٣", "\udcff", "1e3", "0x4", ".5"):
        (folder / odd).mkdir()
    samples = folder / "1" / "assets.extra" / "samples"
    samples.mkdir(parents=True)
    (samples / "\udcff.png").write_bytes(b"")
    with open(samples / "polyglot.png", "wb") as file:
        PIL.Image.new("RGB", (2, 2)).save(file, "PNG")
        file.write(b"<!doctype html><script>alert(1)</script>")
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("a.html", "<script>alert(1)</script>")
    (samples / "page.png").write_text("<!doctype html><script>alert(1)</script>")
    with run_server(folder, demo=True) as server:
        yield server


@pytest.mark.parametrize("name", NAMES)
def test_names_lead_nowhere(server, name):
    for method, what in (("GET", ""), ("GET", "/metadata"), ("POST", ":predict")):
        path = f"/v1/models/{name}{what}"
        status, _, text = server.ask(method, path, "{}" if method == "POST" else None)
        assert status in (400, 404), (path, text)
        assert list(json.loads(text)) == ["error"]


@pytest.mark.parametrize("name", ["../toy", "/etc/passwd", "toy/1", "toy\0", "..", ""])
def test_names_lead_nowhere_over_grpc(server, name):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        for field in ("name", "version_label"):
            request = get_model_status_pb2.GetModelStatusRequest()
            request.model_spec.name = "toy"
            setattr(request.model_spec, field, name or "/")
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetModelStatus(request, timeout=60)
            assert caught.value.code().name in ("NOT_FOUND", "INVALID_ARGUMENT")


def test_only_whole_numbers_are_versions(server):
    text = server.ask("GET", "/v1/models/toy")[2]
    versions = json.loads(text)["model_version_status"]
    assert [version["version"] for version in versions] == ["1"]


def test_samples_are_pictures_to_a_browser_whatever_is_in_them(server):
    names = json.loads(server.ask("GET", "/samples.json")[2])["samples"]
    assert sorted(names) == ["page.png", "polyglot.png", "\udcff.png"]
    for name in ("page.png", "polyglot.png"):
        connection = http_get(server, f"/samples/{name}")
        assert connection["Content-Type"] == "image/png"
        assert connection["X-Content-Type-Options"] == "nosniff"
        assert connection["Content-Security-Policy"].startswith("default-src 'none'")
    for path in ("/samples/%ff.png", "/samples/%EF%BF%BD.png", "/samples/%ED%B3%BF.png"):
        assert server.ask("GET", path)[0] == 404


def http_get(server, path):
    """The headers of an answer whose body is no text."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}") as answer:
        return answer.headers


def test_every_answer_is_what_it_says(server):
    for path in ("/", "/demo.js", "/v1/models/toy", "/none", "/monitoring/prometheus/metrics"):
        headers = server.ask("GET", path)[1]
        assert headers["X-Content-Type-Options"] == "nosniff", path
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        if path in ("/", "/demo.js"):
            assert all(part in policy for part in PAGE_POLICY)
        else:
            assert policy.startswith("default-src 'none'")


def test_the_page_and_its_header_have_one_policy(server):
    text = server.ask("GET", "/")[2]
    policy = server.ask("GET", "/")[1]["Content-Security-Policy"]
    in_page = text.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy == f"{in_page}; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("\udcff", "TensorFlow reads only paths that are UTF-8"),
        ("a\nb", "is not a valid model name; give --model_name"),
        ("a\x1bb", "is not a valid model name; give --model_name"),
    ],
)
def test_a_folder_whose_name_is_no_text(quick_toy, tmp_path, name, reason):
    shutil.copytree(quick_toy, tmp_path / name / "1")
    with pytest.raises(InputError, match=reason) as caught:
        Server(Options(str(tmp_path / name)), print)
    assert str(caught.value).isprintable()


def test_nothing_is_unpickled_or_evaluated():
    names = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
    calls = {"eval", "exec", "compile", "__import__"}
    files = sorted((ROOT / "export").rglob("*.py"))
    assert len(files) > 20
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert not names & {alias.name.partition(".")[0] for alias in node.names}, file
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in names, file
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in calls, file
            elif isinstance(node, ast.keyword):
                assert node.arg != "allow_pickle", file
