"""What the study asks of sound; see `questions`."""

from tf_inbetween.study.definitions import Question, Run
from tf_inbetween.study.text_questions import WATCHED

RIVALS = ("wave_crossfade", "crossfade", "optical_flow", "nearest_frame")


def rows(scene):
    """A scene's rows: no matching, the paper's loss alone, and with the in-between likelihood."""
    flags = f"--flagfile=flags/{scene}.flags"
    return (
        Run("plain VAE (alpha 0)", f"{flags} {WATCHED} --alpha=0"),
        Run("the paper's loss: alpha 100", f"{flags} {WATCHED} --alpha=100"),
        Run("with the in-between likelihood", flags, methods=("latent", *RIVALS)),
    )


QUESTIONS = (
    Question(
        name="sound",
        title="Sound",
        asks="A frame is about a second of sound, a log-mel spectrogram: a tone (`tone`; gaps in "
        "octaves), a vowel (`vowel`) and three tones at once (`chord`). Each row is trained for as "
        "many steps as the flag file of its scene says. The rivals play both ends at once "
        "(cross-fade of waves), fade from one spectrogram to the other, warp one to the other, or "
        "play the nearer end.",
        rows=(*rows("tone"), *rows("vowel"), *rows("chord")),
        gaps=(),
        measures=("hit_rate", "lsd", "pitch_cents", "one_pitch"),
        columns=("reconstruction", "elbo", "last_quarter"),
        pixels=RIVALS,
        pictures=("inbetween", "path", "latent_pca"),
    ),
)
