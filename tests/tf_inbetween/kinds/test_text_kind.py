"""Lines as frames: how they are measured, shown, read and written."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frame_io import texts
from tf_inbetween.config import Config, InputError
from tf_inbetween.evaluation import figures
from tf_inbetween.kinds import KINDS
from tf_inbetween.kinds.text import letter_crossfade, to_lines

TEXT = KINDS["text"]
SETTINGS = {"channels": 1, "network": "text", "likelihood": "ctc"}


def frames(*lines):
    return np.float32([texts.to_frame(line, 64) for line in lines]) / np.float32(255)


def test_every_byte_survives_as_a_float():
    content = np.arange(1, 256, dtype=np.uint8)
    assert to_lines(np.float32(content)[None, :, None, None] / 255) == to_lines(
        content[None, :, None, None]
    )


def test_measures_against_edits_counted_by_hand():
    measured = TEXT.measures(
        frames("ten past four", "ten past", "six"), frames("ten past four", "ten past four", "sic")
    )
    np.testing.assert_array_equal(measured["exact_match"], [1, 0, 0])
    np.testing.assert_allclose(measured["character_error_rate"], [0, 5 / 13, 1 / 3])


def test_bits_for_each_byte_and_the_end_of_the_line():
    measured = TEXT.of_likelihood(np.array([-np.log(2) * 8]), frames("abc"))
    np.testing.assert_allclose(measured["bits_per_byte"], [2])
    assert set(measured) == set(TEXT.likelihood_names)


def test_the_time_of_a_line_is_that_of_the_nearest():
    clip = frames("one", "two", "three", "four", "five")
    drawn = frames("two", "thre", "fivx")
    np.testing.assert_array_equal(TEXT.nearest_times(drawn, clip), [1, 2, 4])
    np.testing.assert_array_equal(TEXT.timing_error(drawn, clip, [1, 2, 0], False), [0, 0, 4])
    np.testing.assert_array_equal(TEXT.timing_error(drawn, clip, [1, 2, 0], True), [0, 0, 1])


def test_of_lines_equally_near_the_wanted_one_counts():
    clip = frames("same", "other", "same")
    np.testing.assert_array_equal(TEXT.timing_error(clip, clip, [0, 1, 2], False), [0, 0, 0])
    np.testing.assert_array_equal(TEXT.timing_error(clip[:1], clip, [1], False), [1])


def test_the_letters_of_a_crossfade_change_one_after_the_other():
    first, second = frames("aaaaaaaa", "bbbbbbbb")
    shown = [to_lines(letter_crossfade(first[None], second[None], t))[0] for t in (0, 0.5, 1)]
    assert (shown[0], shown[2]) == ("aaaaaaaa", "bbbbbbbb")
    assert 2 <= shown[1].count("b") <= 6


def test_what_a_frame_can_be_made_of(tmp_path):
    path = tmp_path / "line.txt"
    path.write_text("ten past four\n")
    shape = (64, 1, 1)
    for value in ("ten past four", Path(path), frames("ten past four")[0]):
        np.testing.assert_array_equal(
            TEXT.as_frame("first", value, shape), frames("ten past four")[0]
        )
    with pytest.raises(InputError, match=r"^first: is 65 bytes long; at most 64 fit a frame"):
        TEXT.as_frame("first", "x" * 65, shape)
    with pytest.raises(InputError, match=r"^first: has shape 3x1x1; must be a str, a Path, or an"):
        TEXT.as_frame("first", np.zeros((3, 1, 1)), shape)
    with pytest.raises(InputError, match="no such file"):
        TEXT.as_frame("first", tmp_path / "none.txt", shape)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"network": "conv"}, "--network=conv: is not for text; must be text"),
        (
            {"likelihood": "normal"},
            "--likelihood=normal: is not for text; must be ctc or categorical",
        ),
        ({"channels": 3}, "--channels=3: is not for text; must be 1"),
        ({"model": "acai"}, "--model=acai: is not for text; must be vae"),
        (
            {"inbetween_decoder": "fusion"},
            "--inbetween_decoder=fusion: is not for text; must be latent",
        ),
    ],
)
def test_settings_that_are_not_for_text(settings, said):
    TEXT.check(Config(**SETTINGS))
    with pytest.raises(InputError, match=f"^{said}$"):
        TEXT.check(Config(**{**SETTINGS, **settings}))


def test_settings_that_are_for_text_alone():
    with pytest.raises(InputError, match=r"^--network=text: is not for pictures; must be conv or"):
        KINDS["pictures"].check(Config(network="text"))
    with pytest.raises(InputError, match=r"^--likelihood=ctc: is not for pictures; must be"):
        KINDS["pictures"].check(Config(likelihood="ctc"))


def test_letters_that_a_font_lacks_and_formulas_are_drawn(tmp_path):
    rows = [frames("ten past four", "$x^2$ 5 % {a}"), frames("東京 🙂", "שלום")]
    with warnings.catch_warnings(action="error"):
        figures.labelled_grid(tmp_path / "grid.png", rows, ["a", "b"], kind=TEXT)
    assert (tmp_path / "grid.png").stat().st_size > 1000
    axis = Figure().subplots()
    TEXT.show(axis, rows[0][0], (0, 1, 0, 1))
    assert axis.texts[0].get_text() == "ten past four"


def test_tensorboard_shows_lines_side_by_side(tmp_path):
    rows = [frames("one", "a|b"), frames("onx", "a`b")]
    with tf.summary.create_file_writer(str(tmp_path)).as_default(1):
        TEXT.summarize("inbetween", rows, "Top: the truth. Bottom: drawn by the model.")
    events = EventAccumulator(str(tmp_path), {"tensors": 0}).Reload()
    (event,) = events.Tensors("inbetween")
    text = tf.make_ndarray(event.tensor_proto).item().decode()
    assert "| `one` | `onx` |" in text
    assert "| `a¦b` | `a'b` |" in text
    assert text.startswith("Left: the truth. Right: drawn")
