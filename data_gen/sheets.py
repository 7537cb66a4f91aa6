"""Contact sheets: some frames of some clips, a row or a paragraph for each clip."""

from pathlib import Path

import numpy as np
import PIL.Image

from frame_io import texts


def pictures(folder, clips, columns):
    """Writes contact_sheet.png into a folder, a row for each clip.

    Args:
      folder: where to.
      clips: frames uint8 [K, H, W, C] of each.
      columns: frames of each, evenly spaced.
    """
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in _spread(clips, columns)])
    picture = PIL.Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet)
    picture.save(Path(folder) / "contact_sheet.png")


def lines(folder, clips, columns):
    """As `pictures`, of lines of text: contact_sheet.txt, an empty line between clips."""
    shown = ("\n".join(map(texts.to_line, clip)) for clip in _spread(clips, columns))
    (Path(folder) / "contact_sheet.txt").write_text("\n\n".join(shown) + "\n", encoding="utf-8")


SHEETS = {"pictures": pictures, "sound": pictures, "text": lines}


def _spread(clips, columns):
    for clip in clips:
        yield clip[np.linspace(0, len(clip) - 1, min(columns, len(clip))).round().astype(int)]
