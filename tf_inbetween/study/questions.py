"""What the study trains and asks: one table of questions, to be read from top to bottom.

A question is a section of the results page. Its rows are runs: each a training with every seed of
the study, judged on test clips. A row may also be the `Best` of several runs: those are trained
with the first seed and judged on the validation split alone, and the one that wins there becomes
the row. A run that stands in several questions is trained once. See `definitions`.

To add a question, add it to `QUESTIONS`; to add a row, add a `Run`. Its flags are those of
`python -m tf_inbetween.train`, a flag file first.
"""

import dataclasses

from tf_inbetween.study.definitions import Best, Question, Run, held_out, sweep

MATCHINGS = ("averaged", "mean_latent", "moment_matched", "mixture", "upper_bound")
# Decades, and one value more where most readings have their best or lose everything.
ALPHAS = (100, 1000, 3000, 10000, 100000)
# The decades that hold the best of every reading on one degree of freedom.
ALPHAS_2DOF = (1000, 10000)
CRITIC_WEIGHTS = (0.0005, 0.005, 0.05, 0.5)
PIXELS = ("crossfade", "nearest_frame", "optical_flow", "optical_flow_farneback")

# An adversary may want the gentler one of the two, with its own learning rate.
ADAM = "--optimizer=adam --learning_rate=0.002"

# The optimizer of teapot.flags, for the scenes whose own flags still have Adam.
MUON = "--optimizer=muon --learning_rate=0.005"
TEAPOT_2DOF = f"--flagfile=flags/study/teapot_2dof.flags {MUON}"

