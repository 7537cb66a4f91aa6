"""What a million clips of 256 x 256 would take: measured inputs, and arithmetic on paper.

The clips are those of flags/study/teapot_6dof.flags, more of them and larger. Nothing of that size
is run: a few frames are rendered, encoded and drawn between, the operations of a step are counted,
and what is neither measured nor counted is in `GIVEN`.
"""

import atexit
import itertools
import re

import numpy as np

from benchmarks.canonical import ROOT, canonical_config
from benchmarks.child import Child
from benchmarks.turns import take_turns
from data_gen import scenes

FLAG_FILE, IMAGE_SIZE, CLIPS, PICTURES = "flags/study/teapot_6dof.flags", 256, 1_000_000, 64

# {input: (value, where it comes from)}
GIVEN = {
    "times each frame is seen": (10, "assumed"),
    "cores": (64, "assumed"),
    "price of a core hour, USD": (0.05, "assumed, of no particular provider"),
    "FLOP a second of one H100": (
        989.4e12,
        "published by NVIDIA, not measured: peak of the H100 SXM, dense, bfloat16",
    ),
    "share of that peak": (0.1, "assumed"),
}

# {result: a product and quotient of inputs, of the results above it and of numbers}
LINES = {
    "frames": "clips x frames a clip",
    "storage, TB": "frames x bytes of a frame / 1e12",
    "building, core hours": "frames x CPU s of building a frame / 3600",
    "building, hours": "building, core hours / cores",
    "building, USD": "building, core hours x price of a core hour, USD",
    "frames seen": "frames x times each frame is seen",
    "training, steps": "frames seen / frames a step",
    "training, FLOP": "frames seen x FLOP of training a frame",
    "training, hours on one H100": (
        "training, FLOP / FLOP a second of one H100 / share of that peak / 3600"
    ),
    "a million in-betweens, core hours": "1e6 x CPU s of an in-between / 3600",
    "a million in-betweens, USD": "a million in-betweens, core hours x price of a core hour, USD",
    "a million in-betweens, FLOP": "1e6 x FLOP of an in-between",
    "a million in-betweens, hours on one H100": (
        "a million in-betweens, FLOP / FLOP a second of one H100 / share of that peak / 3600"
    ),
}

_BUILD, _DRAW = "renderer and PNG encoder", "Keras model"


