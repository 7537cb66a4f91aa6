"""Video files, read with PyAV. The rules are those of `frame_io.footage`."""

import contextlib
import dataclasses
import errno
import re
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import PIL.Image

from frame_io import pictures
from frame_io.video_pictures import Painter, deinterlaced

MAX_FRAME_PIXELS = 2**26  # 67 million: of 8K footage half as many.

Frames = Iterator[tuple[float, Callable[[], PIL.Image.Image]]]

# FFmpeg's names. It also reads playlists and lists of files, which would have it open any others.
_CONTAINERS = (
    "asf,avi,dv,flv,gxf,h261,h263,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,"
    "nut,obu,ogg,rm,vc1,vvc,wtv,yuv4mpegpipe"
)
_LIMITS = {
    "format_whitelist": _CONTAINERS,
    "protocol_whitelist": "file",
    "max_pixels": str(MAX_FRAME_PIXELS),
}


@dataclasses.dataclass(frozen=True)
class Video:
    """A scanned video.

    Attributes:
      times: float64 [N], when each frame is shown, in seconds from the first; rising.
      end: when the last frame ends, in seconds from the first.
      begins: when the first frame is shown, in seconds of the file's clock.
      decode: a function of seconds from the first; yields, for every frame from one no later than
        that on, its time and a function that makes an upright RGB or RGBA picture of it.
      notes: short lines about conversions of frames.
      has_sound: whether it has a sound stream.
    """

    times: np.ndarray
    end: float
    begins: float
    decode: Callable[[float], Frames]
    notes: tuple[str, ...]
    has_sound: bool


def look(path):
    """Scans a video: reads its packets and decodes only its first frame.

    Returns:
      A `Video`.

    Raises:
      ValueError: if it cannot be read, ends before its header says, has too large frames, or PyAV
        is not installed.
    """
    seen = _seen(path)
    first, painter, notes = _first_frame(path, seen.keys)
    times = seen.times
    if seen.is_timed and first.time is not None:
        # Where a broadcast is joined, some frames refer to what was before, and are not decoded.
        times = times[min(np.searchsorted(times, first.time - 1e-4), len(times) - 1) :]
    begins = float(times[0])

    def decode(begin=0.0):
        # The frame before takes part in deinterlacing.
        before = times[max(np.searchsorted(times, begins + begin - 1e-4) - 1, 0)]
        for stamp in [*_stamps(seen.keys, before), None]:
            frames = _timed_frames(path, seen, painter, begins, stamp)
            try:
                head = next(frames, None)
            except ValueError:
                if stamp is None:
                    raise
                continue
            if stamp is None or (head and head[0] <= before - begins + 1e-4):
                break
        if head:
            yield head
            del head
            yield from frames

    return Video(times - begins, seen.end - begins, begins, decode, notes, seen.has_sound)


def ended_early(path, seconds, whole):
    """The error for a file that is readable only up to some second."""
    return ValueError(
        f"{path}: truncated or damaged: readable only up to {seconds:.3g} of {whole:.3g} s"
    )


@contextlib.contextmanager
def _opened(path):
    """Yields the container and its video stream; what FFmpeg says becomes one line."""
    try:
        import av
    except ModuleNotFoundError:
        raise ValueError(
            f"{path}: videos need the package av: pip install 'tf_inbetween[video]'"
        ) from None
    opened = False
    try:
        # "file:", or a colon in the name would make it an address.
        with av.open(f"file:{path}", metadata_errors="ignore", options=_LIMITS) as container:
            opened = True
            streams = [
                stream
                for stream in container.streams.video
                if not stream.disposition & av.stream.Disposition.attached_pic
            ]
            if not streams:
                raise ValueError(f"{path}: has no video stream")
            if streams[0].codec_context is None:
                raise ValueError(f"{path}: its video codec cannot be decoded here")
            if streams[0].width * streams[0].height > MAX_FRAME_PIXELS:
                raise ValueError(f"{path}: more than {MAX_FRAME_PIXELS:,} pixels")
            yield container, streams[0]
    except av.error.FFmpegError as error:
        why = f"not a readable video, or damaged ({error.strerror})"
        raise ValueError(f"{path}: {why if opened else _not_a_video(path, error)}") from error


def _not_a_video(path, error):
    """Why a file cannot be opened as a video: it may be a picture, or of another kind."""
    with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
        with pictures.opened(path) as picture:
            suffix = f".{picture.format.lower()}"
        return f"is a {picture.format} picture by its content; name it {path.stem}{suffix}"
    if error.errno == errno.EINVAL:  # A container that is not among `_CONTAINERS`.
        return "not a readable video: of none of the kinds MP4, MOV, MKV, WebM, AVI and their like"
    return f"not a readable video, or damaged ({error.strerror})"


@dataclasses.dataclass
class _Seen:
    """What the packets of a video say; times are in seconds of the file's clock.

    `keys` are those frames that need no other one: (seconds, pts, dts).
    """

    times: np.ndarray
    end: float
    pace: float
    is_timed: bool
    keys: list
    has_sound: bool


