"""Pixel methods to compare with. Each draws the frame at `t` between two frames.

`first`, `second`: float32 [N, H, W, C] in [0, 1]; `t`: a number in [0, 1]; result: the same shape.
"""

import numpy as np

_MISSING = "optical flow needs OpenCV: pip install 'tf_inbetween[baselines]'"


def crossfade(first, second, t):
    """(1-t) first + t second."""
    return (1 - t) * first + t * second


def nearest_frame(first, second, t):
    """The nearer end; the first at t = 1/2."""
    return first if t <= 0.5 else second


def optical_flow(first, second, t):
    """Both ends warped to `t` along OpenCV's DIS flow, then cross-faded.

    Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016, medium preset. The
    flow at `t` is combined from both directions as in Jiang et al., "Super SloMo", CVPR 2018,
    equation 4. Raises `ImportError` without OpenCV.
    """
    cv2 = _opencv()
    t = float(t)  # A NumPy scalar would turn the float32 maps into float64.
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
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
    grey = [np.rint(255 * np.mean(frame, axis=-1)).astype(np.uint8) for frame in (first, second)]
    forward, backward = dis.calc(*grey, None), dis.calc(*reversed(grey), None)
    to_first = -(1 - t) * t * forward + t**2 * backward
    to_second = (1 - t) ** 2 * forward - t * (1 - t) * backward
    return (1 - t) * _warp(cv2, first, to_first) + t * _warp(cv2, second, to_second)


def _warp(cv2, frame, flow):
    height, width = frame.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    warped = cv2.remap(
        frame, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return warped.reshape(frame.shape)
