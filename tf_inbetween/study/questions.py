"""What the study asks: one table of questions, to be read from top to bottom.

A question is a page of the results. Its rows are runs: each a training with every seed of the
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
    TEAPOT,
    TOGETHER,
    TWO_DEGREES,
    UNET,
    UNET_2DOF,
    in_scene,
)

QUESTIONS = (
    Question(
        name="opening",
        title="What does the in-between likelihood change?",
        asks="Two frames show a teapot (*first*, *second*), turned by 20° to 120° in between. "
        "Each method draws the frame halfway, which should look like *truth*. The table has the "
        "hit rate: how often the drawn pose is right to within 5 % of the gap. All test frames "
        "lie a quarter of a degree from the nearest training frame.",
        rows=(PLAIN, PAPER_BEST, OURS),
        measures=("hit_rate",),
        columns=(),
    ),
    Question(
        name="paper",
        title="Does the paper's method work as published?",
        asks="We train the paper's loss alone, with its alphas, on one, two and six degrees of "
        "freedom and on several objects. As in the slides, the likelihood is Bernoulli and only "
        "the middle frame (t = 1/2) is trained on; the KL is read as `averaged`. Training gaps "
        "are 20° to 120°, or 8 to 32 frames.",
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
        front_clips=("teapot_2dof", "teapot_6dof_2000clips", "objects_2000clips"),
        front_rows=("alpha 0", "alpha 10", "alpha 100"),
    ),
    Question(
        name="matching",
        title="Which reading of the KL? One degree of freedom",
        asks="The paper matches q(x1) to the mixture (q(x0) + q(x2))/2; if x1 is not in the "
        "middle, the weights are 1-t and t. There are five ways to read this KL. `averaged`: to "
        "the Gaussian with the mean of the two means and the mean of the two variances. "
        "`mean_latent`: to the distribution of the mean of the two latents. `moment_matched`: to "
        "the Gaussian with the mixture's own mean and variance. `mixture`: to the mixture itself, "
        "the formula as printed, by sampling. `upper_bound`: the mean of the KLs to each end. All "
        "rows have the paper's loss alone, each with the alpha that does best on the validation "
        "split.",
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
        asks="The same question on two degrees of freedom. We tried the two decades of alpha "
        "between which every reading had its best on one degree of freedom, and 100 for "
        "`averaged` only.",
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
        asks="The paper's loss alone, with two likelihoods: one whose scale follows the error "
        "(calibrated) and one with a fixed scale (0.02).",
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
        title="How far does the paper's loss go on its own?",
        asks="We compare the paper's loss alone, with the alpha that does best on the validation "
        "split, to `flags/study/teapot.flags` (the in-between likelihood and alpha 1), to the "
        "in-between likelihood without matching, and to a plain VAE. All rows have the same number "
        "of steps unless they say otherwise. The longer training of the paper's loss on one degree "
        "of freedom may also change the schedule of alpha, the schedule of the gaps or the batch: "
        "whatever did best in 1,000 steps on the validation split. For the likelihood see [How "
        "much alpha?](alpha.md) The clips `heldout` show views that no training clip has.",
        rows=(
            PLAIN,
            PAPER_BEST,
            PAPER_LONGER,
            PAPER_NEAR,
            OURS,
            Run("the in-between likelihood alone", f"{TEAPOT} --alpha=0"),
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
        front_rows=(
            "plain VAE (alpha 0)",
            "the paper's loss",
            "the paper's loss, 2,000 steps",
            "with the in-between likelihood",
            "with the in-between likelihood, 2,000 steps",
            "optical_flow",
        ),
    ),
    Question(
        name="pixels",
        title="Where do pixel methods win?",
        asks="We compare our model to cross-fade, to the nearer of the two frames, to two optical "
        "flows (DIS and Farnebäck, from OpenCV), and to a U-Net (`--model=pixel_unet`) that "
        "learns the frame between from the same triplets in as many steps. There is a table for "
        "one degree of freedom, for two, and for held-out views. Its last line names the best "
        "method at each gap, for each measure.",
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
        front_clips=("teapot_2dof", "teapot_2dof_heldout"),
        front_rows=("ours", "pixel U-Net", "optical_flow"),
    ),
    Question(
        name="latent_methods",
        title="How do other latent methods compare?",
        asks="All methods have the same network and the same number of steps. `slerp` follows the "
        "great circle between the two latents instead of the straight line. The last two columns "
        "are ACAI's measures: *Mean Distance* is how far the frames of a path over the largest "
        "gap are from the nearest true frame, *Smoothness* is how uneven their steps are; 0 is "
        "best for both.",
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
                f"{TEAPOT} --model=autoencoder",
            ),
            OURS,
        ),
        columns=("reconstruction", "mean_distance", "smoothness"),
        pictures=("inbetween", "path"),
        front_rows=(
            "beta-VAE",
            "autoencoder",
            "ACAI",
            "the paper's loss",
            "autoencoder, with the in-between likelihood",
            "with the in-between likelihood",
        ),
    ),
    Question(
        name="beyond",
        title="What does each part of the recipe contribute?",
        asks="We start from the recipe of `flags/study/teapot.flags` and change one thing at a "
        "time: matching and decoding at the middle only, no matching, more matching (alpha is 1 "
        "there), gaps that grow, a learned bend of the chord (`--latent_path=curved`), Adam, the "
        "weight of the in-between likelihood (2 there), more steps. Then we combine what helped, "
        "and choose again whether to bend the chord and whether to train on larger gaps than we "
        "judge. The other tables have an arc held out of the turn, two degrees of freedom, where "
        "the weight of the matching is chosen again, and their held-out views. All choices are "
        "made on the validation split.",
        rows=(
            dataclasses.replace(OURS, label="the recipe, 1,000 steps"),
            Run("t = 1/2 only", f"{TEAPOT} --t_sampling=midpoint"),
            Run("no matching", f"{TEAPOT} --alpha=0"),
            Best("more matching", sweep(TEAPOT, "alpha", (100, 3000))),
            Run("gaps grow over 500 steps", f"{TEAPOT} --gap_warmup_steps=500"),
            Run("curved", f"{TEAPOT} --latent_path=curved"),
            Run("Adam", f"{TEAPOT} {ADAM}"),
            Best(
                "weight of the in-between likelihood",
                (
                    dataclasses.replace(OURS, label="inbetween_weight 2"),
                    *sweep(TEAPOT, "inbetween_weight", (0.5, 8, 32)),
                ),
            ),
            dataclasses.replace(OURS_LONGER, label="2,000 steps"),
            TOGETHER,
            held_out(
                Run(
                    "the recipe, 1,000 steps",
                    f"{TEAPOT} --scene=teapot_1dof_heldout",
                    methods=("latent", *PIXELS),
                )
            ),
            *TWO_DEGREES,
            *map(held_out, TWO_DEGREES[1:]),
        ),
        gaps=(),
        columns=("reconstruction", "last_quarter"),
        pictures=("path",),
        front_clips=("teapot_2dof",),
    ),
    Question(
        name="scenes",
        title="Does the recipe work on harder scenes?",
        asks="The recipe, with bent chords, on three scenes: a pot thrown about (six degrees of "
        "freedom), three solids (eighteen) and an arm of three links (three). Half a clip is 16 "
        "frames. The weight of the matching is chosen on the validation split for the first two; "
        "the arm has the weight that did best on two degrees of freedom.",
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
        front_clips=("teapot_6dof_2000clips", "objects_2000clips", "linked_arm"),
        front_rows=(
            "six degrees of freedom, 2,000 steps",
            "three solids, 2,000 steps",
            "an arm, 2,000 steps",
            "optical_flow",
        ),
    ),
    Question(
        name="control",
        title="Pixels, latents or both?",
        asks="We compare four decoders on three solids, on two degrees of freedom and on held-out "
        "views. The fusion decoder copies pixels of both ends and draws from the latent. The "
        "second is the same without the latent, the third draws from the latent alone, and the "
        "fourth is a U-Net that sees both ends and no latent. Each trains for about as many "
        "minutes: a step of the fusion decoder takes 2 to 2.6 times as long.",
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
