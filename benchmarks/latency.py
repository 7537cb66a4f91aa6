"""How long one pair of frames takes: the Keras model, its export, two servers' protocols, and flow.

The weights are untrained: the time does not depend on them. The frames are the teapot's, 60° apart.
"""

import atexit
import base64
import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import PIL.Image

from benchmarks.child import Child
from benchmarks.turns import ratio_of, take_turns

SIZES, COUNTS = (64, 128), (1, 30)
_BASE = "Keras model"


def measure(turns, seconds, sizes=SIZES):
    """Every way, for one frame and for thirty, at 64 and at 128 pixels."""
    groups, findings = {}, {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as children:
            save_untrained(size, Path(folder) / "teapot")
            started = [
                children.enter_context(
                    Child("benchmarks.latency", kind=kind, size=size, folder=folder)
                )
                for kind in RIVALS
            ]
            for count in COUNTS:
                frames = f"{count} frame{'s' if count > 1 else ''}"
                runs = {
                    name.removesuffix(f"|{count}"): run
                    for child in started
                    for name, run in child.runs().items()
                    if name.endswith(f"|{count}")
                }
                title = f"{frames} between one pair of {size} x {size}"
                results = take_turns(runs, turns, seconds)
                groups[title] = {"unit": "pair", **results}
                for name, row in results["rows"].items():
                    if "DIS" in name:
                        findings[f"{title}: {_BASE} against {name}"] = ratio_of(row)
    return {"groups": groups, "findings": findings}


def untrained(size):
    """A model of flags/study/teapot.flags for frames of `size` pixels, and its config."""
    from benchmarks.canonical import canonical_config
    from tf_inbetween.training import build_model

    config = canonical_config(image_size=size)
    return build_model(config), config


def save_untrained(size, model_dir):
    """Exports it as version 1 of `model_dir`."""
    from export.exporter import write_saved_model
    from export.signatures import signatures

    model, config = untrained(size)
    write_saved_model(model, signatures(model, config, 0.01), model_dir / "1")


def pair(size):
    """Two frames of the teapot, uint8 [size, size, 3]."""
    from data_gen import scenes
    from data_gen.render import Renderer

    scene = scenes.get("teapot_1dof")
    renderer = Renderer(scene.view, size)
    return [renderer.render(scene.parts((angle,))) for angle in (0.0, 60.0)]


def times(count):
    """Evenly spaced between the two ends: [count] float32."""
    return np.linspace(0, 1, count + 2, dtype=np.float32)[1:-1]


def rivals(kind, size, folder):
    """The rows of one of `RIVALS`, "NAME|COUNT"; a step is one pair."""
    rows = {}
    for name, draw in RIVALS[kind](size, folder).items():
        for count in COUNTS:
            rows[f"{name}|{count}"] = _repeat(draw, times(count)), {}
    return rows


def _repeat(draw, t):
    def run(steps):
        for _ in range(steps):
            draw(t)

    return run


def _tensorflow(size, folder):
    import tensorflow as tf

    model, _ = untrained(size)
    first, second = (np.float32(frame / 255) for frame in pair(size))
    compiled = tf.function(lambda *pair_and_t: model.inbetween(*(x[None] for x in pair_and_t))[0])
    # Of its own file, as a user loads it; the loaded object must live as long as its signatures.
    loaded = tf.saved_model.load(str(Path(folder) / "teapot" / "1"))
    sequence = loaded.signatures["sequence"]

    def export(t, loaded=loaded):
        inputs = {"first": first[None], "second": second[None], "t": t[None]}
        return sequence(**{k: tf.constant(v) for k, v in inputs.items()})["frames"].numpy()

    return {
        _BASE: lambda t: model.path(first, second, t),
        "Keras model in a tf.function": lambda t: compiled(
            *map(tf.constant, (first, second, t))
        ).numpy(),
        "SavedModel": export,
    }


def _servers(size, folder):
    import grpc
    import requests
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    from benchmarks.serving import server

    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    where = stack.enter_context(server(str(Path(folder) / "teapot")))
    first, second = (_png(frame) for frame in pair(size))
    session = stack.enter_context(requests.Session())
    url = f"http://{where['rest']}/v1/models/{where['model']}:predict"
    channel = stack.enter_context(grpc.insecure_channel(where["grpc"]))
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def rest(t):
        row = {
            "first_bytes": {"b64": base64.b64encode(first).decode()},
            "second_bytes": {"b64": base64.b64encode(second).decode()},
            "t": t.tolist(),
        }
        body = json.dumps({"signature_name": "sequence_png", "instances": [row]})
        answer = session.post(url, data=body, timeout=60)
        answer.raise_for_status()
        return answer.json()["predictions"]

    def rpc(t):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = where["model"]
        request.model_spec.signature_name = "sequence_png"
        for name, value in (("first_bytes", [first]), ("second_bytes", [second]), ("t", t[None])):
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        return stub.Predict(request, timeout=60).outputs["frame_bytes"].string_val

    return {"REST, PNG": rest, "gRPC, PNG": rpc}


def _flow(size, folder):
    del folder
    import cv2

    from tf_inbetween.evaluation import baselines

    first, second = (np.float32(frame / 255) for frame in pair(size))
    grey = [np.uint8(np.rint(255 * frame.mean(-1))) for frame in (first, second)]
    medium = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))

    def warped(frame, flow):
        return cv2.remap(
            frame, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
        )

    def bare(t):
        """Both flows once, then two warps and a cross-fade for each frame, as in the baseline."""
        forward, backward = medium.calc(*grey, None), medium.calc(*grey[::-1], None)
        frames = []
        for s in map(float, t):
            from_first = warped(first, -(1 - s) * s * forward + s**2 * backward)
            from_second = warped(second, (1 - s) ** 2 * forward - s * (1 - s) * backward)
            frames.append((1 - s) * from_first + s * from_second)
        return np.stack(frames)

    return {
        "DIS medium, the flow of one direction alone": lambda t: medium.calc(*grey, None),
        "DIS medium, flows once, frames warped": bare,
        "DIS of the evaluation (finer), frame by frame": lambda t: [
            baselines.optical_flow(first[None], second[None], s) for s in t
        ],
    }


RIVALS = {"tensorflow": _tensorflow, "servers": _servers, "flow": _flow}


def _png(frame):
    with io.BytesIO() as file:
        PIL.Image.fromarray(frame).save(file, "PNG")
        return file.getvalue()
