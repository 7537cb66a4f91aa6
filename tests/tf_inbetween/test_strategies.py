"""Several replicas compute what one device computes, and a killed cluster goes on."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from interrupted import final_weights

from tf_inbetween import data, strategies, training
from tf_inbetween.config import InputError, as_text

ROOT = Path(__file__).parents[2]

# The training command on the tests' own small data set, on two devices of a CPU if asked.
TRAIN = """
import sys
import tensorflow as tf
import tensorflow_datasets as tfds
import tf_inbetween.train as command
from frame_io import command_line
from tf_inbetween import training
from tf_inbetween.evaluation import run as evaluate
from tf_inbetween.clips import StoredClips

data = sys.argv.pop(1)
if "--strategy=mirrored" in sys.argv:
    (cpu,) = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
training.prepare = evaluate.prepare = lambda *_: StoredClips(tfds.builder_from_directory(data))
command.define_flags()
command_line.run(command.main)
"""

CHECKPOINTS = "checkpoints"


def command(stored, config, strategy, *more):
    flags = list(more or ["--noevaluate"])
    for name, value in vars(config).items():
        text = as_text(value) if isinstance(value, tuple) else value
        flags.append(f"--{name}={text}")
    script = [sys.executable, "-c", TRAIN, str(stored.builder.data_dir)]
    return [*script, f"--strategy={strategy}", *flags]


def free_ports(count):
    with_ports = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in with_ports]
    for opened in with_ports:
        opened.close()
    return ports


def start_workers(stored, config, *more, count=2):
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    workers = []
    for index in range(count):
        content = {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
        environment = {**os.environ, "TF_CONFIG": json.dumps(content), "CUDA_VISIBLE_DEVICES": ""}
        workers.append(
            subprocess.Popen(
                command(stored, config, "auto", *more),
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    return workers


def kill(workers):
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait()
        worker.stdout.close()


def finish(workers, timeout=300):
    try:
        outputs = [worker.communicate(timeout=timeout)[0] for worker in workers]
    finally:
        kill(workers)
    assert [worker.returncode for worker in workers] == [0] * len(workers), "\n".join(outputs)
    return outputs


def assert_close(actual, expected, tolerance=1e-4):
    """Weights and Adam's moments agree within `tolerance` of their variable's largest value."""
    assert actual.keys() == expected.keys()
    assert len(actual) > 20
    for name, value in expected.items():
        largest = np.max(np.abs(value))
        np.testing.assert_allclose(actual[name], value, atol=tolerance * largest, err_msg=name)


@pytest.fixture
def alone(stored, tiny_config, tmp_path):
    """What a single device makes of a batch of two clips; clipping is at work in every step."""
    # So few steps that rounding has not yet grown.
    config = tiny_config(run_dir=str(tmp_path / "alone"), clips_per_batch=2, global_clipnorm=1e3)
    training.train(config, stored)
    return config


def like(config, tmp_path, name, **changes):
    return dataclasses.replace(config, run_dir=str(tmp_path / name), **changes)


# As by default, but for the number: several steps in one call of a graph.
TWO_STEPS = {"steps_per_execution": 2, "validation_steps": 2}


def test_two_workers_end_as_one_device_does(stored, alone, tmp_path):
    config = like(alone, tmp_path, "two", **TWO_STEPS)
    chief, other = finish(start_workers(stored, config, "--pairs=2"))
    assert "waiting until all 2 workers are there" in other
    assert "strategy: worker 0 of 2, 2 replicas" in chief
    assert "run directory:" not in other
    assert "| 6/6 [" in chief
    assert_close(final_weights(config), final_weights(alone))
    files = {path.name for path in Path(config.run_dir).iterdir()}
    of_training = {CHECKPOINTS, "environment.json", "flags.txt", "logs", "model.keras"}
    assert files == of_training | {"metrics.json", "figures"}


@pytest.mark.slow
def test_two_workers_train_in_bfloat16(stored, tiny_config):
    config = tiny_config(clips_per_batch=2, precision="mixed_bfloat16")
    finish(start_workers(stored, config))
    weights = final_weights(config)
    assert len(weights) > 20
    for name, value in weights.items():
        assert np.all(np.isfinite(value)), name


@pytest.mark.slow
def test_two_devices_of_a_machine_end_as_one_does(stored, alone, tmp_path):
    config = like(alone, tmp_path, "mirrored", **TWO_STEPS)
    subprocess.run(command(stored, config, "mirrored"), check=True, capture_output=True)
    assert_close(final_weights(config), final_weights(alone))


@pytest.fixture
def fused(stored, finished, tiny_config, tmp_path):
    """What a single device makes of a `FusionVAE` and four clips, from another run's weights."""
    config = tiny_config(
        run_dir=str(tmp_path / "alone"),
        init_from=finished(steps=2, run_dir=str(tmp_path / "source")).run_dir,
        inbetween_decoder="fusion",
        fusion_filters=(4, 8),
        latent_dropout=0.5,
        clips_per_batch=4,
        global_clipnorm=1e3,
    )
    training.train(config)
    return config


