"""Trains a model: `python -m tf_inbetween.train --flagfile=teapot.flags`.

Builds the data set the first time, trains, keeps the best model by validation, evaluates it and
draws the figures. After each epoch figures/training.png in the run directory shows what the model
draws. The same command, started again, resumes. On many machines, run it on each; see
docs/many_machines.md.
"""

import time
from pathlib import Path

from absl import flags

from frame_io import command_line
from frame_io.files import write_checked_json
from tf_inbetween import config_flags, strategies
from tf_inbetween.evaluation.run import PAIRS, evaluate
from tf_inbetween.training import train

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    config_flags.define_config_flags()
    flags.DEFINE_integer("pairs", PAIRS, "Pairs of frames for each gap of the evaluation.", 1)
    flags.DEFINE_bool("evaluate", True, "Measure the model and draw its figures at the end.")
    flags.DEFINE_enum(
        "strategy",
        "auto",
        strategies.STRATEGIES,
        "single: one device; mirrored: every GPU of this machine; multi_worker: the workers of "
        "TF_CONFIG; auto: multi_worker if that is set, mirrored if there are several GPUs whose "
        "number divides --clips_per_batch, else single.",
    )


def main():
    """Trains and evaluates the model that the flags describe."""
    began = time.monotonic()
    config = config_flags.config_from_flags()
    strategy = strategies.choose(FLAGS.strategy, config.clips_per_batch)
    checkpoints = train(config, judged=FLAGS.evaluate, strategy=strategy)
    if strategies.is_chief(strategy):
        if FLAGS.evaluate:
            result = evaluate(config.run_dir, pairs=FLAGS.pairs)
            if checkpoints.restored_step == 0:
                result["total_seconds"] = round(time.monotonic() - began, 1)
                write_checked_json(Path(config.run_dir) / "metrics.json", result)
                print(f"took {result['total_seconds'] / 60:.1f} minutes, including the data set")
        print(f"TensorBoard: tensorboard --logdir {config.run_dir}/logs")
    # If the chief had to restart, a worker that had exited would be missing.
    strategies.wait_for_all(strategy)


if __name__ == "__main__":
    define_flags()
    command_line.run(main, on_interrupt="the same command resumes from the last checkpoint")
