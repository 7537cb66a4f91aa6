"""What the study asks: one table of questions, to be read from top to bottom.

A question is a section of the page. Its rows are runs: each a training with every seed of the
study, judged on test clips. A row may also be the `Best` of several runs: those are trained
with the first seed and judged on the validation split alone, and the one that wins there becomes
the row. A run that stands in several questions is trained once. See `definitions`.

To add a question, add it to `QUESTIONS`; to add a row, add a `Run`, here or in `recipes`.
"""

import dataclasses

from tf_inbetween.study.definitions import Best, Question, Run, held_out, sweep
from tf_inbetween.study.recipes import (
    ACAI,
    ADAM,
    ALPHAS,
    ALPHAS_2DOF,
    BETA_VAE,
    CONTROL_2DOF,
    CONTROL_OBJECTS,
    CRITIC_WEIGHTS,
    MATCHINGS,
    OURS,
    OURS_2DOF,
    OURS_2DOF_LONGER,
    OURS_LONGER,
    PAPER_1DOF,
    PAPER_2DOF,
    PAPER_6DOF,
    PAPER_BEST,
    PAPER_BEST_2DOF,
    PAPER_LONGER,
    PAPER_LONGER_2DOF,
    PAPER_NEAR,
    PAPER_OBJECTS,
    PIXELS,
    PLAIN,
    PLAIN_2DOF,
    SLIDES,
    TOGETHER,
    TWO_DEGREES,
    UNET,
    UNET_2DOF,
    in_scene,
)

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
