"""Your own recordings: sound cut into clips and stored like a scene's.

    made = import_clips(["song.wav"], Settings(name="my_song"))

The data set is the config `my_song` of `inbetween_clips`: kind "sound", pose [K, 1] the second at
which a frame begins, no clip cyclic, gaps in frames. `frame_io.sounds` says how files are read, the
sound of videos too.

- Frames: stretches one after another, each log-mel spectrogram beginning where the one before ends,
  1.024 s later for 64 times; or `fps` of them a second, which overlap.
- Silence: a stretch in which no band reaches -60 dB at any time belongs to no clip, and no clip
  goes over it.
- Clipping: samples at full scale are kept, and their number is reported.
- Clips: `frames_per_clip` stretches one after another, none in two clips. What is left before a
  silence or at the end is dropped.
- Splits: by time. Of each input the last clips are for the test, those before for validation, each
  `held_out` of all and at least one; the rest is for training. Inputs of fewer than three clips go
  whole to one split, in the same shares.

A recording is read twice, to count its clips and to store them; memory holds one clip.
"""

import dataclasses
import itertools
from pathlib import Path

import numpy as np

from data_gen import spectrograms
from data_gen.clip_store import Imported, Motion, StoreSettings, free_folder, gaps, store
from data_gen.footage_clips import MIN_FRAMES_PER_CLIP, divide
from frame_io import sounds

SILENCE_DB = -60.0
SUFFIXES = (
    *(".aac", ".ac3", ".aif", ".aiff", ".amr", ".ape", ".au", ".caf", ".flac", ".m4a", ".mp3"),
    *(".oga", ".ogg", ".opus", ".tta", ".w64", ".wav", ".wma", ".wv"),
)

_DESCRIPTION = "Stretches of a person's own recordings, for learning to play the sounds between."
_FULL_SCALE = 0.999
_MOST_PER_SECOND = 1000.0 / 16  # One for every time of a spectrogram.
_AT_ONCE = 32  # stretches that are transformed together


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(StoreSettings):
    """How recordings are cut into clips.

    Attributes:
      name, held_out: see `StoreSettings`.
      image_size: bands, and times, of a frame.
      channels, kind: 1 and "sound".
      frames_per_clip: at least 5.
      fps: frames a second; None for as many as do not overlap.
      start: seconds of each input to leave out at its beginning.
      end: where each input stops, in seconds; None for its end.

    Raises:
      ValueError: if one is out of range.
    """

    channels: int = 1
    kind: str = "sound"
    frames_per_clip: int = 32
    fps: float | None = None
    start: float = 0.0
    end: float | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.frames_per_clip < MIN_FRAMES_PER_CLIP:
            raise ValueError(
                f"--frames_per_clip={self.frames_per_clip}: at least {MIN_FRAMES_PER_CLIP}"
            )
        if self.fps is not None and not 0 < self.fps <= _MOST_PER_SECOND:
            raise ValueError(
                f"--fps={self.fps:g}: must be above 0 and at most {_MOST_PER_SECOND:g} for sound"
            )
        if not 0 <= self.start < np.inf:
            raise ValueError(f"--start={self.start:g}: must be at least 0 seconds")
        if self.end is not None and not self.end > self.start:
            raise ValueError(f"--end={self.end:g}: must be after --start={self.start:g}")

    @property
    def step(self):
        """Samples from the beginning of one stretch to that of the next."""
        if self.fps is None:
            return self.image_size.width * spectrograms.HOP
        return round(sounds.SAMPLE_RATE / self.fps)


@dataclasses.dataclass
class _Heard:
    """What was found in one input: samples, stretches, silent ones, samples at full scale."""

    samples: int = 0
    stretches: int = 0
    silent: int = 0
    clipped: int = 0


def is_sound(inputs):
    """Whether inputs are sound files, by their names.

    Raises:
      ValueError: if some are and some are not.
    """
    are = [Path(path).suffix.lower() in SUFFIXES for path in inputs]
    if any(are) and not all(are):
        other = inputs[are.index(False)]
        raise ValueError(
            f"--input={other}: is not a sound file, but others are; import them apart, or --sound "
            "for the sound of videos"
        )
    return all(are)


