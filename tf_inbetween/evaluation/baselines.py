"""Pixel methods to compare with. Each draws the frame at `t` between two frames.

`first`, `second`: float32 [N, H, W, C] in [0, 1]; `t`: a number in [0, 1], or [N], one for each
pair; result: the same shape as `first`.

Both optical flows are found on grey frames enlarged to at least 128 pixels a side: at the frames'
own size they lose what is a few pixels large. The flow at `t` is combined from both directions as
in Jiang et al., "Super SloMo", CVPR 2018, equation 4; it warps the ends, at their own size, to `t`,
and these are cross-faded. Without OpenCV they raise `ImportError`.
"""

import numpy as np

_FLOW_SIZE = 128  # pixels a side at the least
_FARNEBACK = {  # The best of eight settings on validation frames, see BUILD_NOTES.md.
    "pyr_scale": 0.5,
    "levels": 5,
    "winsize": 15,
    "iterations": 5,
    "poly_n": 7,
    "poly_sigma": 1.5,
    "flags": 256,  # cv2.OPTFLOW_FARNEBACK_GAUSSIAN
}
INSTALL = "pip install 'tf_inbetween[baselines]'"


def crossfade(first, second, t):
    """(1-t) first + t second."""
    t = each_pair(t, first.ndim)
    return (1 - t) * first + t * second


def nearest_frame(first, second, t):
    """The nearer end; the first at t = 1/2."""
    return np.where(each_pair(t, first.ndim) <= 0.5, first, second)


def each_pair(t, rank):
    """`t`, a number or [N], as float32 [1 or N, 1, ..., 1], to multiply arrays of `rank` by."""
    return np.reshape(np.float32(t), (-1, *[1] * (rank - 1)))


def optical_flow(first, second, t, finest_scale=0):
    """Both ends warped to `t` along OpenCV's DIS flow, then cross-faded.

    Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016: medium preset, down
    to `finest_scale` halvings. As the preset comes, it stops at 1, and does worse.
    """
    cv2 = _opencv()
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(finest_scale)
    return _along_flow(cv2, lambda start, end: dis.calc(start, end, None), first, second, t)


def optical_flow_farneback(first, second, t):
    """Both ends warped to `t` along Farnebäck's flow, then cross-faded.

    Farnebäck, "Two-Frame Motion Estimation Based on Polynomial Expansion", SCIA 2003, as in OpenCV.
    """
    cv2 = _opencv()

    def flow(start, end):
        return cv2.calcOpticalFlowFarneback(start, end, None, **_FARNEBACK)

    return _along_flow(cv2, flow, first, second, t)


METHODS = {
    "crossfade": crossfade,
    "optical_flow": optical_flow,
    "optical_flow_farneback": optical_flow_farneback,
    "nearest_frame": nearest_frame,
}
_NEED_OPENCV = ("optical_flow", "optical_flow_farneback")


def available():
    """The methods that can run here: all, or all but the optical flows where OpenCV is missing."""
    try:
        _opencv()
    except ImportError:
        return {name: method for name, method in METHODS.items() if name not in _NEED_OPENCV}
    return METHODS


def _opencv():
    try:
        import cv2
    except ImportError as error:
        raise ImportError(f"optical flow needs OpenCV: {INSTALL}") from error
    return cv2


def _along_flow(cv2, estimate, first, second, t):
    """Frames at `t` by a function of two grey uint8 frames that returns the flow between them."""
    times = np.broadcast_to(t, len(first)).tolist()
    drawn, pair, flows = [], None, None
    for *ends, time in zip(first, second, times, strict=True):
        # An evaluation asks for several t of a pair, one after another.
        if pair is None or not all(map(np.array_equal, ends, pair)):
            pair, flows = ends, (_flow(cv2, estimate, *ends), _flow(cv2, estimate, *ends[::-1]))
        drawn.append(_between(cv2, *ends, *flows, time))
    return np.stack(drawn)


def _between(cv2, first, second, forward, backward, t):
    to_first = -(1 - t) * t * forward + t**2 * backward
    to_second = (1 - t) ** 2 * forward - t * (1 - t) * backward
    return (1 - t) * _warp(cv2, first, to_first) + t * _warp(cv2, second, to_second)


def _flow(cv2, estimate, start, end):
    """The way of every pixel of `start` in pixels, [H, W, 2]."""
    height, width = start.shape[:2]
    times = -(-_FLOW_SIZE // min(height, width, _FLOW_SIZE))
    large = times * width, times * height
    grey = [np.rint(255 * np.mean(frame, axis=-1)).astype(np.uint8) for frame in (start, end)]
    flow = estimate(*(cv2.resize(frame, large) for frame in grey))
    return cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / times


def _warp(cv2, frame, flow):
    height, width = frame.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    warped = cv2.remap(
        frame, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return warped.reshape(frame.shape)
