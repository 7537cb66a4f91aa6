"""Every setting of a training run, in one frozen dataclass.

The entry points make one command-line flag of every field (same name, same default, the help text
below), build a `Config` once, and hand it down. Nothing below them reads a flag.
"""

import dataclasses
import math

import numpy as np

from frame_io.errors import InputError


def _setting(default, help_text, choices=None):
    return dataclasses.field(default=default, metadata={"help": help_text, "choices": choices})


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one training run. Raises `InputError` for a value out of range.

    Gaps are in the scene's own unit where it has one (degrees for the teapot), else in frames.
    """

    run_dir: str = _setting("", "Where everything this run leaves behind goes.")
    seed: int = _setting(0, "Seed of the weights, the batches and the latent noise.")
    init_from: str = _setting(
        "", "Run directory (or model.keras) to take the first weights from; empty: random ones."
    )

    scene: str = _setting("teapot_1dof", "Which clips to train on: a config of inbetween_clips.")
    image_size: int = _setting(64, "Height and width of a frame in pixels.", (64, 128))
    channels: int = _setting(3, "3 for RGB, 1 for grey.", (1, 3))
    data_dir: str = _setting("", "Where data sets live; empty: where TFDS keeps them.")
    storage: str = _setting(
        "auto",
        "memory: hold the decoded frames; stream: decode as needed; auto: memory if they fit.",
        ("auto", "memory", "stream"),
    )
    memory_limit_mb: int = _setting(4096, "The most that --storage=auto holds in memory.")

    clips_per_batch: int = _setting(1, "Clips in a batch.")
    frames_per_clip: int = _setting(36, "Evenly spaced frames drawn from each clip of a batch.")
    triplets_per_clip: int = _setting(256, "Triplets matched in the latent space, per clip.")
    inbetweens_per_clip: int = _setting(36, "Of those, how many are decoded and compared.")
    t: str = _setting(
        "half", "half: x1 is the middle frame; any: anywhere between.", ("half", "any")
    )
    min_gap: float = _setting(20.0, "Smallest gap between the outer frames of a triplet.")
    max_gap: float = _setting(120.0, "Largest gap between the outer frames of a triplet.")
    gap_warmup_steps: int = _setting(0, "Steps over which the largest gap grows from min_gap.")

    model: str = _setting(
        "vae",
        "vae; autoencoder: latents that are points, no prior; acai: that with a critic of its "
        "interpolants. --alpha, --matching and --prior_weight are the vae's alone.",
    )
    network: str = _setting(
        "conv",
        "conv: encoder and decoder; layers: things on a background, where apart from what; "
        "pixel_unet: a U-Net from both frames and t to the frame between, without latents.",
    )
    layers: int = _setting(1, "Things that --network=layers tells apart from the background.")
    crop_size: int = _setting(32, "Sides of the crop that --network=layers draws a thing in.")
    latent_dim: int = _setting(8, "Dimensions of the latent space.")
    widths: tuple[int, ...] = _setting(
        (32, 64, 128, 256), "Channels of the encoder's stride-2 convolutions; mirrored to decode."
    )
    hidden: int = _setting(256, "Units of the dense layer on either side of the latent space.")
    likelihood: str = _setting("calibrated_normal", "p(x|z): bernoulli, normal, calibrated_normal.")
    normal_scale: float = _setting(0.02, "Standard deviation of --likelihood=normal.")

    alpha: float = _setting(1.0, "Weight of the matching term: the paper's alpha.")
    alpha_warmup_steps: int = _setting(300, "Steps over which alpha grows from 0.")
    matching: str = _setting(
        "averaged",
        "How KL(q(x1) || (q(x0)+q(x2))/2) is read: averaged, mean_latent, moment_matched, "
        "mixture, upper_bound.",
    )
    matching_samples: int = _setting(8, "Monte Carlo samples of --matching=mixture.")
    prior_weight: float = _setting(1.0, "Weight of KL(q(x) || N(0, I)); 1 is the ELBO.")
    path: str = _setting(
        "straight",
        "From one latent to another: straight, or curved, a learned bend of the chord.",
    )
    inbetween_weight: float = _setting(1.0, "Weight of the in-between likelihood; 0: paper alone.")
    inbetween_decoder: str = _setting(
        "latent",
        "What draws x1. latent: decode(z_t), as in the paper; fusion: that and both ends' pixels.",
        ("latent", "fusion"),
    )
    fusion_filters: tuple[int, ...] = _setting(
        (24, 48, 96, 128), "Channels of the fusion decoder at 1/2, 1/4, ... of the frame's sides."
    )
    latent_dropout: float = _setting(
        0.25,
        "Share of the training pairs that the fusion decoder sees turned, half of them without the "
        "latent; 1: there is never a latent.",
    )
    critic_weight: float = _setting(0.5, "Weight of the critic in --model=acai, its lambda.")

    steps: int = _setting(4000, "Optimizer steps.")
    steps_per_epoch: int = _setting(200, "Steps between validations and checkpoints.")
    validation_steps: int = _setting(10, "Batches of one validation.")
    optimizer: str = _setting(
        "muon", "muon; or adam, which wants --learning_rate=2e-3 and more steps."
    )
    learning_rate: float = _setting(5e-3, "Peak learning rate of the optimizer.")
    clip_norm: float = _setting(
        3e5, "Gradients (of the loss in nats) of a larger global norm are scaled down to it."
    )
    learning_rate_warmup_steps: int = _setting(100, "Steps to the peak; cosine decay follows.")
    precision: str = _setting(
        "auto",
        "float32, mixed_bfloat16, or auto: mixed_bfloat16 where the hardware multiplies it fast.",
        ("auto", "float32", "mixed_bfloat16"),
    )
    steps_per_execution: int = _setting(10, "Steps run by one graph call.")
    deterministic: bool = _setting(True, "Use deterministic ops: same seed, same weights.")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            choices = field.metadata["choices"]
            value = getattr(self, field.name)
            if choices and value not in choices:
                raise InputError(f"--{field.name}={value}: must be one of {_join(choices)}")
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"--{field.name}={value}: must be a finite number")
            if isinstance(value, str) and not _is_one_line(value):
                raise InputError(f"--{field.name}={value!a}: must be one line of Unicode text")
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, int) and number > _LARGEST:
                    raise InputError(f"--{field.name}={number}: must be at most {_LARGEST}")
        for name, low in _LOWER_BOUNDS.items():
            if not getattr(self, name) >= low:
                raise InputError(f"--{name}={getattr(self, name)}: must be at least {low}")
        if self.max_gap < self.min_gap:
            raise InputError(f"--max_gap={self.max_gap}: must be at least --min_gap={self.min_gap}")
        sizes = {"widths": "image_size", "fusion_filters": "image_size"}
        if self.network == "layers":
            sizes["widths"] = "crop_size"
        for name, size_name in sizes.items():
            filters, size = getattr(self, name), getattr(self, size_name)
            if not filters or min(filters) < 1:
                raise InputError(f"--{name}={_join(filters)}: needs positive channel counts")
            if size % 2 ** len(filters):
                raise InputError(
                    f"--{name}={_join(filters)}: {len(filters)} halvings do not divide "
                    f"--{size_name}={size}"
                )
        if self.network == "layers" and (
            self.latent_dim % self.layers or self.latent_dim // self.layers < 3
        ):
            raise InputError(
                f"--latent_dim={self.latent_dim}: must be a multiple of --layers={self.layers}, "
                "at least three times as large: two numbers say where, the others what"
            )
        if self.latent_dropout > 1:
            raise InputError(f"--latent_dropout={self.latent_dropout}: must be at most 1")
        if self.inbetween_decoder == "fusion" and not self.inbetween_weight:
            raise InputError(
                "--inbetween_decoder=fusion: is learned from the in-between likelihood; "
                "--inbetween_weight=0 has none"
            )
        if self.path == "curved" and not self.inbetween_weight:
            raise InputError(
                "--path=curved: is learned from the in-between likelihood; --inbetween_weight=0 "
                "has none"
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


_LARGEST = 10**9  # Of the seed, twice that and one still fits into 32 bits, see TripletVAE.
_LOWER_BOUNDS = {
    "seed": 0,
    "memory_limit_mb": 0,
    "clips_per_batch": 1,
    "frames_per_clip": 3,
    "triplets_per_clip": 1,
    "inbetweens_per_clip": 1,
    "min_gap": 0,
    "gap_warmup_steps": 0,
    "layers": 1,
    "crop_size": 8,
    "latent_dim": 1,
    "hidden": 1,
    "normal_scale": 1e-6,
    "alpha": 0,
    "alpha_warmup_steps": 0,
    "matching_samples": 1,
    "prior_weight": 0,
    "inbetween_weight": 0,
    "latent_dropout": 0,
    "critic_weight": 0,
    "steps": 1,
    "steps_per_epoch": 1,
    "validation_steps": 1,
    "learning_rate": 0,
    "clip_norm": 1e-6,
    "learning_rate_warmup_steps": 0,
    "steps_per_execution": 1,
}


def _is_one_line(text):
    """Whether a text can stand in flags.txt; names of files may have line ends and stray bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text and len(f"{text}.".splitlines()) == 1


def _join(values):
    return ",".join(str(value) for value in values)


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
