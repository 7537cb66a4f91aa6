"""Video files, read with PyAV. The rules are those of `frame_io.footage`."""

import contextlib
import errno
import re
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import PIL.Image

from frame_io import pictures

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


def look(path):
    """Looks through a video; nothing is decoded.

    Returns:
      times: float64 [N], when each frame is shown, in seconds from the first; rising.
      decode: a function that yields, for every frame, its time and a function that makes an upright
        RGB or RGBA picture of it.

    Raises:
      ValueError: if it cannot be read, ends before its header says, has too large frames, or PyAV
        is not installed.
    """
    with _opened(path) as (container, stream):
        seconds, packets, end = [], 0, 0.0
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
            if not packet.is_discard:
                seconds.append(shown)
        pace = float(stream.average_rate or 25)
    if not seconds:
        raise ValueError(f"{path}: its video stream is empty")
    if None in seconds:  # A raw stream has a pace and no times.
        seconds = np.arange(len(seconds)) / pace
    times = np.unique(seconds)
    first, times = times[0], times - times[0]
    end = max(end - first, times[-1])
    if packets < frames or declared - end > max(0.5, 3 / pace):
        raise ended_early(path, end, declared)

    def decode():
        with _opened(path) as (container, stream):
            stream.thread_type = "AUTO"
            for place, frame in enumerate(container.decode(stream)):
                seconds = place / pace if frame.time is None else frame.time - first
                yield seconds, lambda frame=frame: _picture(frame)

    return times, decode


def ended_early(path, seconds, whole):
    """The error of a file that can be read for so many of its seconds."""
    return ValueError(
        f"{path}: truncated or damaged: what can be read ends at {seconds:.3g} of {whole:.3g} s"
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
            if streams[0].width * streams[0].height > MAX_FRAME_PIXELS:
                raise ValueError(f"{path}: more than {MAX_FRAME_PIXELS:,} pixels")
            streams[0].codec_context.options = _LIMITS  # Its size may change on the way.
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


def _picture(frame):
    """A decoded frame as RGB or RGBA, upright."""
    from av.video.reformatter import Colorspace

    kind = "rgba" if any(part.is_alpha for part in frame.format.components) else "rgb24"
    untagged = frame.colorspace not in (1, 4, 5, 6, 7, 9)
    hd = Colorspace.ITU709 if untagged and frame.height >= 720 else None
    pixels = frame.to_ndarray(format=kind, src_colorspace=hd)
    picture = PIL.Image.fromarray(pixels)
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture
