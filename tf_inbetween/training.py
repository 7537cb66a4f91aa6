"""Builds models and trains them in a run directory, from its last checkpoint if any."""

import contextlib
import functools
import shutil
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from tf_inbetween import init_from, optimizers, run_directory, strategies
from tf_inbetween.callbacks import (
    CheckRunDirectory,
    Progress,
    SaveBestAndCheckpoint,
    TensorBoardLogger,
    TerminateOnNonFinite,
    raise_for_non_finite,
)
from tf_inbetween.checkpoints import Checkpoints, progress
from tf_inbetween.clips import kind_of, prepare
from tf_inbetween.config import InputError, lookup
from tf_inbetween.data import batches
from tf_inbetween.evaluation.pairs import fitting_gaps
from tf_inbetween.kinds import KINDS
from tf_inbetween.models import ACAI, Autoencoder, FusionVAE, PixelUNet, TripletVAE
from tf_inbetween.networks import NETWORKS

MODELS = {"vae": TripletVAE, "autoencoder": Autoencoder, "acai": ACAI, "pixel_unet": PixelUNet}
# What draws the frame between two of a vae: decode(z_t), or that and the pixels of both ends.
INBETWEEN_DECODERS = {"latent": TripletVAE, "fusion": FusionVAE}


def train(config, clips=None, judged=False, strategy=None):
    """Trains the model of `config` into its run directory, from its last checkpoint if it has one.

    Args:
        config: a `Config`.
        clips: to train on, a `clips.StoredClips` or `clips.ClipsInMemory` with splits train and
            validation; None: those that `config` names.
        judged: whether `evaluate` follows.
        strategy: from `strategies.choose`; None for a single device.

    Returns:
        The final `Checkpoints`.

    Raises:
        InputError: for settings that do not fit the data or the run directory; if the loss becomes
            NaN or infinite; for an --init_from that is missing, damaged or does not fit; if
            `judged`, for test clips on which `evaluate` would fail; and on workers of a cluster
            that do not match.
    """
    strategy = strategy or tf.distribute.get_strategy()
    chief = strategies.is_chief(strategy)
    say = print if chief else lambda line: None
    distributed = strategies.is_distributed(strategy)
    strategies.check_validation(strategy, config)
    init_from.check_other(config)
    run_directory.check(config)
    checkpoint_dir = Path(config.run_dir) / "checkpoints"
    start, _ = progress(checkpoint_dir, say)
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = build_model(config, strategy, clips.kind if clips else kind_of(config))
    if distributed and not model.distributable:
        raise InputError(f"--model={config.model}: trains on a single device; --strategy=single")
    init_sha256 = None
    if config.init_from and not start:  # A checkpoint has them already.
        other, init_sha256 = init_from.read(config)
        with strategy.scope():
            say(init_from.take_over(model, other, config))
    clips = clips or strategies.chief_first(strategy, lambda: prepare(config))
    strategies.check_agreement(strategy, config, start, init_sha256)
    if strategies.describe(strategy):
        print(f"strategy: {strategies.describe(strategy)}")

    def validation_of(replicas, own):
        dataset = batches(clips, "validation", config, widen_gaps=False, replicas=replicas, own=own)
        dataset = dataset.take(config.validation_steps * len(own)).cache()
        # Replicas that run out of data would count empty steps.
        return dataset.repeat() if distributed else dataset

    training = strategies.inputs(
        strategy, functools.partial(batches, clips, "train", config, start_step=start)
    )
    validation = strategies.inputs(strategy, validation_of)
    batch = strategies.first_of(strategy, next(iter(validation)))

    if judged:
        fitting_gaps(clips.clip_infos("test"), clips.gaps)

    # All settings are checked by now; from here on files are written.
    with _folder(config, model, init_sha256, chief) as folder:
        say(f"run directory: {folder}")
        with strategy.scope():
            checkpoints = Checkpoints(model, checkpoint_dir, save_to=folder / "checkpoints")
        checkpoints.restore()
        if start == config.steps:
            run_directory.load_model(config.run_dir)
            say(f"already trained to step {start}")
            return checkpoints
        if start:
            say(f"resuming at step {start} of {config.steps}")
        else:
            shutil.rmtree(folder / "logs", ignore_errors=True)

        picture = folder / "figures" / "training.png"
        say(f"what it draws, after each epoch: {picture}")
        (clip,) = clips.read("validation", [0])
        bar = Progress(config, start, shown=chief)
        try:
            with clips.report_corruption("train", "validation"):
                model.fit(
                    training,
                    initial_epoch=start // config.steps_per_epoch,
                    epochs=config.steps // config.steps_per_epoch,
                    steps_per_epoch=config.steps_per_epoch,
                    validation_data=validation,
                    validation_steps=config.validation_steps if distributed else None,
                    callbacks=[
                        CheckRunDirectory(folder, chief),
                        TerminateOnNonFinite(),
                        bar,
                        TensorBoardLogger(
                            folder / "logs", picture, config, clip, clips.pose_names, batch
                        ),
                        SaveBestAndCheckpoint(checkpoints, folder),
                    ],
                    shuffle=False,
                    verbose=0,
                )
        except tf.errors.InvalidArgumentError as error:
            raise_for_non_finite(error.message)
            first_line = error.message.partition("\n")[0]
            raise InputError(f"a batch could not be made: {first_line}") from error
        finally:
            bar.close()
    return checkpoints


