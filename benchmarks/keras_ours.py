"""Steps of this project's own training, whole and in parts, as rivals of a `benchmarks.child`."""

import dataclasses
import glob
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

from benchmarks.canonical import canonical_config
from benchmarks.gate import Gate
from tf_inbetween.clips import prepare
from tf_inbetween.data import batches
from tf_inbetween.training import build_model, choose_precision

PRECISIONS = ("float32", "mixed_bfloat16")


def rivals(rows, overrides, data=None):
    """Some of the rows of `ROWS`, of flags/study/teapot.flags.

    Args:
        rows: their names.
        overrides: fields of the `Config` that differ from flags/study/teapot.flags.
        data: the file of `benchmarks.canonical.save_batches` for the rows on prepared batches.
    """
    overrides = {k: tuple(v) if isinstance(v, list) else v for k, v in overrides.items()}
    config = canonical_config(**overrides)
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    return {name: ROWS[name](config, data) for name in rows}


def facts(config, steps=1):
    """What `steps` steps are worth."""
    return {
        "steps": steps,
        "frames": steps * config.clips_per_batch * config.frames_per_clip,
        "triplets": steps * config.clips_per_batch * config.triplets_per_clip,
        "precision": choose_precision(config.precision),
    }


def prepared(data):
    """The batches of a file, for ever."""
    with np.load(data) as saved:
        columns = {name: saved[name] for name in ("frames", "triplets", "t")}
    return tf.data.Dataset.from_tensor_slices(columns).cache().repeat()


def pipeline(config):
    """The batches of the training, from its own input pipeline."""
    return batches(prepare(config), "train", config)


def train_steps(config, dataset, model=None):
    """Whole steps, as many a call as --steps_per_execution, without the loop of `fit`.

    `model`: compiled; None for that of `config`.
    """
    model = build_model(config) if model is None else model
    model.make_train_function()
    iterator = iter(dataset)

    def run(calls):
        for _ in range(calls):
            logs = model.train_function(iterator)
        _wait(logs)

    return run, facts(config, config.steps_per_execution)


def fit(config, dataset):
    """`fit` itself on a data set, with no callbacks but the one that counts."""
    model = build_model(config)
    # Keras wants a whole number of calls in an epoch; this one never ends.
    forever = config.steps_per_execution * 10**6
    gate = Gate(
        lambda gate: model.fit(
            dataset, steps_per_epoch=forever, shuffle=False, verbose=0, callbacks=[gate]
        )
    )
    return gate.let_through, facts(config, config.steps_per_execution)


def part(config, data, backward):
    """The loss of a batch alone, or with its gradients, one batch a call."""
    model = build_model(config)
    iterator = iter(prepared(data))

    @tf.function(autograph=False)
    def call(batch):
        with tf.GradientTape() as tape:
            loss, _ = model.loss_and_terms(batch, model.call(batch, training=True), training=True)
        return [loss, *(tape.gradient(loss, model.trainable_variables) if backward else [])]

    def run(calls):
        for _ in range(calls):
            outputs = call(next(iterator))
        _wait(outputs)

    return run, facts(config)


def waits(config, data):
    """Steps one by one on the input pipeline; the value is the share of the time waited for it."""
    del data
    model = build_model(config)
    train_step = tf.function(model.train_step)
    iterator = iter(pipeline(config))

    def run(steps):
        waited, begin = 0.0, time.perf_counter()
        for _ in range(steps):
            before = time.perf_counter()
            batch = next(iterator)
            waited += time.perf_counter() - before
            _wait(train_step(batch))
        return waited / (time.perf_counter() - begin)

    return run, facts(config)


def profile(config, data):
    """Whole steps under TensorFlow's profiler; the value is {kind of operation: seconds}."""
    steps, worth = train_steps(config, prepared(data))

    def run(calls):
        steps(calls)
        with tempfile.TemporaryDirectory() as folder:
            options = tf.profiler.experimental.ProfilerOptions(2, 0, 0)
            with tf.profiler.experimental.Profile(folder, options):
                steps(calls)
            return seconds_by_kind(folder)

    return run, worth


def seconds_by_kind(folder):
    """Seconds spent in operations of each of `kind_of`, from a trace of TensorFlow's profiler."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
    with open(path, "rb") as file:
        space = xplane_pb2.XSpace.FromString(file.read())
    seconds = {}
    for plane in space.planes:
        names = {key: kind_of(event.name) for key, event in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                if kind := names[event.metadata_id]:
                    seconds[kind] = seconds.get(kind, 0.0) + event.duration_ps / 1e12
    return seconds


_KINDS = {
    "layout changes": ("Transpose", "MklToTf", "InputConversion", "ReorderOp", "MklReshape"),
    "dense layers": ("MatMul",),
    "input pipeline": ("Iterator",),
}


def kind_of(event):
    """The kind of an operation from its name in a trace, "place:Type"; None for what is none.

    A transposed convolution forward has the type of a convolution's gradient, so the name, which
    TensorFlow gives to gradients, tells forward from backward.
    """
    place, colon, kind = event.rpartition(":")
    if (
        not colon
        or "::" in event
        or not kind.isidentifier()
        or kind in ("While", "StatelessWhile", "Run")
    ):
        return None
    if "Conv2D" in kind:
        return f"convolutions, {'backward' if 'gradient' in place.lower() else 'forward'}"
    if any(name in place.lower() for name in ("adam", "muon")) or kind.startswith("Assign"):
        return "optimizer and metrics"
    for name, types in _KINDS.items():
        if any(word in kind for word in types):
            return name
    return "activations, losses and other element-wise work"


def _wait(outputs):
    tf.nest.map_structure(lambda output: output.numpy(), outputs)


def _with_precision(precision):
    return lambda config, data: train_steps(
        dataclasses.replace(config, precision=precision), prepared(data)
    )


ROWS = {
    "step": lambda config, data: train_steps(config, prepared(data)),
    **{f"step, {precision}": _with_precision(precision) for precision in PRECISIONS},
    "step, Muon": lambda config, data: train_steps(
        dataclasses.replace(config, optimizer="muon"), prepared(data)
    ),
    "step, one a call": lambda config, data: train_steps(
        dataclasses.replace(config, steps_per_execution=1), prepared(data)
    ),
    "forward": lambda config, data: part(config, data, backward=False),
    "forward and backward": lambda config, data: part(config, data, backward=True),
    "fit": lambda config, data: fit(config, pipeline(config)),
    "fit, prepared batches": lambda config, data: fit(config, prepared(data)),
    "waits": waits,
    "profile": profile,
}
