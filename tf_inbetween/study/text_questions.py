"""What the study asks of text; see `questions`."""

from tf_inbetween.study.definitions import Question, Run

RIVALS = ("letter_crossfade", "nearest_frame")
MEASURES = ("exact_match", "character_error_rate", "hit_rate")

STEPS = {"clock": 7500, "weather": 3000, "counting": 3000}

# The paper's loss and nothing else. In-betweens are decoded to be watched, not to be learned from.
WATCHED = "--inbetween_weight=0 --inbetweens_per_clip=1 --latent_path=straight"


def rows(flags, rivals):
    """A scene's rows: no matching, the paper's loss alone, and with the in-between likelihood.

    `flags`: of all of them; `rivals`: the methods beside the model's own.
    """
    return (
        Run("plain VAE (alpha 0)", f"{flags} {WATCHED} --alpha=0"),
        Run("the paper's loss: alpha 100", f"{flags} {WATCHED} --alpha=100"),
        Run("with the in-between likelihood", flags, methods=("latent", *rivals)),
    )


def _rows(scene):
    """The rows of a scene of text."""
    flags = f"--flagfile=flags/{scene}.flags --steps={STEPS[scene]} --steps_per_epoch=500"
    return (
        *rows(flags, RIVALS),
        Run("the same, each byte at its place", f"{flags} --likelihood=categorical"),
    )


QUESTIONS = (
    Question(
        name="text",
        title="Text",
        asks="A frame is a line of text: the time in words (`clock`; gaps in minutes), the "
        "weather (`weather`) or numbers (`counting`). Training has every line of the clock, but "
        "none of the test lines of the other two. The likelihood is `ctc`, in one row of each "
        "scene `categorical`. The rivals copy letters of both ends, or the nearer end.",
        rows=tuple(row for scene in ("clock", "weather", "counting") for row in _rows(scene)),
        gaps=(),
        measures=MEASURES,
        columns=("exact_reconstruction", "bits_per_byte", "last_quarter"),
        pixels=RIVALS,
        pictures=("inbetween", "latent_pca"),
    ),
)
