"""Decoded frames of videos as pictures: upright, of square pixels, in sRGB colours.

The rules are those of `frame_io.footage`.
"""

import contextlib
import fractions

import numpy as np
import PIL.Image

# FFmpeg's numbers of colour matrices, primaries and transfer functions.
_BT709, _BT601, _BT2020, _BT2020_CONSTANT = 1, 6, 9, 10
_MATRICES = (1, 4, 5, 6, 7, 9)  # That swscale has.
_WIDE_PRIMARIES = (9, 11, 12)  # BT.2020, and P3 of cinemas and of screens.
_HIGH_RANGE = {16: "PQ", 18: "HLG"}
_SRGB_TRANSFER = 13


class Painter:
    """Makes pictures of the frames of one video."""

    def __init__(self, pixel_aspect):
        """Prepares it.

        Args:
          pixel_aspect: width of a pixel over its height, a fraction; None or 0 for square ones.
        """
        self._aspect = pixel_aspect or fractions.Fraction(1)
        self._graph = self._graph_is_for = self._reformatter = None

    def size(self, width, height):
        """Returns the size that shows a frame in square pixels; neither side gets shorter."""
        if self._aspect > 1:
            return round(width * self._aspect), height
        return width, round(height / self._aspect)

    def notes(self, frame):
        """Returns what is done to frames like this one, and what is not: short lines."""
        lines = []
        size = self.size(frame.width, frame.height)
        if size != (frame.width, frame.height):
            lines.append(
                f"its pixels, {self._aspect.numerator}:{self._aspect.denominator}, are made "
                f"square: {frame.width}x{frame.height} becomes {size[0]}x{size[1]}"
            )
        if frame.interlaced_frame:
            lines.append("its interlaced frames are deinterlaced")
        if _is_wide(frame):
            colours = _HIGH_RANGE.get(frame.color_trc)
            what = f"high dynamic range ({colours})" if colours else "wide colours"
            done = "tone-mapped" if colours else "converted to sRGB"
            lines.append(
                f"its {what}: {done}"
                if self._converts(frame)
                else f"its {what}: not {done}, so it looks pale; FFmpeg 8 can (av 16 or newer)"
            )
        return lines

    def picture(self, frame):
        """Returns a decoded frame as a picture, RGB or RGBA."""
        from av.video.reformatter import Interpolation, VideoReformatter

        width, height = self.size(frame.width, frame.height)
        stretched = (width, height) != (frame.width, frame.height)
        turn = _turn(frame)
        _settle_matrix(frame)
        if _is_wide(frame) and self._converts(frame):
            self._graph.push(frame)
            frame = self._graph.pull()
        self._reformatter = self._reformatter or VideoReformatter()
        frame = self._reformatter.reformat(
            frame,
            width,
            height,
            _rgb(frame),
            interpolation=Interpolation.LANCZOS if stretched else None,
        )
        return PIL.Image.fromarray(np.ascontiguousarray(turn(frame.to_ndarray())))

    def _converts(self, frame):
        """Whether this FFmpeg converts such colours; if so, its graph is there."""
        from av.error import FFmpegError

        settled = (frame.color_trc, frame.color_primaries, *_layout(frame))
        if self._graph_is_for != settled:
            self._graph, self._graph_is_for = None, settled
            with contextlib.suppress(FFmpegError, ValueError):
                deep = "rgba64le" if _rgb(frame) == "rgba" else "rgb48le"
                self._graph = graph(
                    frame,
                    # Primaries come out wrong if the same step converts from YUV (FFmpeg 8.0).
                    *(("scale", {}), ("format", {"pix_fmts": deep})),
                    *(("scale", _conversion(frame)), ("format", {"pix_fmts": _rgb(frame)})),
                )
        return self._graph is not None


def deinterlaced(frames):
    """Yields frames, those that are interlaced as whole ones, of the same number and times."""
    made, made_for = None, None
    for frame in frames:
        if made is None and not frame.interlaced_frame:
            yield frame
            continue
        if made_for != _layout(frame):
            yield from _pushed(made, None)
            made, made_for = graph(frame, ("bwdif", _SEND_FRAMES)), _layout(frame)
        yield from _pushed(made, frame)
    yield from _pushed(made, None)


_SEND_FRAMES = {"mode": "send_frame", "deint": "interlaced"}


def graph(frame, *filters):
    """Returns a filter graph for frames like this one; each filter is a name and its options."""
    from av.filter import Graph

    made = Graph()
    last = made.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base=str(frame.time_base),
        colorspace=str(int(frame.colorspace)),
        range=str(int(frame.color_range)),
    )
    for name, options in [*filters, ("buffersink", {})]:
        following = made.add(name, **options)
        last.link_to(following)
        last = following
    made.configure()
    return made


def _pushed(made, frame):
    """What comes out of a graph (or None) for one frame more, or at the end."""
    from av.error import BlockingIOError, EOFError

    if made is not None:
        made.push(frame)
        with contextlib.suppress(BlockingIOError, EOFError):
            while True:
                yield made.pull()


def _layout(frame):
    return (
        *(frame.width, frame.height, frame.format.name),
        *(int(frame.colorspace), int(frame.color_range)),
    )


def _rgb(frame):
    return "rgba" if any(part.is_alpha for part in frame.format.components) else "rgb24"


def _settle_matrix(frame):
    """Says by which matrix a frame is to be converted where it says nothing of use itself."""
    if frame.format.is_rgb or frame.colorspace in _MATRICES:
        return
    if frame.colorspace == _BT2020_CONSTANT:
        frame.colorspace = _BT2020
    else:
        # As mpv and libplacebo do, and VLC without the width.
        is_large = frame.width >= 1280 or frame.height > 576
        frame.colorspace = _BT709 if is_large else _BT601


def _is_wide(frame):
    return frame.color_trc in _HIGH_RANGE or frame.color_primaries in _WIDE_PRIMARIES


def _conversion(frame):
    """The options of FFmpeg's scale that bring wide colours, and a high range, to sRGB's."""
    if frame.color_trc in _HIGH_RANGE:
        options = {"out_transfer": "iec61966-2-1", "intent": "perceptual"}
    else:
        transfer = "iec61966-2-1" if frame.color_trc == _SRGB_TRANSFER else "bt709"
        options = {"in_transfer": transfer, "out_transfer": transfer}
    if frame.color_primaries not in _WIDE_PRIMARIES:
        options["in_primaries"] = "bt2020"
    return {"out_primaries": "bt709", **options}


def _turn(frame):
    """A function that turns and mirrors [H, W, C] as the frame's display matrix says.

    A matrix between quarter turns counts as the nearest of them. FFmpeg's rows are the images of
    x and of y: x' = a x + c y, y' = b x + d y.
    """
    try:
        matrix = np.frombuffer(bytes(frame.side_data["DISPLAYMATRIX"]), np.int32)
    except KeyError:
        return lambda pixels: pixels
    except ValueError:  # Side data of a kind that PyAV has no name for.
        return lambda pixels: np.rot90(pixels, round(frame.rotation / 90))
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    across = abs(b) + abs(c) > abs(a) + abs(d)
    right, down = (c, b) if across else (a, d)

    def turn(pixels):
        pixels = pixels.swapaxes(0, 1) if across else pixels
        return pixels[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1]

    return turn
