"""Draws some clips of a scene without building it: python -m data_gen.preview --scene=objects.

Writes a contact sheet, a row of frames for each clip, and the clips side by side as a GIF. Of
sounds the sheet is of spectrograms, and a WAV plays the clips one after another as glides. Lines of
text are printed.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
from absl import flags
from absl.logging import WARNING
from PIL import Image

from data_gen import scene_flags
from frame_io import command_line, texts

_SPLIT = flags.DEFINE_string("split", "train", "The split whose first clips to draw.")
_ROWS = flags.DEFINE_integer(
    "rows", 4, "Number of clips, at most as many as the split has.", lower_bound=1
)
_COLUMNS = flags.DEFINE_integer("columns", 9, "Evenly spaced frames of each clip.", lower_bound=2)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The PNG; the GIF or WAV goes beside it. Default: SCENE.png in this folder."
)
_GAP = 2  # pixels between pictures
_MILLISECONDS = 60  # of a frame of the GIF
_MOST_FRAMES = 60  # of the GIF
_TIMES = 6  # of a frame of the WAV: 96 ms


def main():
    """Draws what the flags say and prints where it is."""
    from data_gen import builder, scenes

    scene, image_size, channels, workers = scene_flags.variant()
    name = builder.config_name(scene, image_size, channels)
    SHOWN[scenes.get(scene).kind](name, scene, (image_size, channels, workers))


def _print_lines(name, scene, how):
    """Prints the first clips of a scene of text."""
    clips = draw(scene, _SPLIT.value, _ROWS.value, *how)
    for clip in clips:
        places = np.linspace(0, len(clip) - 1, min(_COLUMNS.value, len(clip))).round().astype(int)
        print("\n".join(texts.to_line(clip[place]) for place in places), end="\n\n")
    print(f"{name}: the first {len(clips)} of the split {_SPLIT.value}")


def _write_pictures(name, scene, how):
    """Writes the first clips of a scene of pictures, or of sounds as spectrograms."""
    from data_gen import scenes

    output = Path(_OUTPUT.value or f"{name}.png")
    if output.suffix.lower() != ".png":
        raise ValueError(f"--output={output}: must end in .png")
    output.parent.mkdir(parents=True, exist_ok=True)
    suffix, write = _PLAYED[scenes.get(scene).kind]
    played = output.with_suffix(suffix)
    with tempfile.TemporaryDirectory(prefix=".preview.", dir=output.parent) as beside:
        clips = draw(scene, _SPLIT.value, _ROWS.value, *how)
        picture = _picture(sheet(clips, _COLUMNS.value))
        picture.quantize(256, dither=Image.Dither.NONE).save(f"{beside}/sheet.png", optimize=True)
        write(f"{beside}/clips{suffix}", clips)
        os.replace(f"{beside}/sheet.png", output)
        os.replace(f"{beside}/clips{suffix}", played)
    print(f"{name}: the first {len(clips)} of the split {_SPLIT.value}, one in each row")
    print(f"wrote {output} and {played}")


SHOWN = {"pictures": _write_pictures, "sound": _write_pictures, "text": _print_lines}


def draw(scene, split, rows, image_size, channels, workers):
    """Renders the first clips of a split.

    Args:
      scene: a row of `data_gen.scenes.SCENES`, or a variant.
      split: of the scene.
      rows: how many clips, as far as there are so many.
      image_size: height and width in pixels.
      channels: 3 for RGB, 1 for luminance.
      workers: rendering processes; None for one per CPU core, 0 for none but this one.

    Returns:
      The frames of each clip, uint8 [K, H, W, C].

    Raises:
      ValueError: if there is no such scene or split; the message lists those there are.
    """
    from data_gen import scenes
    from data_gen.pool import renderer

    seed = scenes.parse(scene)[1].get("seed", 0)
    scene = scenes.get(scene)
    scene.check_split(split)
    clips = []
    with renderer(scene, image_size, channels, workers=workers) as renderers:
        for number in range(min(rows, scene.clips[split])):
            poses = scene.clip(split, number, seed).poses
            look = scene.look(split, number, seed, scene.parts(poses[0]))
            pictures = (scene.picture(pose, look) for pose in poses)
            clips.append(np.stack(list(renderers.render(pictures))))
    return clips


def sheet(clips, columns):
    """Returns a picture with a row of evenly spaced frames, first and last included, for each clip.

    Args:
      clips: frames, uint8 [K, H, W, C], of each; all of one size.
      columns: frames of each, at least 2; fewer if a clip is shorter.

    Returns:
      uint8 [rows of H, columns of W, C], white between the pictures.
    """
    rows = []
    for clip in clips:
        places = np.linspace(0, len(clip) - 1, min(columns, len(clip))).round().astype(int)
        rows.append(_joined(list(clip[places]), axis=1))
    return _joined(rows, axis=0)


def _write_gif(path, clips):
    first, *others = _side_by_side(clips)
    first.save(path, save_all=True, append_images=others, duration=_MILLISECONDS, loop=0)


def _write_wav(path, clips):
    from data_gen import spectrograms
    from frame_io import sounds

    frames = [spectrograms.joined(clip / np.float32(255), _TIMES) for clip in clips]
    sounds.write(path, np.concatenate([spectrograms.to_samples(each)[0] for each in frames]))


_PLAYED = {"pictures": (".gif", _write_gif), "sound": (".wav", _write_wav)}


def _side_by_side(clips):
    """The clips side by side, frame by frame."""
    step = -(-len(clips[0]) // _MOST_FRAMES)
    return [
        _picture(_joined([clip[k] for clip in clips], axis=1))
        for k in range(0, len(clips[0]), step)
    ]


def _joined(pictures, axis):
    """Joins pictures of one size along an axis, with white between them."""
    shape = list(pictures[0].shape)
    shape[axis] = _GAP
    white = np.full(shape, 255, np.uint8)
    with_gaps = [piece for picture in pictures for piece in (white, picture)][1:]
    return np.concatenate(with_gaps, axis=axis)


def _picture(pixels):
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


if __name__ == "__main__":
    command_line.run(
        main, on_interrupt="nothing was drawn", bad_input=(ValueError,), verbosity=WARNING
    )
