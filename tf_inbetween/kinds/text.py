"""Text: a frame is one line, its UTF-8 bytes padded with zeros, [L, 1, 1]."""

import functools
import textwrap
from pathlib import Path

import numpy as np
import tensorflow as tf
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from frame_io import texts
from frame_io.files import atomic_write
from tf_inbetween.config import InputError, checked_floats
from tf_inbetween.evaluation import baselines, metrics
from tf_inbetween.kinds.kind import Kind

_GOLDEN = (5**0.5 - 1) / 2
_CELL_LETTERS = 19


def to_lines(frames):
    """The lines of frames, floats [N, L, 1, 1] in [0, 1] or uint8: a list of str."""
    frames = np.asarray(frames)
    if frames.dtype != np.uint8:
        frames = np.rint(255 * np.clip(frames, 0.0, 1.0)).astype(np.uint8)
    return [texts.to_line(frame) for frame in frames]


def letter_crossfade(first, second, t):
    """A share t of the letters, evenly spread over the line, are the second line's."""
    places = (np.arange(first.shape[1]) + 0.5) * _GOLDEN % 1
    before_t = places[:, np.newaxis, np.newaxis] < baselines.each_pair(t, first.ndim)
    return np.where(before_t, second, first)


class Text(Kind):
    """Frames [L, 1, 1] of bytes, those after the line's end 0."""

    name = "text"
    networks = ("text",)
    likelihoods = ("ctc", "categorical")
    models = ("vae",)
    methods = {  # noqa: RUF012
        "nearest_frame": baselines.nearest_frame,
        "letter_crossfade": letter_crossfade,
    }
    default_methods = ("latent", "letter_crossfade", "nearest_frame")
    compared = ("letter_crossfade", "nearest_frame")
    labels = {  # noqa: RUF012
        "nearest_frame": "nearest end",
        "letter_crossfade": "letter-wise cross-fade",
    }
    shown = {  # noqa: RUF012
        "character_error_rate": ("character error rate", 1, 3),
        "exact_match": ("exact match", 1, 3),
    }
    signature = "inbetween_text"
    summarized = ("exact_match", "character_error_rate")
    measure_names = ("exact_match", "character_error_rate")
    likelihood_names = ("elbo", "bits_per_byte")
    cell = (1.5, 0.5)

    def measures(self, frames, truth):
        """Whether the line is the true one, and the edits to it for each of its letters."""
        pairs = list(zip(to_lines(frames), to_lines(truth), strict=True))
        return {
            "exact_match": np.array([float(line == true) for line, true in pairs]),
            "character_error_rate": np.array(
                [Levenshtein.distance(line, true) / max(len(true), 1) for line, true in pairs]
            ),
        }

    def of_likelihood(self, elbo, truth):
        """The ELBO in nats a line, and its negative in bits for each byte of the line.

        The end of a line counts as one byte.
        """
        count = np.sum(np.asarray(truth) > 0, axis=(1, 2, 3)) + 1
        return {"elbo": elbo, "bits_per_byte": -elbo / (np.log(2) * count)}

    def nearest_times(self, frames, clip):
        """Nearest in edit distance; of several the first."""
        return _edits(frames, clip).argmin(axis=1)

    def timing_error(self, frames, clip, wanted, cyclic):
        """As in `Kind`; of equally near lines, the one nearest in time to `wanted`."""
        edits = _edits(frames, clip)
        times, wanted = np.arange(len(clip)), np.asarray(wanted)[:, np.newaxis]
        steps = np.abs(metrics.signed_steps(wanted, times, len(clip), cyclic))
        return np.where(edits == edits.min(axis=1, keepdims=True), steps, np.inf).min(axis=1)

    def mean_distance(self, path, clip):
        """Edits to the nearest line of the clip, for each of its letters."""
        edits, letters = _edits(path, clip), [max(len(line), 1) for line in to_lines(clip)]
        return float(np.mean((edits / letters).min(axis=1)))

    def validation_error(self, inbetween_weight):
        """The negative log-likelihood: it has no scale, so those of two epochs compare."""
        return "inbetween_nll" if inbetween_weight > 0 else "reconstruction_nll"

    def as_frame(self, name, value, shape=None, any_size=False, notify=print):
        """Of a str (the line itself), the `Path` of a file of one line, or an array.

        Args:
            name: for messages.
            value: see above; arrays are [L, 1, 1] of uint8 or of floats in [0, 1].
            shape: (L, 1, 1).
            any_size, notify: not used.

        Returns:
            float32 [L, 1, 1] in [0, 1].

        Raises:
            InputError: for a line that is too long or not text, a file that cannot be read, and an
                array of another shape, type or range.
        """
        del any_size, notify
        try:
            if isinstance(value, Path):
                return texts.read_line(value, shape[0]).astype(np.float32) / 255.0
            if isinstance(value, str):
                return texts.to_frame(value, shape[0], name).astype(np.float32) / 255.0
        except ValueError as error:
            raise InputError(str(error)) from error
        values = np.asarray(value)
        if values.shape != tuple(shape):
            raise InputError(
                f"{name}: has shape {'x'.join(map(str, values.shape))}; must be a str, a Path, or "
                f"an array of {'x'.join(map(str, shape))}"
            )
        if values.dtype == np.uint8:
            return values.astype(np.float32) / 255.0
        return checked_floats(name, values).astype(np.float32)

    def show(self, axis, frame, box):
        """In letters, in lines that fit a cell."""
        (line,) = to_lines(frame[np.newaxis])
        known = _letters_of_font()
        line = "".join(c if ord(c) in known else "\N{REPLACEMENT CHARACTER}" for c in line)
        left, right, bottom, top = box
        axis.text(
            (left + right) / 2,
            (bottom + top) / 2,
            textwrap.fill(line, _CELL_LETTERS),
            ha="center",
            va="center",
            fontsize=7,
            parse_math=False,
        )

    def write_frame(self, folder, name, frame):
        """As a file of one line."""
        (line,) = to_lines(frame[np.newaxis])
        with atomic_write(folder / f"{name}.txt") as beside:
            beside.write_text(f"{line}\n", encoding="utf-8")

    def captions(self, frames):
        """The lines."""
        return {"line": to_lines(frames)}

    def summarize(self, tag, rows, description):
        """As a table, a column for each of `rows`."""
        columns = [map(_as_code, to_lines(row)) for row in rows]
        cells = [f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True)]
        head = ["| " + " | ".join([" "] * len(columns)) + " |", "|" + " --- |" * len(columns)]
        said = description.replace("Top", "Left").replace("Bottom", "Right")
        tf.summary.text(tag, "\n".join([said, "", *head, *cells]))


def _as_code(line):
    """A line as it can stand in a cell of Markdown."""
    return "`" + line.replace("`", "'").replace("|", "¦") + "`"


def _edits(frames, clip):
    """Edit distances of lines: frames [N, L, 1, 1] and [K, L, 1, 1] -> [N, K]."""
    return process.cdist(to_lines(frames), to_lines(clip), scorer=Levenshtein.distance, workers=1)


@functools.cache
def _letters_of_font():
    """The code points that matplotlib's own font has."""
    from matplotlib import font_manager, ft2font

    return frozenset(ft2font.FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap())
