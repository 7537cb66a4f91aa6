"""What the study asks of sound; see `questions`."""

from tf_inbetween.study.definitions import Question
from tf_inbetween.study.text_questions import rows

RIVALS = ("wave_crossfade", "crossfade", "optical_flow", "nearest_frame")
STEPS = 2000

QUESTIONS = (
    Question(
        name="sound",
        title="Sound",
        asks="A frame is about a second of sound, as a log-mel spectrogram. The scenes are a tone "
        "(`tone`; gaps in octaves), a vowel (`vowel`) and three tones at once (`chord`); each "
        "trains for the steps of its flag file. The rivals play both ends at once (cross-fade of "
        "waves), fade from one spectrogram to the other, warp one to the other, or play the "
        "nearer end.",
        rows=tuple(
            row
            for scene in ("tone", "vowel", "chord")
            for row in rows(
                f"--flagfile=flags/{scene}.flags --steps={STEPS} --steps_per_epoch=200", RIVALS
            )
        ),
        gaps=(),
        measures=("hit_rate", "lsd", "pitch_cents", "one_pitch"),
        columns=("reconstruction", "elbo", "last_quarter"),
        pixels=RIVALS,
        pictures=("inbetween", "path", "latent_pca"),
    ),
)