def _seen(path):
    with _opened(path) as (container, stream):
        seconds, keys, packets, before_key, end = [], [], 0, 0, 0.0
        declared = _declared(container, stream)
        # ASF tells one duration, that of its longest stream, which may be the sound.
        timed = list(container.streams) if container.format.name == "asf" else [stream]
        # Where there is a duration, edit lists are taken off it, and not off the number of frames.
        frames = stream.frames if stream.duration is None else 0
        for packet in container.demux(timed):
            if not packet.size:
                continue  # It only tells the decoder to flush.
            stamp = packet.dts if packet.pts is None else packet.pts
            shown = stamp if stamp is None else float(stamp * packet.time_base)
            if not packet.is_discard and shown is not None:
                # The last frame may be shown long.
                end = max(end, shown + float((packet.duration or 0) * packet.time_base))
            if packet.stream is not stream:
                continue
            packets += 1
            if packet.is_corrupt:
                raise ended_early(path, end, declared)
            if packet.is_keyframe:
                before_key = before_key if keys else len(seconds)
                keys.append((shown, packet.pts, packet.dts))
            if not packet.is_discard:
                seconds.append(shown)
        pace = float(stream.average_rate or 25)
        has_sound = bool(container.streams.audio)
    if not seconds:
        raise ValueError(f"{path}: its video stream is empty")
    is_timed = None not in seconds
    if not is_timed:  # A raw stream has a pace and no times.
        seconds, keys = list(np.arange(len(seconds)) / pace), [(0.0, None, None)] if keys else []
    first, last = min(seconds), max(seconds)
    end = max(end, last)
    if packets < frames or declared - (end - first) > max(0.5, 3 / pace):
        raise ended_early(path, end - first, declared)
    times = np.unique(seconds[before_key:]) if is_timed else seconds[: len(seconds) - before_key]
    if not len(times):
        raise ValueError(f"{path}: no frame of its video stream can be decoded")
    return _Seen(np.asarray(times), end, pace, is_timed, keys, has_sound)


def _stamps(keys, seconds):
    """Where to seek for the last key frame up to a time: its pts and dts; containers differ."""
    earlier = [key for key in keys if key[0] is not None and key[0] <= seconds]
    if len(earlier) < 2:
        return []
    return [stamp for stamp in dict.fromkeys(max(earlier)[1:]) if stamp is not None]


def _first_frame(path, keys):
    """The first frame that can be decoded, what paints such frames, and what there is to say."""
    with _opened(path) as (container, stream):
        decoder, notes = _decoder(stream)
        painter = Painter(stream.sample_aspect_ratio)
        for frame in _decoded(container, stream, decoder, keys):
            width, height = painter.size(frame.width, frame.height)
            if width * height > MAX_FRAME_PIXELS:
                raise ValueError(f"{path}: more than {MAX_FRAME_PIXELS:,} pixels")
            return frame, painter, (*notes, *painter.notes(frame))
    raise ValueError(f"{path}: not a readable video, or damaged (no frame can be decoded)")


def _timed_frames(path, seen, painter, begins, stamp):
    """The frames of `Video.decode`, from the key frame at a stamp on; None for the beginning."""
    with _opened(path) as (container, stream):
        decoder, _ = _decoder(stream)
        decoder.thread_type = "AUTO"
        frames = deinterlaced(_decoded(container, stream, decoder, seen.keys, stamp))
        for place, frame in enumerate(frames):
            is_timed = seen.is_timed and frame.time is not None
            seconds = frame.time - begins if is_timed else place / seen.pace
            yield seconds, lambda frame=frame: painter.picture(frame)


def _decoded(container, stream, decoder, keys, stamp=None):
    """Frames from the first key frame on, or from the one that seeking to `stamp` leads to.

    None at all where it leads to none of `keys`, (seconds, pts, dts).
    """
    from av.error import FFmpegError

    known = {pts for _, pts, _ in keys}
    if stamp is not None:
        try:
            container.seek(stamp, stream=stream)
        except FFmpegError:
            return
    begun = not keys  # Some containers mark none.
    for packet in container.demux(stream):
        if not begun and packet.is_keyframe:
            if stamp is not None and packet.pts not in known:
                return
            begun = True
        if begun:
            yield from decoder.decode(packet)


def _decoder(stream):
    """The stream's decoder, by libvpx where that alone keeps alpha; what there is to say of it."""
    import av

    decoder, notes = stream.codec_context, []
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(decoder.name)
    tags = {name.lower(): value for name, value in stream.metadata.items()}
    if name and tags.get("alpha_mode") == "1":
        try:
            decoder = av.CodecContext.create(name, "r")
            decoder.extradata = stream.codec_context.extradata
        except av.codec.codec.UnknownCodecError:
            notes.append("its transparency is not read; that needs FFmpeg with libvpx")
    decoder.options = _LIMITS  # Its size may change on the way.
    return decoder, notes


def _declared(container, stream):
    """How long the header says that the video is, in seconds; 0 where it does not say."""
    lengths = [0.0]
    if stream.duration is not None:
        lengths.append(float(stream.duration * stream.time_base))
    elif stream.frames and stream.average_rate:
        lengths.append(float(stream.frames / stream.average_rate))
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = map(float, tag.groups())
        # Matroska's counts from the beginning of the file, where this stream need not begin.
        begin = float((stream.start_time or 0) * stream.time_base)
        lengths.append(3600 * hours + 60 * minutes + seconds - begin)
    elif container.duration and len(container.streams) == 1:
        lengths.append(container.duration / 1e6)
    return max(lengths)
