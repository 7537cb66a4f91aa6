"""Pixel methods to compare with. Each draws the frame at `t` between two frames.

`first`, `second`: float32 [N, H, W, C] in [0, 1]; `t`: a number in [0, 1]; result: the same shape.
"""

import numpy as np

_FLOW_SIZE = 128  # pixels a side at the least
_MISSING = "optical flow needs OpenCV: pip install 'tf_inbetween[baselines]'"


def crossfade(first, second, t):
    """(1-t) first + t second."""
    return (1 - t) * first + t * second


def nearest_frame(first, second, t):
    """The nearer end; the first at t = 1/2."""
    return first if t <= 0.5 else second


def optical_flow(first, second, t):
    """Both ends warped to `t` along OpenCV's DIS flow, then cross-faded.

    Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016: medium preset, down
    to the finest scale, on grey frames enlarged to at least 128 pixels a side. As the preset comes,
    it stops at half the resolution of 64-pixel frames, and does worse. The flow at `t` is combined
    from both directions as in Jiang et al., "Super SloMo", CVPR 2018, equation 4, and warps the
    frames at their own size. Raises `ImportError` without OpenCV.
    """
    cv2 = _opencv()
    t = float(t)  # A NumPy scalar would turn the float32 maps into float64.
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    return np.stack([_flow_pair(cv2, dis, a, b, t) for a, b in zip(first, second, strict=True)])


METHODS = {"crossfade": crossfade, "optical_flow": optical_flow, "nearest_frame": nearest_frame}


def available():
    """The methods that can run here: all, or all but optical flow where OpenCV is missing."""
    try:
        _opencv()
    except ImportError:
        return {name: method for name, method in METHODS.items() if method is not optical_flow}
    return METHODS


def _opencv():
    try:
        import cv2
    except ImportError as error:
        raise ImportError(_MISSING) from error
    return cv2


def _flow_pair(cv2, dis, first, second, t):
    forward, backward = _flow(cv2, dis, first, second), _flow(cv2, dis, second, first)
    to_first = -(1 - t) * t * forward + t**2 * backward
    to_second = (1 - t) ** 2 * forward - t * (1 - t) * backward
    return (1 - t) * _warp(cv2, first, to_first) + t * _warp(cv2, second, to_second)


def _flow(cv2, dis, start, end):
    """The way of every pixel of `start` in pixels, [H, W, 2]."""
    height, width = start.shape[:2]
    times = -(-_FLOW_SIZE // min(height, width, _FLOW_SIZE))
    large = times * width, times * height
    grey = [np.rint(255 * np.mean(frame, axis=-1)).astype(np.uint8) for frame in (start, end)]
    flow = dis.calc(*(cv2.resize(frame, large) for frame in grey), None)
    return cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / times


def _warp(cv2, frame, flow):
    height, width = frame.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    warped = cv2.remap(
        frame, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return warped.reshape(frame.shape)
