"""Training on many replicas: the GPUs of a machine, or workers on many machines.

A replica takes whole clips of every batch, `clips_per_batch` divided by the number of replicas, and
together they compute what a single device computes from the whole batch: the same clips,
frames and latent noise, the mean of the gradients, clipped as one, and one calibrated scale. Only
the order of additions differs, and the samples of --matching=mixture.

Every worker runs the same command; only the environment variable TF_CONFIG differs:

    {"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}

Worker 0, or the task of type "chief" if there is one, writes the run directory.
"""

import dataclasses
import json
import os
import zlib

import tensorflow as tf

from tf_inbetween.config import InputError

STRATEGIES = ("auto", "single", "mirrored", "multi_worker")


def choose(name, clips_per_batch):
    """The `tf.distribute.Strategy` of a name. Call it before TensorFlow computes anything.

    Args:
        name: one of `STRATEGIES`. "auto" is "multi_worker" where TF_CONFIG is set, "mirrored" where
            there are several GPUs whose number divides `clips_per_batch`, else "single".
        clips_per_batch: of all replicas together.

    Returns:
        The strategy (for "single", TensorFlow's default). "multi_worker" returns once all workers
        have started.

    Raises:
        InputError: for an unknown name, a TF_CONFIG that is missing or wrong, or a number of
            replicas that does not divide `clips_per_batch`.
    """
    if name not in STRATEGIES:
        raise InputError(f"--strategy={name}: must be one of {', '.join(STRATEGIES)}")
    if name == "auto":
        name = _automatic(clips_per_batch)
    if name == "single":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = len(tf.config.list_logical_devices("GPU"))
        devices = devices or len(tf.config.list_logical_devices("CPU"))
        _check_divides(devices, clips_per_batch)
        return tf.distribute.MirroredStrategy()
    workers = _check_tf_config()
    _check_divides(workers * max(len(tf.config.list_physical_devices("GPU")), 1), clips_per_batch)
    print(f"waiting until all {workers} workers are there", flush=True)
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_distributed(strategy):
    """Whether a strategy (or None) is not TensorFlow's default, a single device."""
    kinds = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)
    return isinstance(strategy, kinds)


def is_chief(strategy):
    """Whether this process writes the run directory."""
    task_type, task_id = _task(strategy)
    if task_type == "worker" and "chief" not in strategy.cluster_resolver.cluster_spec().jobs:
        return task_id == 0
    return task_type in ("chief", None)


def inputs(strategy, make):
    """The batches of every replica.

    Args:
        strategy: from `choose`.
        make: a function of `replicas`, how many there are, and `own`, the range of those to feed
            here, as `tf_inbetween.data.batches` takes them; returns a `tf.data.Dataset`.

    Returns:
        What `fit` takes: a distributed data set, or on a single device `make`'s own.
    """
    replicas = strategy.num_replicas_in_sync
    if not is_distributed(strategy):
        return make(replicas=1, own=range(1))

    def of_worker(context):
        count = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * count
        return make(replicas=replicas, own=range(first, first + count))

    return strategy.distribute_datasets_from_function(of_worker)


def first_of(strategy, batch):
    """The part of a batch, as iterating `inputs` yields it, of this process's first replica."""
    return tf.nest.map_structure(lambda x: strategy.experimental_local_results(x)[0], batch)


def chief_first(strategy, function):
    """Calls `function` on the chief, then on the other workers; returns what it returned."""
    if is_chief(strategy):
        result = function()
        wait_for_all(strategy)
        return result
    wait_for_all(strategy)
    return function()


def wait_for_all(strategy):
    """Waits for every worker; called at the end, so that none exits before the others."""
    _of_all_workers(strategy, 0)


def check_validation(strategy, config):
    """Raises `InputError` if replicas would count some validation batches twice."""
    if is_distributed(strategy) and config.validation_steps % config.steps_per_execution:
        raise InputError(
            f"--validation_steps={config.validation_steps}: must be a multiple of "
            f"--steps_per_execution={config.steps_per_execution} with several replicas"
        )


def check_agreement(strategy, config, start, init_sha256=None):
    """Raises `InputError` on every worker unless all start from the same state.

    They must have the same flags, the same step and the same initial weights.

    Args:
        strategy: from `choose`.
        config: this worker's `Config`; folders may have other names on other workers.
        start: the step of the checkpoint that this worker found.
        init_sha256: of the model.keras with its initial weights, or None.
    """
    folders = {"run_dir": "", "data_dir": "", "init_from": str(bool(config.init_from))}
    flags = repr(dataclasses.replace(config, **folders))
    if len(set(_of_all_workers(strategy, zlib.crc32(flags.encode())))) > 1:
        raise InputError("the workers were started with different flags")
    steps = _of_all_workers(strategy, start)
    if len(set(steps)) > 1:
        raise InputError(
            f"--run_dir={config.run_dir}: the workers found checkpoints of different steps "
            f"({', '.join(map(str, sorted(set(steps))))}); it must be a shared folder"
        )
    if len(set(_of_all_workers(strategy, zlib.crc32((init_sha256 or "").encode())))) > 1:
        raise InputError(
            f"--init_from={config.init_from}: the workers read different models; it must be the "
            "same model.keras on all of them"
        )


def describe(strategy):
    """One line about a strategy, such as "worker 1 of 2, 2 replicas"; empty for a single device."""
    if not is_distributed(strategy):
        return ""
    line = f"{strategy.num_replicas_in_sync} replicas"
    if _task(strategy)[0]:
        jobs = strategy.cluster_resolver.cluster_spec()
        count = sum(jobs.num_tasks(job) for job in jobs.jobs)
        line = f"{' '.join(map(str, _task(strategy)))} of {count}, {line}"
    return line


def _automatic(clips_per_batch):
    if os.environ.get("TF_CONFIG"):
        return "multi_worker"
    gpus = len(tf.config.list_physical_devices("GPU"))
    return "mirrored" if gpus > 1 and clips_per_batch % gpus == 0 else "single"


def _check_divides(replicas, clips_per_batch):
    if clips_per_batch % replicas:
        raise InputError(
            f"--clips_per_batch={clips_per_batch}: must be a multiple of the {replicas} replicas"
        )


def _check_tf_config():
    """The number of workers in TF_CONFIG. Raises `InputError` if it is invalid."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise InputError("--strategy=multi_worker: the environment variable TF_CONFIG is not set")
    try:
        content = json.loads(text)
        cluster, task = content["cluster"], content["task"]
        kind, index = task["type"], int(task["index"])
        counts = {job: len(list(addresses)) for job, addresses in cluster.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            'TF_CONFIG: must be JSON such as {"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from error
    if not set(counts) <= {"chief", "worker"} or counts.get("chief", 1) != 1:
        raise InputError('TF_CONFIG: "cluster" may name "worker" and at most one "chief"')
    if not 0 <= index < counts.get(kind, 0):
        raise InputError(f'TF_CONFIG: "task" is {kind} {index}, which "cluster" does not name')
    return sum(counts.values())


def _task(strategy):
    """The type and number of this process's task; (None, None) outside of a cluster."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return None, None
    resolver = strategy.cluster_resolver
    return resolver.task_type, resolver.task_id


def _of_all_workers(strategy, number):
    """Gathers one integer per replica on all workers, as a list. Waits for all workers."""
    if not is_distributed(strategy):
        return [number]
    own = strategy.run(lambda: tf.constant([number], tf.int64))
    return strategy.gather(own, axis=0).numpy().tolist()
