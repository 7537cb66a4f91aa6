"""Sounds as files: read with PyAV as mono at 16 kHz, written as WAV, FLAC or Ogg.

A sound in memory is float32 [samples], full scale being -1 to 1.

How sounds are read:

- Every container with one sound stream or more that FFmpeg reads, the sound of videos too; of
  several streams the first. Playlists, and everything else that would open other files, are
  rejected.
- Channels are averaged, whole numbers of any width become floats, and any rate becomes 16 kHz.
- A constant (DC) stays, but is below the bands of a spectrogram.
- FLAC and MP4 that end before their header says are rejected, and so is damage that FFmpeg notices.
  Other headers cannot be trusted: a truncated WAV file is just shorter.
- NaN and infinite samples are rejected.
"""

import contextlib
import io
import wave
from pathlib import Path

import numpy as np

from frame_io.errors import InputError
from frame_io.files import atomic_write

SAMPLE_RATE = 16_000  # Hz
MAX_SECONDS = 3600.0  # that `read` holds in memory: 230 MB
WRITABLE = (".wav", ".flac", ".ogg", ".opus")

# FFmpeg's names.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,loas,m4v,matroska,mov,mp3,mpeg,mpegts,mxf,"
    "nut,ogg,oma,rm,tta,w64,wav,wtv,wv"
)
_EXACT = ("flac", "mov,mp4,m4a,3gp,3g2,mj2")
_LIMITS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
_MISSING = "needs the package av: pip install 'tf_inbetween[video]'"
_SLACK = 0.1  # seconds that a header may say too much
_MAX_CHANNELS = 64


def read(path):
    """Reads a sound whole.

    Args:
      path: of a sound file or a video.

    Returns:
      float32 [S] at 16 kHz.

    Raises:
      ValueError: if it cannot be read, is damaged, has no samples, or is longer than an hour. The
        message is one line and names the file.
    """
    path = Path(path)
    seconds = duration(path)
    too_long = ValueError(f"{path}: longer than {MAX_SECONDS:g} s; cut a part out of it")
    if seconds > MAX_SECONDS:
        raise too_long
    parts, count = [], 0
    for part in stream(path):
        parts.append(part)
        count += len(part)
        if count > MAX_SECONDS * SAMPLE_RATE:
            raise too_long
    return np.concatenate(parts)


def duration(path):
    """The duration of a sound in seconds, from its header; 0 if unknown.

    Raises as `read`.
    """
    with _opened(Path(path)) as (container, sound):
        return _declared(container, sound)


def stream(path):
    """Reads a sound piece by piece, in constant memory.

    Args:
      path: as for `read`.

    Yields:
      float32 [S] at 16 kHz, one piece after another.

    Raises:
      ValueError: as `read`, but for the length.
    """
    path, count = Path(path), 0
    with _opened(path) as (container, sound):
        from av import AudioResampler

        declared = _declared(container, sound)
        exact = container.format.name in _EXACT
        resampler = AudioResampler(format="fltp", rate=SAMPLE_RATE)
        for frame in _then_none(container.decode(sound)):
            if frame is not None:
                _check(path, frame)
            for piece in resampler.resample(frame):
                samples = piece.to_ndarray().mean(axis=0, dtype=np.float32)
                count += len(samples)
                yield samples
    seconds = count / SAMPLE_RATE
    if exact and declared - seconds > _SLACK:
        raise ValueError(
            f"{path}: truncated or damaged: readable only up to {seconds:.3g} of {declared:.3g} s"
        )
    if not count:
        raise ValueError(f"{path}: has no samples")


def check_writable(path):
    """Raises `InputError` unless `write` supports the file's extension."""
    suffix = Path(path).suffix.lower()
    if suffix not in WRITABLE:
        raise InputError(f"{path}: the name must end in one of {', '.join(WRITABLE)}")
    if suffix != ".wav":
        try:
            import av  # noqa: F401 - Better missed before the sound is made than after.
        except ModuleNotFoundError:
            raise InputError(f"{path}: {suffix} {_MISSING}") from None


def write(path, samples):
    """Writes a sound, atomically: .wav and .flac with 16 bits, .ogg and .opus as Opus.

    Args:
      path: where to.
      samples: float [S] at 16 kHz. A sound louder than full scale is scaled down.

    Raises:
      InputError: for a name that `check_writable` refuses.
      OSError: if it cannot be written.
    """
    check_writable(path)
    with atomic_write(path) as beside:
        if Path(path).suffix.lower() == ".wav":
            beside.write_bytes(to_wav(samples))
        else:
            _encode(beside, _whole(samples))


def to_wav(samples):
    """The bytes of a WAV file of 16 bits; `samples` as of `write`."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(_whole(samples).tobytes())
    return content.getvalue()


def from_wav(content):
    """The samples, float32 [S], of the bytes of such a WAV file as `to_wav` makes.

    Raises:
      ValueError: if they are not such a file.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            form = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if form != (1, 2, SAMPLE_RATE):
                raise ValueError("not mono of 16 bits at 16 kHz")
            numbers = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    except (wave.Error, EOFError) as error:
        raise ValueError(f"no WAV file ({error})") from error
    return numbers.astype(np.float32) / 32767


def _whole(samples):
    samples = np.asarray(samples, np.float64)
    peak = np.abs(samples).max(initial=1.0)
    return np.rint(samples * (32767 / peak)).astype("<i2")


def _encode(path, numbers):
    import av

    codec = "flac" if path.suffix.lower() == ".flac" else "libopus"
    with av.open(f"file:{path}", "w") as container:
        sound = container.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(numbers[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux(sound.encode(frame))
        container.mux(sound.encode())


@contextlib.contextmanager
def _opened(path):
    """Yields the container and its sound stream; what FFmpeg says becomes one line."""
    if not path.is_file():
        what = "is no file" if path.exists() else "no such file"
        raise ValueError(f"{path}: {what}")
    try:
        import av
    except ModuleNotFoundError:
        raise ValueError(f"{path}: reading sound {_MISSING}") from None
    try:
        # "file:", or a colon in the name would make it an address.
        with av.open(f"file:{path}", metadata_errors="ignore", options=_LIMITS) as container:
            if not container.streams.audio:
                raise ValueError(f"{path}: has no sound")
            sound = container.streams.audio[0]
            if not (sound.rate and 0 < sound.channels <= _MAX_CHANNELS):
                raise ValueError(f"{path}: {sound.channels} channels at {sound.rate} Hz")
            yield container, sound
    except av.error.FFmpegError as error:
        raise ValueError(f"{path}: not a readable sound, or damaged ({error.strerror})") from error


def _declared(container, sound):
    """How long the header says that the sound is, in seconds; 0 where it does not say."""
    if sound.duration is not None:
        return float(sound.duration * sound.time_base)
    return container.duration / 1e6 if container.duration else 0.0


def _then_none(frames):
    yield from frames
    yield None  # Has the resampler give what it holds.


def _check(path, frame):
    samples = frame.to_ndarray()
    if samples.dtype.kind == "f" and not np.all(np.isfinite(samples)):
        raise ValueError(f"{path}: has samples that are NaN or infinite")