@contextlib.contextmanager
def _folder(config, model, init_sha256, chief):
    """Yields the folder to write to: the run directory, or for other workers a temporary one.

    All workers have to save and draw, because some values that this reads are summed over replicas.
    """
    if chief:
        yield run_directory.start(config, model.dtype_policy.name, init_sha256)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def build_model(config, strategy=None, kind="pictures"):
    """The compiled model of `config`, with linear warm-up and cosine decay.

    Args:
        config: a `Config`.
        strategy: the one in whose scope this is called; None for a single device.
        kind: of the frames, a row of `kinds.KINDS`.

    Raises:
        InputError: for unknown names and invalid combinations.
    """
    model_type = model_class(config)
    KINDS[kind].check(config)
    keras.config.set_dtype_policy(choose_precision(config.precision))
    try:
        model = model_type.build_from(config, kind)
    finally:
        keras.config.set_dtype_policy("float32")
    warmup = min(config.learning_rate_warmup_steps, config.steps - 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=config.steps - warmup,
        alpha=0.01,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    # XLA made this network two to three times slower on a CPU.
    model.compile(
        optimizer=optimizers.build(
            config.optimizer, schedule, config.global_clipnorm, strategies.is_distributed(strategy)
        ),
        jit_compile=False,
        steps_per_execution=config.steps_per_execution,
    )
    return model


def model_class(config):
    """The class of a `Config`'s model. Raises `InputError` for an unknown model or network."""
    kind = lookup(MODELS, config.model, "model")
    lookup(NETWORKS, config.network, "network")
    decoded_by = lookup(INBETWEEN_DECODERS, config.inbetween_decoder, "in-between decoder")
    if kind is TripletVAE:
        return decoded_by
    if decoded_by is not TripletVAE:
        raise InputError(
            f"--inbetween_decoder={config.inbetween_decoder}: needs --model=vae, not {config.model}"
        )
    return kind


def choose_precision(precision):
    """The Keras dtype policy for --precision; auto is bfloat16 where matrix units multiply it.

    That is on GPUs of compute capability 8 and up and on CPUs with AMX. (AVX-512 alone gained 15 %
    of the time of a step and lost more in quality, see BUILD_NOTES.md.)
    """
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability")
        return "mixed_bfloat16" if capability and capability[0] >= 8 else "float32"
    try:
        cpu = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "float32"
    return "mixed_bfloat16" if "amx_bf16" in cpu else "float32"
