"""The sound of a video for another one: copied, or stretched without changing pitch.

Packets are copied if the length stays and players support the codec in the new container.
Otherwise the sound is decoded, stretched by FFmpeg's atempo, and encoded: as Opus in WebM and as
AAC elsewhere. Of several sound streams the first is taken.
"""

import contextlib
import dataclasses
import math
from pathlib import Path

from frame_io import videos
from frame_io.errors import InputError

# FFmpeg's names; it would write more than players take. Matroska may have whatever it writes.
_QUICKTIME = {"aac", "ac3", "alac", "eac3", "mp3"}
_COPIED = {
    ".mov": {*_QUICKTIME, "pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le"},
    ".mp4": {*_QUICKTIME, "flac", "opus"},
    ".webm": {"opus", "vorbis"},
}
_TEMPO_WINDOW = 2048  # Samples, at `_RATE`.
_RATE = 48_000  # Hz, of what is encoded: Opus has no 44,100.
_BITS_PER_CHANNEL = 96_000  # A second.

# Decoders of AAC and MP3 begin with a packet that is not heard. MP4 says so in its edit list;
# Matroska would move everything else back, but for the short one of Opus.
_PREROLL_S = {".mov": 0.05, ".mp4": 0.05}
_OPUS_PREROLL_S = 0.008


@dataclasses.dataclass(frozen=True)
class Sound:
    """The sound that goes with frames drawn from a video.

    Attributes:
        path: of a file with sound.
        start: when the first frame is shown, in seconds of the file's clock.
        end: when the last one ends; None for the end of the sound.
        slower: how many times as long as in the file it takes.
    """

    path: Path
    start: float = 0.0
    end: float | None = None
    slower: float = 1.0


def add(container, kind, sound):
    """Adds a sound stream to a container.

    Args:
        container: PyAV's, open for writing, before its first packet.
        kind: what it is: ".mp4", ".mov", ".mkv" or ".webm".
        sound: a `Sound`.

    Returns:
        A generator of (when it is heard, in seconds; a packet to mux), in order; and in words what
        is done to the sound. The generator raises `InputError` where the video is damaged.

    Raises:
        InputError: if the video cannot be read.
    """
    with _input_errors(), videos._opened(sound.path) as (source, _):
        stream = source.streams.audio[0]
        codec = _codec(stream)
        if sound.slower == 1 and codec in (
            container.supported_codecs & _COPIED.get(kind, container.supported_codecs)
        ):
            target = container.add_stream_from_template(stream)
            preroll = _PREROLL_S.get(kind, _OPUS_PREROLL_S)
            return _copied(sound, target, preroll), f"sound copied ({codec})"
        new = "opus" if kind == ".webm" else "aac"
        target = container.add_stream(
            "libopus" if new == "opus" else new, rate=_RATE, layout=stream.layout.name
        )
        target.bit_rate = _BITS_PER_CHANNEL * stream.layout.nb_channels
    if sound.slower == 1:
        return _encoded(sound, target), f"sound converted ({codec} to {new})"
    return _encoded(sound, target), f"sound {sound.slower:.4g} times as long ({new})"


def _codec(stream):
    return stream.codec_context.codec.canonical_name


@contextlib.contextmanager
def _input_errors():
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error


def _copied(sound, target, preroll):
    with _input_errors(), videos._opened(sound.path) as (source, _):
        stream = source.streams.audio[0]
        _seek(source, sound.start)
        ticks = round(sound.start / stream.time_base)
        length = math.inf if sound.end is None else sound.end - sound.start
        for packet in source.demux(stream):
            if not packet.size or packet.pts is None:
                continue
            heard = float(packet.pts * packet.time_base) - sound.start
            if heard >= length:
                return
            if heard >= -preroll:
                packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
                packet.stream = target
                yield heard, packet


def _seek(source, seconds):
    """Seeks to about a second before a time, if the container can; earlier is fine."""
    import av

    if seconds > 2:
        with contextlib.suppress(av.FFmpegError):
            source.seek(int(1e6 * (seconds - 1)))


def _encoded(sound, target):
    count = 0
    for frame in _stretched(sound):
        frame.pts, count = count, count + frame.samples
        for packet in target.encode(frame):
            yield count / _RATE, packet
    for packet in target.encode():
        yield count / _RATE, packet


def _stretched(sound):
    """Yields the sound's frames at `_RATE`, one after another from the first drawn frame on."""
    import av

    with _input_errors(), videos._opened(sound.path) as (source, _):
        stream = source.streams.audio[0]
        _seek(source, sound.start)
        graph = _graph(stream, sound)
        for frame in source.decode(stream):
            with contextlib.suppress(av.EOFError):  # After the end that is asked for.
                graph.push(frame)
            yield from _pulled(graph)
        with contextlib.suppress(av.EOFError):
            graph.push(None)
        yield from _pulled(graph)


def _graph(stream, sound):
    """FFmpeg's filters: cut to the time that is wanted, gaps filled, stretched, resampled."""
    import av

    graph = av.filter.Graph()
    end = "" if sound.end is None else f":end={sound.end}"
    tempos = _tempos(1 / sound.slower)
    filters = [
        ("atrim", f"start={sound.start}{end}"),
        ("asetpts", f"PTS-({sound.start - _lead(tempos)})/TB"),
        ("aresample", f"{_RATE}:async=1:first_pts=0"),
        *(("atempo", str(tempo)) for tempo in tempos),
        ("aformat", f"sample_rates={_RATE}:channel_layouts={stream.layout.name}"),
        ("abuffersink", None),
    ]
    nodes = [graph.add_abuffer(template=stream), *(graph.add(*each) for each in filters)]
    graph.link_nodes(*nodes).configure()
    return graph


def _tempos(tempo):
    """Factors from 1/2 to 2, the range of one good atempo, whose product is a tempo."""
    count = math.ceil(abs(math.log2(tempo)) - 1e-9)
    return [tempo ** (1 / count) for _ in range(count)]


def _lead(tempos):
    """How much too early the sound leaves a chain of atempo, in seconds of what goes in.

    Measured: a quarter of its window, which is 2048 samples long, at the old pace and one at the
    new. It does not grow along the sound.
    """
    lead, pace = 0.0, 1.0
    for tempo in tempos:
        lead += pace * (1 + tempo) * _TEMPO_WINDOW / 4 / _RATE
        pace *= tempo
    return lead


def _pulled(graph):
    import av

    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
