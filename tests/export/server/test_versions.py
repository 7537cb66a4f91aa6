"""Versions: loaded, refused, replaced without a gap, kept as the policy wants them."""

import asyncio
import concurrent.futures
import json
import os
import shutil
import threading

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from export.server.errors import ServingError
from export.server.servable import Servable
from export.server.versions import Manager


@pytest.fixture
def model_dir(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    return folder


@pytest.fixture
def add(toy_versions, model_dir):
    """Puts a version into the model folder as an exporter does: beside, then renamed."""

    def put(number, source=123, warmup=None):
        beside = model_dir / f".{number}.partial"
        shutil.copytree(toy_versions / str(source), beside)
        if warmup is not None:
            extra = beside / "assets.extra"
            extra.mkdir()
            with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
                for record in warmup:
                    writer.write(record)
        os.rename(beside, model_dir / str(number))
        return model_dir / str(number)

    return put


def spoil(path):
    """Damages the weights of a version."""
    (weights,) = (path / "variables").glob("variables.data*")
    weights.write_bytes(b"nonsense")


def config(model_dir, policy="", labels=()):
    labels = " ".join(f'version_labels {{ key: "{key}" value: {n} }}' for key, n in labels)
    (model_dir / "models.config").write_text(
        f"model_config_list {{ config {{ {policy} {labels} }} }}"
    )


class Watched:
    """A manager whose folder a test looks at when it likes."""

    def __init__(self, model_dir, **options):
        self.lines = []
        self.manager = Manager(model_dir, report=self.lines.append, **options)

    async def states(self):
        await self.manager.poll()
        while self.manager._unloading:
            await asyncio.sleep(0.001)
        return {version.number: version.state for version in self.manager.statuses()}

    def answer(self, **choice):
        version = self.manager.get(**choice)
        with version.use() as servable:
            return servable.signature("").run({"x": np.float32([1])})["y"].tolist()


def run(model_dir, script, **options):
    async def main():
        watched = Watched(model_dir, **options)
        try:
            return await script(watched)
        finally:
            watched.manager.close()

    return asyncio.run(main())


def log(**inputs):
    record = prediction_log_pb2.PredictionLog()
    for name, value in inputs.items():
        record.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return record.SerializeToString()


def test_the_newest_version_replaces_the_old_one(model_dir, add):
    async def script(watched):
        assert await watched.states() == {1: "AVAILABLE"}
        assert watched.answer() == [3.5]
        add(2, 124)
        assert await watched.states() == {2: "AVAILABLE", 1: "END"}
        assert watched.answer() == [4.5]
        assert watched.answer(number=2) == [4.5]
        with pytest.raises(ServingError, match=r"request: Specific\(toy, 1\)$"):
            watched.answer(number=1)
        return watched.lines

    add(1)
    assert run(model_dir, script) == [
        "toy version 1 is available",
        "toy version 2 is available",
        "toy version 1 is unloaded",
    ]


def test_what_is_no_version_is_not_looked_at(model_dir, add):
    for name in ("-1", "1.0", "latest", "2 ", "0x3", "99999999999999999999"):
        (model_dir / name).mkdir()
    (model_dir / "7").write_text("a file")

    async def script(watched):
        return await watched.states()

    add("00000005")
    assert run(model_dir, script) == {5: "AVAILABLE"}


def test_an_old_version_ends_after_its_requests(model_dir, add):
    async def script(watched):
        await watched.manager.poll()
        old = watched.manager.get()
        with old.use() as servable:
            add(2, 124)
            await watched.manager.poll()
            assert old.state == "UNLOADING"
            await watched.manager.poll()
            assert watched.manager.get().number == 2
            assert servable.signature("").run({"x": np.float32([1])})["y"] == [3.5]
        assert await watched.states() == {2: "AVAILABLE", 1: "END"}
        assert old.servable is None

    add(1)
    run(model_dir, script)


def test_a_damaged_version_is_refused_and_the_old_one_stays(model_dir, add, toy_versions):
    async def script(watched):
        await watched.manager.poll()
        spoil(add(2, 124))
        assert await watched.states() == {2: "END", 1: "AVAILABLE"}
        (error,) = [version.error for version in watched.manager.statuses(2)]
        assert error.code != "OK"
        assert error.message
        assert watched.answer() == [3.5]
        lines = list(watched.lines)
        assert lines[-1] == f"error: toy version 2 cannot be served: {error.message}"
        # It is not tried again before its files change.
        await watched.states()
        assert watched.lines == lines
        shutil.copytree(toy_versions / "124", model_dir / "2", dirs_exist_ok=True)
        assert await watched.states() == {2: "AVAILABLE", 1: "END"}
        assert watched.answer() == [4.5]

    add(1)
    run(model_dir, script)


@pytest.mark.parametrize("damage", ["no graph", "half a graph", "empty", "other tags"])
def test_kinds_of_damage(model_dir, add, damage):
    async def script(watched):
        return await watched.states(), watched.manager.why_none()

    path = add(1)
    graph = path / "saved_model.pb"
    if damage == "no graph":
        graph.unlink()
    elif damage == "other tags":
        graph.write_bytes(graph.read_bytes().replace(b"\x22\x05serve", b"\x22\x05other"))
    else:
        graph.write_bytes(graph.read_bytes()[:5000] if damage == "half a graph" else b"")
    states, why = run(model_dir, script)
    assert states == {1: "END"}
    assert why.startswith(f"{model_dir}: version 1: ")
    assert len(why.splitlines()) == 1


def test_versions_that_are_taken_away(model_dir, add):
    async def script(watched):
        await watched.manager.poll()
        shutil.rmtree(model_dir / "2")
        assert await watched.states() == {2: "END", 1: "AVAILABLE"}
        assert watched.answer() == [3.5]
        # Without its folder it goes on, as in TensorFlow Serving; in an empty folder it ends.
        shutil.move(model_dir, model_dir.with_name("away"))
        await watched.manager.poll()
        assert watched.answer() == [3.5]
        await watched.manager.poll()
        assert [line for line in watched.lines if line.startswith("error: ")] == (
            watched.lines[-1:]
        )
        model_dir.mkdir()
        assert await watched.states() == {2: "END", 1: "END"}
        with pytest.raises(ServingError, match=r"^Servable not found for request: Latest\(toy\)$"):
            watched.answer()
        os.rename(model_dir.with_name("away") / "1", model_dir / "1")
        assert await watched.states() == {2: "END", 1: "AVAILABLE"}

    add(1)
    add(2, 124)
    run(model_dir, script)


def test_a_folder_that_cannot_be_read_at_the_start(model_dir):
    async def script(watched):
        model_dir.rmdir()
        with pytest.raises(FileNotFoundError, match=str(model_dir)):
            await watched.manager.poll()
        assert watched.lines == []

    run(model_dir, script)


@pytest.mark.parametrize(
    ("policy", "available"),
    [
        ("", {3}),
        ("model_version_policy { latest {} }", {3}),
        ("model_version_policy { latest { num_versions: 2 } }", {2, 3}),
        ("model_version_policy { all {} }", {1, 2, 3}),
        ("model_version_policy { specific { versions: 1 versions: 2 } }", {1, 2}),
    ],
)
def test_policies(model_dir, add, policy, available):
    async def script(watched):
        await watched.states()
        return watched.manager.available()

    for number in (1, 2, 3):
        add(number)
    config(model_dir, policy)
    assert run(model_dir, script) == available


def test_labels_follow_the_configuration(model_dir, add):
    async def script(watched):
        await watched.states()
        assert watched.answer(label="stable") == [3.5]
        assert watched.answer(label="canary") == [4.5]
        with pytest.raises(ServingError, match=r"^Unrecognized servable version label: beta$"):
            watched.answer(label="beta")
        with pytest.raises(ServingError, match=r"Specific\(toy, 9\)$"):
            watched.answer(label="later")
        assert [version.number for version in watched.manager.statuses(label="canary")] == [2]
        # A label in use does not move to a version that cannot answer yet.
        config(model_dir, every, [("stable", 3), ("canary", 1)])
        await watched.states()
        assert watched.answer(label="stable") == [3.5]
        assert watched.answer(label="canary") == [3.5]
        add(3, 124)
        await watched.states()
        assert watched.answer(label="stable") == [4.5]
        # What cannot be read changes nothing, and is told once.
        (model_dir / "models.config").write_text("model_config_list { nonsense }")
        await watched.states()
        await watched.states()
        assert watched.answer(label="stable") == [4.5]
        assert [line for line in watched.lines if "models.config" in line] == watched.lines[-1:]

    every = "model_version_policy { all {} }"
    add(1)
    add(2, 124)
    config(model_dir, every, [("stable", 1), ("canary", 2), ("later", 9)])
    run(model_dir, script)


def test_names(model_dir):
    async def script(watched):
        return watched.manager.name

    assert run(model_dir, script) == "toy"
    config(model_dir, 'name: "pot"')
    assert run(model_dir, script) == "pot"
    assert run(model_dir, script, name="tea") == "tea"


def test_warmup_requests_are_replayed(model_dir, add, tmp_path):
    marker = tmp_path / "marker"
    marker.touch()
    record = prediction_log_pb2.PredictionLog()
    record.predict_log.request.model_spec.signature_name = "wait"
    record.predict_log.request.inputs["path"].CopyFrom(tf.make_tensor_proto([str(marker)]))
    Servable(add(1, warmup=[record.SerializeToString(), log(x=np.float32([1]))])).close()
    assert (tmp_path / "marker.started").exists()


@pytest.mark.parametrize(
    ("warmup", "code", "error"),
    [
        ([log(x=np.float32([1])), log(x=np.int32([1]))], "INVALID_ARGUMENT", "must be of type"),
        ([log(y=np.float32([1]))], "INVALID_ARGUMENT", "input size does not match signature"),
        ([b"\xff\xff"], "INVALID_ARGUMENT", "Failed to parse warmup record"),
        ([log(x=np.float32([]))] * 1001, "INVALID_ARGUMENT", "records exceeds the maximum"),
        (None, "DATA_LOSS", "Please verify your warmup data is in TFRecord format"),
    ],
)
def test_a_bad_warmup_request_fails_the_load(model_dir, add, warmup, code, error):
    async def script(watched):
        await watched.states()
        return watched.manager.statuses(1)[0].error

    path = add(1, warmup=warmup or [])
    if warmup is None:
        (path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"nonsense" * 99)
    failure = run(model_dir, script)
    assert failure.code == code
    assert error in failure.message


def test_a_new_version_under_load_loses_no_request(model_dir, add, run_server):
    add(1)
    seen = set()
    stop = threading.Event()

    def ask(server):
        while not stop.is_set():
            status, _, text = server.ask("POST", "/v1/models/toy:predict", {"instances": [1.0]})
            assert status == 200, text
            seen.add(json.loads(text)["predictions"][0])

    with run_server(model_dir) as server, concurrent.futures.ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, server) for _ in range(8)]
        try:
            add(2, 124)
            server.until("toy version 1 is unloaded")
            spoil(add(3))
            server.until("error: toy version 3 cannot be served: ")
            add(4)
            server.until("toy version 2 is unloaded")
            _, _, text = server.ask("GET", "/v1/models/toy")
        finally:
            stop.set()
        for task in asking:
            task.result()
    assert seen == {3.5, 4.5}
    statuses = {entry["version"]: entry for entry in json.loads(text)["model_version_status"]}
    assert [(n, entry["state"]) for n, entry in statuses.items()] == [
        ("4", "AVAILABLE"),
        ("3", "END"),
        ("2", "END"),
        ("1", "END"),
    ]
    assert statuses["1"]["status"] == {"error_code": "OK", "error_message": ""}
    assert statuses["3"]["status"]["error_code"] != "OK"
    assert statuses["3"]["status"]["error_message"]