def measure(turns, seconds, image_size=IMAGE_SIZE, pictures=PICTURES):
    """Frames built and frames drawn between, not against each other, and what follows."""
    config = canonical_config(ROOT / FLAG_FILE)
    scene = scenes.variant(config.scene, clips=CLIPS)
    clips, frames = scenes.count(scenes.get(scene), "train", seed=0)
    size = f"{image_size} x {image_size}"
    with Child("benchmarks.cost", image_size=image_size, pictures=pictures) as child:
        building = take_turns(child.runs(_BUILD), turns, seconds)
        drawing = take_turns(child.runs(_DRAW), turns, seconds)
        facts = child.facts
    inputs = {
        "clips": (clips, f"to train on, of {scene}"),
        "frames a clip": (frames // clips, "that scene"),
        "bytes of a frame": (
            facts[_BUILD]["bytes"],
            f"measured: mean of {pictures} PNG files of {size} from as many clips",
        ),
        "CPU s of building a frame": (
            building["rows"][_BUILD]["cpu_ms"] / 1e3,
            "measured: the first table",
        ),
        "frames a step": (config.clips_per_batch * config.frames_per_clip, FLAG_FILE),
        "FLOP of training a frame": (
            facts[_DRAW]["training_flops"],
            f"counted, {size}: those of a step by its frames, so with the in-betweens' decoding",
        ),
        "CPU s of an in-between": (
            drawing["rows"][_DRAW]["cpu_ms"] / 1e3,
            "measured: the second table",
        ),
        "FLOP of an in-between": (
            facts[_DRAW]["inbetween_flops"],
            f"counted, {size}: two frames encoded, one decoded",
        ),
        **GIVEN,
    }
    values = arithmetic({name: value for name, (value, _) in inputs.items()})
    return {
        "groups": {
            f"frames rendered and encoded, {size}": {"unit": "frame", **building},
            f"1 frame between one pair of {size}": {"unit": "frame", **drawing},
        },
        "tables": [
            [
                {"input": name, "value": _number(value), "from": origin}
                for name, (value, origin) in inputs.items()
            ],
            written_out(values),
        ],
        "values": values,
        "findings": {},
    }


def arithmetic(inputs):
    """Inputs {name: value} -> {name: value} of the inputs and of the results of `LINES`."""
    values = dict(inputs)
    for name, formula in LINES.items():
        result = 1.0
        for sign, term in _terms(formula):
            result = result * _value(values, term) if sign == "x" else result / _value(values, term)
        values[name] = result
    return values


def written_out(values):
    """The rows of a table with each of `LINES`, in words and in numbers."""
    rows = []
    for name, formula in LINES.items():
        terms = [f" {sign} {_number(_value(values, term))}" for sign, term in _terms(formula)]
        numbers = "".join(terms).removeprefix(" x ")
        rows.append(
            {"result": name, "is": formula, "in numbers": numbers, "makes": _number(values[name])}
        )
    return rows


def _terms(formula):
    """The pairs (x, a), (x, b), (/, c) of a x b / c."""
    parts = ["x", *re.split(" ([x/]) ", formula)]
    return zip(parts[::2], parts[1::2], strict=True)


def _value(values, term):
    return values[term] if term in values else float(term)


def _number(value):
    """Four digits: 0.3064, 33,000,000, and from a million millions on 2.624e+18."""
    return f"{value:.4g}" if value >= 1e12 else f"{float(f'{value:.4g}'):,.12g}"


def rivals(image_size, pictures):
    """A step builds one frame, or draws one in-between."""
    drawn, view = middle_pictures(pictures)
    build, frames, files = building_of(drawn, view, image_size)
    size = float(np.mean([len(file) for file in files]))
    return {_BUILD: (build, {"bytes": size}), _DRAW: drawing_of(*frames[:2])}


def middle_pictures(count):
    """The middle pictures of the first training clips, one of each, and their view."""
    scene = scenes.get(canonical_config(ROOT / FLAG_FILE).scene)
    drawn = []
    for number in range(count):
        poses = scene.clip("train", number, 0).poses
        look = scene.look("train", number, 0, scene.parts(poses[0]))
        drawn.append(scene.picture(poses[len(poses) // 2], look))
    return drawn, scene.view


def building_of(drawn, view, image_size):
    """A run that renders and encodes as a build does; the frames of the pictures, their files."""
    import tensorflow_datasets as tfds

    from data_gen.pool import RenderPool

    pool = RenderPool(view, image_size)
    atexit.register(pool.__exit__)
    encoder = tfds.features.Image(shape=(image_size, image_size, 3), encoding_format="png")
    forever = itertools.cycle(drawn)

    def run(steps):
        for frame in pool.render(itertools.islice(forever, steps)):
            encoder.encode_example(frame)

    frames = list(pool.render(drawn))
    return run, frames, [encoder.encode_example(frame) for frame in frames]


def drawing_of(first, second):
    """A run that draws the middle of two frames, uint8 [H, W, C]; the operations counted."""
    import tensorflow as tf

    from benchmarks import flops
    from benchmarks.growth import model_of_size

    config = canonical_config(ROOT / FLAG_FILE)
    model = model_of_size(config, len(first))
    path = tf.function(lambda *pair_and_t: model.inbetween(*(x[None] for x in pair_and_t))[0])
    inputs = [tf.constant(values, tf.float32) for values in (first / 255, second / 255, [0.5])]

    def run(steps):
        for _ in range(steps):
            path(*inputs).numpy()

    frames = config.clips_per_batch * config.frames_per_clip
    encoding = flops.forward(model.encoder, first.shape)
    decoding = flops.forward(model.decoder, (config.latent_dim,))
    return run, {
        "training_flops": flops.training_step(model, config) / frames,
        "inbetween_flops": 2 * encoding + decoding,
    }