@pytest.mark.slow
def test_a_fusion_vae_on_two_devices_ends_as_on_one(stored, fused, tmp_path):
    config = like(fused, tmp_path, "mirrored", **TWO_STEPS)
    done = subprocess.run(command(stored, config, "mirrored"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"first weights of encoder, decoder from {config.init_from}" in done.stdout
    assert_close(final_weights(config), final_weights(fused))


@pytest.mark.slow
def test_a_fusion_vae_on_two_workers_ends_as_on_one(stored, fused, tmp_path):
    config = like(fused, tmp_path, "two", **TWO_STEPS)
    chief, other = finish(start_workers(stored, config, "--pairs=2"))
    assert "first weights of encoder, decoder from" in chief
    assert "first weights" not in other
    assert_close(final_weights(config), final_weights(fused))


@pytest.mark.slow
def test_workers_that_do_not_find_the_first_weights_stop(stored, fused, tmp_path):
    config = like(fused, tmp_path, "two", init_from=str(tmp_path / "nowhere"), **TWO_STEPS)
    workers = start_workers(stored, config)
    try:
        outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    finally:
        kill(workers)
    assert [worker.returncode for worker in workers] == [1, 1]
    for output in outputs:
        assert output.strip().splitlines()[-1].startswith("error: --init_from=")
    assert not Path(config.run_dir).exists()


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_worker_is_killed_and_the_same_commands_go_on(stored, tiny_config, tmp_path, killed):
    config = tiny_config(clips_per_batch=2, steps=20, **TWO_STEPS)
    whole = like(config, tmp_path, "whole")
    finish(start_workers(stored, whole))
    workers = start_workers(stored, config)
    folder = Path(config.run_dir) / CHECKPOINTS
    deadline = time.monotonic() + 300
    try:
        while not list(folder.glob("ckpt-*.index")):
            assert time.monotonic() < deadline
            assert all(worker.poll() is None for worker in workers)
            time.sleep(0.05)
        workers[killed].send_signal(signal.SIGKILL)
        # The survivor notices by itself, so that whatever runs the job can start it again.
        survivor = workers[1 - killed]
        output, _ = survivor.communicate(timeout=300)
    finally:
        kill(workers)
    assert survivor.returncode == 1
    last_line = output.strip().splitlines()[-1]
    assert last_line.startswith("error: ")
    saved = int(tf.train.latest_checkpoint(folder).rpartition("-")[2])
    assert 0 < saved < 20
    chief, _ = finish(start_workers(stored, config))
    assert f"resuming at step {saved} of 20" in chief
    assert_close(final_weights(config), final_weights(whole), tolerance=1e-3)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_the_replicas_batches_make_up_the_whole_one(make_clips, tiny_config, cache):
    clips = make_clips(train=[(length, True, 0.0) for length in (12, 13, 20, 24, 30)])
    config = tiny_config(
        cache=cache, clips_per_batch=4, frames_per_clip=8, min_gap=2.0, max_gap=6.0
    )

    def batches(count, **settings):
        dataset = data.batches(clips, "train", config, start_step=2, **settings)
        return list(dataset.take(count).as_numpy_iterator())

    # Two workers of two replicas each, whose batches come in turn.
    workers = [batches(6, replicas=4, own=own) for own in (range(2), range(2, 4))]
    for step, whole in enumerate(batches(3)):
        shares = [share for worker in workers for share in worker[2 * step : 2 * step + 2]]
        np.testing.assert_array_equal(
            np.concatenate([share["frames"] for share in shares]), whole["frames"]
        )
        for key, shifts in (("triplets", range(0, 32, 8)), ("t", [0] * 4)):
            parts = [share[key] + shift for share, shift in zip(shares, shifts, strict=True)]
            by_turns = np.stack(parts, axis=1).reshape(whole[key].shape)
            np.testing.assert_array_equal(by_turns, whole[key])


GOOD = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'


@pytest.mark.parametrize(
    ("tf_config", "message"),
    [
        ("", "TF_CONFIG is not set"),
        ("{", "TF_CONFIG: must be JSON such as"),
        ("[]", "TF_CONFIG: must be JSON such as"),
        (GOOD.replace('"task"', '"job"'), "TF_CONFIG: must be JSON such as"),
        (GOOD.replace("0", "2"), 'TF_CONFIG: "task" is worker 2, which "cluster" does not name'),
        (GOOD.replace('"worker": [', '"ps": ['), 'TF_CONFIG: "cluster" may name "worker" and'),
        (GOOD, "--clips_per_batch=3: must be a multiple of the 2 replicas"),
    ],
)
def test_a_wrong_cluster_is_one_clear_line(monkeypatch, tf_config, message):
    monkeypatch.setenv("TF_CONFIG", tf_config)
    with pytest.raises(InputError) as caught:
        strategies.choose("multi_worker", 3)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("gpus", "expected"), [(0, "single"), (2, "mirrored"), (3, "single")])
def test_auto_takes_gpus_that_divide_the_batch(monkeypatch, gpus, expected):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [None] * gpus)
    assert strategies._automatic(4) == expected
    monkeypatch.setenv("TF_CONFIG", GOOD)
    assert strategies._automatic(4) == "multi_worker"