# The paper's loss and nothing else. In-betweens are decoded to be watched, not to be learned from.
WATCHED = "--inbetween_weight=0 --inbetweens_per_clip=1"
PAPER_1DOF = "--flagfile=flags/teapot_alpha0.flags"
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
OURS = Run("with the in-between likelihood", "--flagfile=teapot.flags")
OURS_LONGER = Run(
    "with the in-between likelihood, 2,000 steps",
    "--flagfile=teapot.flags --steps=2000",
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
        Run(label, f"--flagfile=teapot.flags --inbetween_weight=8 --steps=4000 {flags}".strip())
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

UNET = Run("pixel U-Net", "--flagfile=teapot.flags --model=pixel_unet --steps=2000")
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

QUESTIONS = (
    Question(
        name="opening",
        title="",
        asks="Given two pictures of a teapot (first, second), turned by 20° to 120° between them, "
        "draw the one halfway (truth). The table says how often each method draws the right pose, "
        "to 5 % of the gap. All of these pictures lie a quarter of a degree from the nearest that "
        "the models were trained on.",
        rows=(PLAIN, PAPER_BEST, OURS),
        measures=("hit_rate",),
        columns=(),
    ),
    Question(
        name="paper",
        title="The paper, one to one",
        asks="The paper's loss alone, with its alphas: one, two and six degrees of freedom, and "
        "several objects. Bernoulli likelihood, the middle frame only (t = 1/2), the KL read as "
        "`averaged`; trained on gaps of 20° to 120°, or of 8 to 32 frames.",
        rows=(
            *sweep(f"{PAPER_1DOF} {SLIDES}", "alpha", (0, 5, 100)),
            *sweep(f"{PAPER_2DOF} {SLIDES}", "alpha", (0, 10)),
            Run("alpha 0", f"{PAPER_6DOF} {SLIDES} --alpha=0"),
            Run("alpha 100", f"{PAPER_6DOF} {SLIDES} --alpha=100", methods=("latent", *PIXELS)),
            Run("alpha 0", f"{PAPER_OBJECTS} {SLIDES} --alpha=0"),
            Run("alpha 100", f"{PAPER_OBJECTS} {SLIDES} --alpha=100", methods=("latent", *PIXELS)),
        ),
        columns=("reconstruction", "elbo", "last_quarter"),
        geometry=True,
        pictures=("inbetween", "reconstruction", "path", "latent_pca"),
    ),
    Question(
        name="matching",
        title="Which reading of the KL? One degree of freedom",
        asks="The five readings of KL(q(x1) || (q(x0) + q(x2))/2), with weights 1-t and t where x1 "
        "is not in the middle. Of q(x1), `averaged` takes the divergence from the Gaussian with "
        "the mean of the means and the mean of the variances; `mean_latent` from the law of the "
        "mean of the two latents; `moment_matched` from the Gaussian with the mixture's own mean "
        "and variance; `mixture` from the mixture itself, the formula as printed, by sampling; "
        "`upper_bound` is the mean of the divergences from either end. The paper's loss alone, "
        "each with the alpha that does best for it on the validation split.",
        rows=(
            PLAIN,
            *(
                Best(name, sweep(f"{PAPER_1DOF} --matching={name}", "alpha", ALPHAS))
                for name in MATCHINGS
            ),
        ),
        geometry=True,
    ),
    Question(
        name="matching_2dof",
        title="Which reading of the KL? Two degrees of freedom",
        asks="The same on two degrees of freedom. Alphas are the two decades between which every "
        "reading had its best on one; 100 was tried for `averaged` alone.",
        rows=(
            PLAIN_2DOF,
            dataclasses.replace(PAPER_BEST_2DOF, label=MATCHINGS[0]),
            *(
                Best(name, sweep(f"{PAPER_2DOF} --matching={name}", "alpha", ALPHAS_2DOF))
                for name in MATCHINGS[1:]
            ),
        ),
        geometry=True,
    ),
    Question(
        name="alpha",
        title="How much alpha?",
        asks="The paper's loss alone, with the likelihood whose scale follows the error "
        "(calibrated) and with one of a fixed scale (0.02).",
        rows=tuple(
            Run(
                f"{likelihood}, alpha {alpha:g}",
                f"{PAPER_1DOF} --matching=averaged{flag} --alpha={alpha:g}",
            )
            for likelihood, flag in (("calibrated", ""), ("fixed", " --likelihood=normal"))
            for alpha in (0, *ALPHAS)
        ),
        geometry=True,
        pictures=("trade_off",),
    ),
    Question(
        name="inbetween_likelihood",
        title="How far does the paper's loss alone carry?",
        asks="The paper's loss alone, with the alpha that does best on the validation split, "
        "against `teapot.flags`, which has the in-between likelihood beside alpha 1, against that "
        "without any matching, and against a plain VAE; as many steps where the rows say nothing "
        "else. For the longer training of the paper's loss on one degree of freedom, the schedule "
        "of alpha or of the gaps or the batch is changed too if 1,000 steps do better so on the "
        "validation split; the likelihood is under *How much alpha?* The clips `heldout` show "
        "views that no training clip has.",
        rows=(
            PLAIN,
            PAPER_BEST,
            PAPER_LONGER,
            PAPER_NEAR,
            OURS,
            Run("the in-between likelihood alone", "--flagfile=teapot.flags --alpha=0"),
            OURS_LONGER,
            PLAIN_2DOF,
            PAPER_BEST_2DOF,
            PAPER_LONGER_2DOF,
            OURS_2DOF,
            OURS_2DOF_LONGER,
            held_out(PLAIN_2DOF),
            held_out(PAPER_BEST_2DOF),
            held_out(PAPER_LONGER_2DOF),
            held_out(OURS_2DOF_LONGER),
        ),
        gaps=(),
        columns=("reconstruction", "elbo", "last_quarter"),
        geometry=True,
        pictures=("inbetween", "path", "latent_pca"),
    ),
    Question(
        name="pixels",
        title="Where do pixel methods win?",
        asks="Cross-fade, the nearer of the two frames, two optical flows (DIS and Farnebäck, "
        "OpenCV), and a U-Net that learns the frame between from the same triplets in as many "
        "steps (`--model=pixel_unet`), by gap: of one degree of freedom, of two, and of views "
        "held out. The last line of each table has the best by each measure.",
        rows=(
            dataclasses.replace(OURS_LONGER, label="ours"),
            dataclasses.replace(OURS_2DOF_LONGER, label="ours"),
            held_out(dataclasses.replace(OURS_2DOF_LONGER, label="ours")),
            UNET,
            UNET_2DOF,
            held_out(UNET_2DOF),
        ),
        gaps=(),
        pixels=PIXELS,
        names_best=True,
    ),
    Question(
        name="latent_methods",
        title="Against other latent methods",
        asks="The same network and as many steps. `slerp` goes along the great circle between the "
        "two latents and not straight. The last columns are ACAI's: how far frames on a path over "
        "the largest gap are from the nearest true frame (Mean Distance), and how uneven their "
        "steps are (Smoothness); 0 is best for both.",
        rows=(
            PLAIN,
            dataclasses.replace(PLAIN, label="plain VAE, slerp", methods=PLAIN.methods[::-1]),
            Best("beta-VAE", sweep(BETA_VAE, "prior_weight", (4, 100, 1000))),
            Run("autoencoder", f"{PAPER_1DOF} --model=autoencoder"),
            Best(
                "ACAI",
                (
                    *sweep(ACAI, "critic_weight", CRITIC_WEIGHTS),
                    *sweep(f"{ACAI} {ADAM}", "critic_weight", (0.05,), ", Adam"),
                ),
            ),
            PAPER_BEST,
            Run(
                "autoencoder, with the in-between likelihood",
                "--flagfile=teapot.flags --model=autoencoder",
            ),
            OURS,
        ),
        columns=("reconstruction", "mean_distance", "smoothness"),
        pictures=("inbetween", "path"),
    ),
    Question(
        name="beyond",
        title="Going beyond: what the recipe owes to each of its parts",
        asks="`teapot.flags` and the same with one thing changed at a time: matching and "
        "decoding at the middle only, no matching, more matching (alpha is 1 there), gaps that "
        "grow, a learned bend of the chord (`--latent_path=curved`), Adam, the weight of the "
        "in-between likelihood (2 there), more steps. Then what helped, together, where it is "
        "chosen again whether the chord is bent and whether larger gaps than those judged are "
        "trained on. Choices are by the validation split. Last an arc held out of the turn, two "
        "degrees of freedom, where the weight of the matching is chosen again, and their views "
        "held out.",
        rows=(
            dataclasses.replace(OURS, label="teapot.flags, 1,000 steps"),
            Run("t = 1/2 only", "--flagfile=teapot.flags --t_sampling=midpoint"),
            Run("no matching", "--flagfile=teapot.flags --alpha=0"),
            Best("more matching", sweep("--flagfile=teapot.flags", "alpha", (100, 3000))),
            Run("gaps grow over 500 steps", "--flagfile=teapot.flags --gap_warmup_steps=500"),
            Run("curved", "--flagfile=teapot.flags --latent_path=curved"),
            Run("Adam", f"--flagfile=teapot.flags {ADAM}"),
            Best(
                "weight of the in-between likelihood",
                (
                    dataclasses.replace(OURS, label="inbetween_weight 2"),
                    *sweep("--flagfile=teapot.flags", "inbetween_weight", (0.5, 8, 32)),
                ),
            ),
            dataclasses.replace(OURS_LONGER, label="2,000 steps"),
            TOGETHER,
            held_out(
                Run(
                    "teapot.flags, 1,000 steps",
                    "--flagfile=teapot.flags --scene=teapot_1dof_heldout",
                    methods=("latent", *PIXELS),
                )
            ),
            *TWO_DEGREES,
            *map(held_out, TWO_DEGREES[1:]),
        ),
        gaps=(),
        columns=("reconstruction", "last_quarter"),
        pictures=("path",),
    ),
    Question(
        name="scenes",
        title="Going beyond: more degrees of freedom",
        asks="The recipe, chords bent, on the pot thrown about (six degrees of freedom), three "
        "solids (eighteen) and an arm of three links (three); half a clip is 16 frames. The weight "
        "of the matching is chosen by the validation split on the first two; the arm has that "
        "which did best on two degrees of freedom.",
        rows=(
            *(
                Best(
                    f"{label}, 2,000 steps",
                    (in_scene("alpha 1", name), in_scene("alpha 1000", name, 1000)),
                )
                for label, name in (
                    ("six degrees of freedom", "teapot_6dof"),
                    ("three solids", "objects"),
                )
            ),
            in_scene("an arm, 2,000 steps: alpha 1000", "linked_arm", 1000),
        ),
        gaps=(),
        columns=("reconstruction", "last_quarter"),
        pictures=("inbetween", "reconstruction"),
    ),
    Question(
        name="control",
        title="Pixels, latents or both?",
        asks="Three solids, two degrees of freedom, and views held out. The fusion decoder, which "
        "copies pixels of both ends and draws from the latent; the same without the latent; the "
        "latent decoder alone; and a U-Net that sees both ends and no latent. Each is trained for "
        "about as many minutes, a step of the fusion decoder taking 2 to 2.6 times as long.",
        rows=(
            *CONTROL_OBJECTS,
            *CONTROL_2DOF,
            *map(held_out, CONTROL_2DOF),
        ),
        gaps=(),
        columns=("reconstruction",),
        names_best=True,
    ),
)