def import_clips(inputs, settings, data_dir=None, overwrite=False, notify=lambda line: None):
    """Cuts recordings into clips and stores them.

    Args:
      inputs: sound files, or videos, of which the sound is taken.
      settings: see `Settings`.
      data_dir: where TFDS keeps its data sets; None for its default.
      overwrite: whether to replace a data set of that name.
      notify: called with one line that describes each input.

    Returns:
      An `Imported`; its shots are the passages between silences.

    Raises:
      ValueError: if the name is taken, an input cannot be read, or a split gets no clip. Nothing
        is left behind then, nor after any other error.
      OSError, tf.errors.OpError: if it cannot be written.
    """
    free_folder(settings.name, data_dir, overwrite)
    counts, passages, stretches = [], itertools.count(), 0
    for path in inputs:
        heard = _Heard()
        counts.append(sum(1 for _ in cut(path, settings, heard, passages)))
        stretches += heard.stretches
        notify(_describe(path, heard, counts[-1], settings))

    def clips():
        for path, splits in zip(inputs, divide(counts, settings.held_out), strict=True):
            name = Path(path).name.encode(errors="backslashreplace").decode()
            for split, (seconds, frames) in zip(splits, cut(path, settings), strict=True):
                yield split, name, frames, seconds[:, np.newaxis]

    folder, made = store(
        clips(),
        settings,
        motion=Motion(pose_names=("seconds",), gaps=tuple(gaps(settings.frames_per_clip))),
        metadata={
            "frames_per_clip": settings.frames_per_clip,
            "inputs": [
                Path(path).name.encode(errors="backslashreplace").decode() for path in inputs
            ],
            "samples_per_frame": settings.step,
            "start": settings.start,
            "end": settings.end,
        },
        description=_DESCRIPTION,
        too_few=f"no clip of {settings.frames_per_clip} frames for {{}}: give more sound, or a "
        "smaller --frames_per_clip or a larger --fps",
        data_dir=data_dir,
        overwrite=overwrite,
    )
    return Imported(folder, settings.image_size, made, stretches, next(passages), {})


def cut(path, settings, heard=None, passages=None):
    """Cuts a recording into clips.

    Args:
      path: of the recording.
      settings: see `Settings`.
      heard: counts what is found, if given.
      passages: a counter of passages between silences, if given.

    Yields:
      The seconds at which frames begin, float64 [K], and the frames, uint8 [K, mels, times, 1].
    """
    heard, clip, sounding = heard or _Heard(), [], False
    quietest = round(255 * (1 + SILENCE_DB / spectrograms.RANGE_DB))
    for place, frame in enumerate(_frames(path, settings, heard)):
        heard.stretches += 1
        if frame.max() < quietest:
            heard.silent += 1
            clip, sounding = [], False
            continue
        if passages and not sounding:
            next(passages)
        sounding = True
        clip.append((settings.start + place * settings.step / sounds.SAMPLE_RATE, frame))
        if len(clip) == settings.frames_per_clip:
            seconds, frames = zip(*clip, strict=True)
            yield np.array(seconds), np.stack(frames)
            clip = []


def _frames(path, settings, heard):
    """The spectrogram of every stretch, uint8 [mels, times, 1]."""
    size, step = spectrograms.samples_of(settings.image_size.width), settings.step
    held, at = np.zeros(0, np.float32), 0  # Samples not yet passed, and where the next begins.
    for piece in _between(sounds.stream(path), settings.start, settings.end):
        heard.samples += len(piece)
        heard.clipped += int(np.count_nonzero(np.abs(piece) >= _FULL_SCALE))
        held = np.concatenate([held, piece])
        if len(held) - at < size + (_AT_ONCE - 1) * step:
            continue
        yield from _transformed(held, range(at, at + _AT_ONCE * step, step), size, settings)
        at += _AT_ONCE * step
        held, at = held[at:], max(at - len(held), 0)
    yield from _transformed(held, range(at, len(held) - size + 1, step), size, settings)


def _transformed(samples, begins, size, settings):
    if begins:
        stretches = np.stack([samples[begin : begin + size] for begin in begins])
        frames = spectrograms.from_samples(stretches, settings.image_size.height)
        yield from spectrograms.to_uint8(frames)


def _between(pieces, start, end):
    """The samples from one second to another."""
    first = round(start * sounds.SAMPLE_RATE)
    last = np.inf if end is None else round(end * sounds.SAMPLE_RATE)
    passed = 0
    for piece in pieces:
        yield piece[max(first - passed, 0) : int(max(min(last - passed, len(piece)), 0))]
        passed += len(piece)
        if passed >= last:
            return


def _describe(path, heard, clips, settings):
    line = f"{path}: {heard.samples / sounds.SAMPLE_RATE:.4g} s, {heard.stretches} frames"
    if heard.silent:
        line += f", {heard.silent} of them silent and left out"
    if heard.clipped:
        line += f"; {heard.clipped} samples at full scale, kept"
    if not clips:
        line += f"; too few in a row for a clip of {settings.frames_per_clip}"
    return line