def test_an_unknown_strategy_lists_the_valid_ones():
    with pytest.raises(InputError, match="must be one of auto, single, mirrored, multi_worker"):
        strategies.choose("tpu", 1)


def test_replicas_do_not_count_validation_batches_twice(tiny_config):
    config = tiny_config(validation_steps=3, steps_per_execution=2)
    strategies.check_validation(None, config)
    with pytest.raises(InputError, match="--validation_steps=3: must be a multiple of"):
        strategies.check_validation(tf.distribute.MirroredStrategy(["CPU:0"]), config)


@pytest.mark.parametrize(
    ("seen", "message"),
    [([[1, 2], [0, 0]], "started with different flags"), ([[1, 1], [0, 2]], r"steps \(0, 2\)")],
)
def test_workers_that_do_not_fit_together(tiny_config, monkeypatch, seen, message):
    answers = iter(seen)
    monkeypatch.setattr(strategies, "_of_all_workers", lambda *_: next(answers))
    with pytest.raises(InputError, match=message):
        strategies.check_agreement(None, tiny_config(), 0)


def test_the_kubernetes_file_parses_and_its_shell_makes_a_cluster():
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all((ROOT / "docs/kubernetes.yaml").read_text())
    assert service["spec"]["clusterIP"] == "None"
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"]
    pod = spec["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    (container,) = pod["containers"]
    values = {item["name"]: item["value"] for item in container["env"]}
    assert values["WORKERS"] == str(spec["completions"])
    script = container["command"][-1].replace("exec python", "echo $TF_CONFIG; : python")
    result = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, **values, "JOB_COMPLETION_INDEX": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    cluster = json.loads(result.stdout)
    assert cluster["task"] == {"type": "worker", "index": 1}
    name, subdomain = job["metadata"]["name"], pod["subdomain"]
    assert cluster["cluster"]["worker"] == [
        f"{name}-{index}.{subdomain}:2222" for index in range(spec["completions"])
    ]
