"""The trainings that the study's questions are made of; see `definitions`.

The flags of a run are those of `python -m tf_inbetween.train`, a flag file first.
"""

import dataclasses

from tf_inbetween.study.definitions import Best, Run, sweep

MATCHINGS = ("averaged", "mean_latent", "moment_matched", "mixture", "upper_bound")
# Decades, and one value more where most readings have their best or lose everything.
ALPHAS = (100, 1000, 3000, 10000, 100000)
# The decades that hold the best of every reading on one degree of freedom.
ALPHAS_2DOF = (1000, 10000)
CRITIC_WEIGHTS = (0.0005, 0.005, 0.05, 0.5)
PIXELS = ("crossfade", "nearest_frame", "optical_flow", "optical_flow_farneback")

# An adversary may want the gentler one of the two, with its own learning rate.
ADAM = "--optimizer=adam --learning_rate=0.002"

# The optimizer of flags/study/teapot.flags, for the scenes whose own flags still have Adam.
MUON = "--optimizer=muon --learning_rate=0.005"
TEAPOT = "--flagfile=flags/study/teapot.flags"
TEAPOT_2DOF = f"--flagfile=flags/study/teapot_2dof.flags {MUON}"

# The paper's loss and nothing else. In-betweens are decoded to be watched, not to be learned from.
WATCHED = "--inbetween_weight=0 --inbetweens_per_clip=1"
PAPER_1DOF = "--flagfile=flags/study/teapot_alpha0.flags"
PAPER_2DOF = f"{TEAPOT_2DOF} {WATCHED}"
PAPER_6DOF = f"--flagfile=flags/study/teapot_6dof.flags {MUON} {WATCHED}"
PAPER_OBJECTS = f"--flagfile=flags/study/objects.flags {MUON} {WATCHED}"

BETA_VAE = f"{PAPER_1DOF} --matching=averaged --alpha=0"
ACAI = f"{PAPER_1DOF} --model=acai"

# What the slides have: the middle frame alone, and a decoder of independent Bernoullis.
SLIDES = "--t_sampling=midpoint --likelihood=bernoulli"

PLAIN = Run(
    "plain VAE (alpha 0)",
    f"{PAPER_1DOF} --matching=averaged --alpha=0",
    methods=("latent", "latent_slerp"),
)
PAPER_BEST = Best("the paper's loss", sweep(f"{PAPER_1DOF} --matching=averaged", "alpha", ALPHAS))
OURS = Run("with the in-between likelihood", TEAPOT)
OURS_LONGER = Run(
    "with the in-between likelihood, 2,000 steps",
    f"{TEAPOT} --steps=2000",
    methods=("latent", *PIXELS),
)

# What is left to try of the paper's loss alone, each with the alpha that did best above.
PAPER_LONGER = Best(
    "the paper's loss, 2,000 steps",
    tuple(
        Run(label, f"{PAPER_1DOF} --matching=averaged{flags} --alpha=10000")
        for label, flags in (
            ("alpha 10000", ""),
            ("alpha 10000 after 500 steps", " --alpha_warmup_steps=500"),
            ("alpha 10000, gaps grow over 500 steps", " --gap_warmup_steps=500"),
            ("alpha 10000, twice the frames", " --frames_per_clip=72 --triplets_per_clip=512"),
        )
    ),
    more="--steps=2000",
)
PAPER_NEAR = Run(
    "the paper's loss, alpha 10000, gaps to 60°",
    f"{PAPER_1DOF} --matching=averaged --alpha=10000 --max_gap=60",
)

PLAIN_2DOF = Run("plain VAE (alpha 0)", f"{PAPER_2DOF} --matching=averaged --alpha=0")
PAPER_BEST_2DOF = Best(
    "the paper's loss", sweep(f"{PAPER_2DOF} --matching=averaged", "alpha", (100, *ALPHAS_2DOF))
)
PAPER_LONGER_2DOF = dataclasses.replace(
    PAPER_BEST_2DOF, label="the paper's loss, 2,000 steps", more="--steps=2000"
)
OURS_2DOF = Run("with the in-between likelihood", TEAPOT_2DOF)
OURS_2DOF_LONGER = Run(
    "with the in-between likelihood, 2,000 steps",
    f"{TEAPOT_2DOF} --steps=2000",
    methods=("latent", *PIXELS),
)

TOGETHER = Best(
    "inbetween_weight 8, 4,000 steps",
    tuple(
        Run(label, f"{TEAPOT} --inbetween_weight=8 --steps=4000 {flags}".strip())
        for label, flags in (
            ("straight", ""),
            ("curved", "--latent_path=curved"),
            ("straight, gaps to 140°", "--max_gap=140"),
            ("curved, gaps to 140°", "--latent_path=curved --max_gap=140"),
        )
    ),
)

TWO_DEGREES = (
    dataclasses.replace(OURS_2DOF, label="teapot_2dof.flags with Muon, 1,000 steps"),
    Run("curved", f"{TEAPOT_2DOF} --latent_path=curved"),
    Best(
        "curved, weight of the matching",
        (
            Run("alpha 1", f"{TEAPOT_2DOF} --latent_path=curved"),
            *sweep(f"{TEAPOT_2DOF} --latent_path=curved", "alpha", (100, *ALPHAS_2DOF)),
        ),
    ),
    dataclasses.replace(OURS_2DOF_LONGER, label="2,000 steps"),
    Run(
        "curved, inbetween_weight 8, 4,000 steps",
        f"{TEAPOT_2DOF} --latent_path=curved --inbetween_weight=8 --steps=4000",
    ),
)

UNET = Run("pixel U-Net", f"{TEAPOT} --model=pixel_unet --steps=2000")
UNET_2DOF = Run("pixel U-Net", f"{TEAPOT_2DOF} --model=pixel_unet --steps=2000")


def in_scene(label, name, alpha=None):
    """The recipe for a scene; alpha is that of its flag file where none is given."""
    more = "" if alpha is None else f" --alpha={alpha}"
    return Run(
        label,
        f"--flagfile=flags/study/{name}.flags {MUON} --latent_path=curved --steps=2000{more}",
        methods=("latent", *PIXELS),
    )


def control(scene, fusion_steps, latent):
    """In-between decoders on a scene, each trained for about as many minutes."""
    fusion = f"--flagfile=flags/study/fusion_{scene}.flags"
    return (
        Run(
            "fusion: pixels and latent",
            f"{fusion} --steps={fusion_steps}",
            methods=("latent", "crossfade", "nearest_frame", "optical_flow"),
        ),
        Run("fusion: pixels alone", f"{fusion} --latent_dropout=1 --steps={fusion_steps}"),
        dataclasses.replace(latent, label="latent alone"),
    )


CONTROL_OBJECTS = (
    *control("objects", 750, dataclasses.replace(in_scene("", "objects"), methods=("latent",))),
    Run(
        "pixel U-Net",
        f"--flagfile=flags/study/objects.flags {MUON} --model=pixel_unet --steps=2000",
    ),
)
CONTROL_2DOF = (*control("teapot_2dof", 1000, OURS_2DOF_LONGER), UNET_2DOF)
