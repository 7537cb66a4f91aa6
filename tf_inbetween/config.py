"""Every setting of a training run, in one frozen dataclass.

The entry points make one command-line flag of every field (same name, same default, the help text
below), build a `Config` once, and hand it down. Nothing below them reads a flag.
"""

import dataclasses
import math

import numpy as np

from frame_io.errors import InputError
from frame_io.sizes import Size


def _setting(default, help_text, *, choices=None, low=None, high=None, names="", section="method"):
    """A field of `Config`.

    Args:
        default: its type is the setting's type.
        help_text: for --help.
        choices: the valid values.
        low, high: the least and the largest value.
        names: the table whose keys are the valid values, such as "matching.MATCHINGS". Modules that
            can import it read it, and it completes the help text.
        section: "place" for where a run, its data and its initial weights are and how they are
            stored, "seed", or "method" for everything else.
    """
    metadata = {
        "help": help_text,
        "choices": choices,
        "low": low,
        "high": high,
        "names": names,
        "section": section,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one training run. Raises `InputError` for a value out of range.

    Gaps are in the scene's own unit where it has one (degrees for the teapot), else in frames.
    """

    run_dir: str = _setting("", "The folder for everything this run writes.", section="place")
    seed: int = _setting(
        0, "Seed of the weights, the batches and the latent noise.", low=0, section="seed"
    )
    init_from: str = _setting(
        "", "Run directory (or model.keras) with the initial weights; empty: random weights."
    )

    scene: str = _setting(
        "teapot_1dof", "Which clips to train on: a scene or an imported data set."
    )
    image_size: Size = _setting(
        Size(64, 64), "Height and width of a frame in pixels, or WIDTHxHEIGHT.", low=16, high=4096
    )
    channels: int = _setting(3, "3 for RGB, 1 for grey.", choices=(1, 3))
    data_dir: str = _setting(
        "", "Where data sets live; empty: where TFDS keeps them.", section="place"
    )
    cache: str = _setting(
        "auto",
        "memory: keep the decoded frames; none: decode as needed; auto: memory if they fit.",
        choices=("auto", "memory", "none"),
        section="place",
    )
    memory_limit_mb: int = _setting(4096, "Limit of --cache=auto, in MiB.", low=0, section="place")

    clips_per_batch: int = _setting(1, "Clips per batch.", low=1)
    frames_per_clip: int = _setting(
        36, "Evenly spaced frames drawn from each clip of a batch.", low=3
    )
    triplets_per_clip: int = _setting(256, "Triplets matched in latent space, per clip.", low=1)
    inbetweens_per_clip: int = _setting(
        36, "How many of these are decoded and compared with the truth.", low=1
    )
    t_sampling: str = _setting(
        "midpoint",
        "Where x1 lies between x0 and x2. midpoint: in the middle, as in the paper; uniform: "
        "anywhere.",
        choices=("midpoint", "uniform"),
    )
    min_gap: float = _setting(20.0, "Smallest gap between the outer frames of a triplet.", low=0)
    max_gap: float = _setting(120.0, "Largest gap between the outer frames of a triplet.")
    gap_warmup_steps: int = _setting(
        0, "Steps over which the largest gap grows from min_gap.", low=0
    )

    model: str = _setting(
        "vae",
        "vae; autoencoder: latents are points, no prior; acai: an autoencoder and a critic of its "
        "interpolants; pixel_unet: a U-Net from both frames and t to the frame between, without "
        "latents. --alpha, --matching and --prior_weight are for the vae only.",
        names="training.MODELS",
    )
    network: str = _setting(
        "conv",
        "Encoder and decoder. conv: convolutions; sprites: objects on a background, each with "
        "where it is and what it is; text: bytes and convolutions along the line.",
        names="networks.NETWORKS",
    )
    sprites: int = _setting(
        1, "Objects that --network=sprites separates from the background.", low=1
    )
    crop_size: int = _setting(
        32, "Height and width of the crop that --network=sprites draws an object in.", low=8
    )
    latent_dim: int = _setting(8, "Dimensions of the latent space.", low=1)
    latent_size: int = _setting(
        0,
        "Height and width that frames are scaled to for the encoder, and that the decoder draws; "
        "0: the frames' own if they are square, at most 128 and halved by all --filters, else 64.",
        low=0,
        high=256,
    )
    filters: tuple[int, ...] = _setting(
        (32, 64, 128, 256), "Filters of the encoder's stride-2 convolutions; mirrored to decode."
    )
    dense_units: int = _setting(
        256, "Units of the dense layers before and after the latent space.", low=1
    )
    likelihood: str = _setting("calibrated_normal", "p(x|z).", names="distributions.LIKELIHOODS")
    normal_scale: float = _setting(0.02, "Standard deviation of --likelihood=normal.", low=1e-6)

    alpha: float = _setting(1.0, "Weight of the matching term: the paper's alpha.", low=0)
    alpha_warmup_steps: int = _setting(300, "Steps over which alpha grows from 0.", low=0)
    matching: str = _setting(
        "averaged",
        "The reading of KL(q(x1) || (q(x0)+q(x2))/2).",
        names="matching.MATCHINGS",
    )
    matching_samples: int = _setting(8, "Monte Carlo samples of --matching=mixture.", low=1)
    prior_weight: float = _setting(1.0, "Weight of KL(q(x) || N(0, I)); 1 is the ELBO.", low=0)
    latent_path: str = _setting(
        "straight",
        "How to go from one latent to another: straight, or along a learned curve.",
        names="networks.LATENT_PATHS",
    )
    inbetween_weight: float = _setting(
        1.0, "Weight of the in-between likelihood; 0: the paper's loss alone.", low=0
    )
    inbetween_decoder: str = _setting(
        "latent",
        "What draws x1. latent: decode(z_t), as in the paper; fusion: that and both ends' pixels.",
        choices=("latent", "fusion"),
    )
    fusion_filters: tuple[int, ...] = _setting(
        (24, 48, 96, 128), "Filters of the fusion decoder at 1/2, 1/4, ... of the frame's sides."
    )
    initial_flow: str = _setting(
        "zero",
        "Where the flows of the fusion decoder start: at zero, or at those of lucas_kanade, an "
        "optical flow without weights: better for footage with much texture.",
        choices=("zero", "lucas_kanade"),
    )
    training_crop: int = _setting(
        0,
        "Height and width of the part of a frame that one step trains the fusion decoder on; 0: "
        "the whole frame.",
        low=0,
    )
    latent_dropout: float = _setting(
        0.25,
        "Share of the training pairs that the fusion decoder sees turned, half of them without the "
        "latent; 1: there is never a latent.",
        low=0,
        high=1,
    )
    critic_weight: float = _setting(0.5, "Weight of the critic in --model=acai, its lambda.", low=0)

    steps: int = _setting(4000, "Optimizer steps.", low=1)
    steps_per_epoch: int = _setting(200, "Steps between validations and checkpoints.", low=1)
    validation_steps: int = _setting(10, "Batches per validation.", low=1)
    optimizer: str = _setting(
        "muon",
        "muon; adam needs --learning_rate=2e-3 and more steps.",
        names="optimizers.OPTIMIZERS",
    )
    learning_rate: float = _setting(5e-3, "Peak learning rate of the optimizer.", low=0)
    global_clipnorm: float = _setting(
        3e5,
        "Gradients (of the loss in nats) of a larger global norm are scaled down to it.",
        low=1e-6,
    )
    learning_rate_warmup_steps: int = _setting(
        100, "Steps to the peak; cosine decay follows.", low=0
    )
    precision: str = _setting(
        "auto",
        "float32, mixed_bfloat16, or auto: mixed_bfloat16 where the hardware multiplies it fast.",
        choices=("auto", "float32", "mixed_bfloat16"),
    )
    steps_per_execution: int = _setting(10, "Steps per graph call.", low=1)
    deterministic: bool = _setting(True, "Use deterministic ops: same seed, same weights.")

    def __post_init__(self):
        try:
            object.__setattr__(self, "image_size", Size.of(self.image_size))
        except ValueError as error:
            raise InputError(f"--image_size={error}") from error
        for field in dataclasses.fields(self):
            _check(field.name, getattr(self, field.name), **field.metadata)
        if self.max_gap < self.min_gap:
            raise InputError(f"--max_gap={self.max_gap}: must be at least --min_gap={self.min_gap}")
        for name in ("filters", "fusion_filters"):
            filters = getattr(self, name)
            if not filters or min(filters) < 1:
                raise InputError(f"--{name}={as_text(filters)}: needs positive numbers")
        smallest = self.training_crop or min(self.image_size)
        if 2 ** len(self.fusion_filters) > smallest:
            raise InputError(
                f"--fusion_filters={as_text(self.fusion_filters)}: {len(self.fusion_filters)} "
                f"halvings are too many for {smallest} pixels"
            )
        sprites = self.network == "sprites"
        halved, name = (
            (self.crop_size, "crop_size") if sprites else (self.coded_size, "latent_size")
        )
        if halved % 2 ** len(self.filters):
            raise InputError(
                f"--filters={as_text(self.filters)}: {len(self.filters)} halvings do not divide "
                f"--{name}={halved}"
            )
        if self.training_crop and self.inbetween_decoder != "fusion":
            raise InputError("--training_crop: needs --inbetween_decoder=fusion")
        if self.training_crop and not 16 <= self.training_crop <= min(self.image_size):
            raise InputError(
                f"--training_crop={self.training_crop}: must be 0, or from 16 to the smaller side "
                f"of --image_size={self.image_size}"
            )
        if self.network == "sprites" and (
            self.latent_dim % self.sprites or self.latent_dim // self.sprites < 3
        ):
            raise InputError(
                f"--latent_dim={self.latent_dim}: must be a multiple of --sprites={self.sprites}, "
                "at least three times as large: two numbers say where, the others what"
            )
        if self.inbetween_decoder == "fusion" and not self.inbetween_weight:
            raise InputError(
                "--inbetween_decoder=fusion: needs the in-between likelihood; "
                "--inbetween_weight=0 turns it off"
            )
        if self.latent_path == "curved" and not self.inbetween_weight:
            raise InputError(
                "--latent_path=curved: needs the in-between likelihood; "
                "--inbetween_weight=0 turns it off"
            )
        if self.inbetweens_per_clip > self.triplets_per_clip:
            raise InputError(
                f"--inbetweens_per_clip={self.inbetweens_per_clip}: must be at most "
                f"--triplets_per_clip={self.triplets_per_clip}"
            )
        if self.steps % self.steps_per_epoch:
            raise InputError(
                f"--steps={self.steps}: must be a multiple of "
                f"--steps_per_epoch={self.steps_per_epoch}"
            )
        if self.steps_per_epoch % self.steps_per_execution:
            raise InputError(
                f"--steps_per_epoch={self.steps_per_epoch}: must be a multiple of "
                f"--steps_per_execution={self.steps_per_execution}"
            )

    @property
    def coded_size(self):
        """Height and width of the encoder's input and the decoder's output, see `latent_size`."""
        height, width = self.image_size
        fits = height == width <= 128 and width % 2 ** len(self.filters) == 0
        return self.latent_size or (width if fits else 64)


_LARGEST = 10**9  # Of the seed, twice that and one still fits into 32 bits, see TripletVAE.


def _check(name, value, choices, low, high, **others):
    """Raises `InputError` unless `value` is one that the field `name` can have."""
    del others
    if choices and value not in choices:
        raise InputError(f"--{name}={value}: must be one of {as_text(choices)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"--{name}={value}: must be a finite number")
    if isinstance(value, str) and not _is_one_line(value):
        raise InputError(f"--{name}={value!a}: must be one line of Unicode text")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int) and number > _LARGEST:
            raise InputError(f"--{name}={number}: must be at most {_LARGEST}")
    least, largest = (min(value), max(value)) if isinstance(value, Size) else (value, value)
    if low is not None and not least >= low:
        raise InputError(f"--{name}={value}: must be at least {low}")
    if high is not None and not largest <= high:
        raise InputError(f"--{name}={value}: must be at most {high}")


def in_section(section):
    """The names of the fields of `Config` in a section: "place", "seed" or "method"."""
    fields = dataclasses.fields(Config)
    return tuple(field.name for field in fields if field.metadata["section"] == section)


def _is_one_line(text):
    """Whether a text can stand in flags.txt; names of files may have line ends and stray bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text and len(f"{text}.".splitlines()) == 1


def as_text(value):
    """A setting as its flag has it; the numbers of a tuple with commas between."""
    many = isinstance(value, tuple) and not isinstance(value, Size)
    return ",".join(map(str, value)) if many else str(value)


def checked_floats(name, values):
    """`values`, an array. Raises `InputError`, under `name`, unless all are floats in [0, 1]."""
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"{name}: is {values.dtype}; must be uint8 in 0..255 or floats in [0, 1]")
    if not np.all(np.isfinite(values)):
        raise InputError(f"{name}: has values that are NaN or infinite")
    low, high = values.min(initial=0.0), values.max(initial=0.0)
    if low < 0 or high > 1:
        raise InputError(
            f"{name}: has values from {low:g} to {high:g}; floats must be in [0, 1] (0..255 as "
            "uint8)"
        )
    return values


def lookup(table, name, what):
    """Returns `table[name]`; an unknown name raises `InputError` that lists the valid ones."""
    if name not in table:
        raise InputError(f"unknown {what} {name!r}: must be one of {', '.join(sorted(table))}")
    return table[name]
