"""Pictures: frames of H x W pixels, grey or RGB."""

import numpy as np
import tensorflow as tf
from matplotlib import colormaps

from tf_inbetween import images
from tf_inbetween.evaluation import baselines, metrics
from tf_inbetween.kinds.kind import Kind


class Pictures(Kind):
    """Frames [H, W, C] of sRGB values, C 3 or 1."""

    name = "pictures"
    any_size = True
    networks = ("conv", "sprites")
    likelihoods = ("bernoulli", "normal", "calibrated_normal")
    models = ("vae", "autoencoder", "acai", "pixel_unet")
    inbetween_decoders = ("latent", "fusion")
    methods = baselines.METHODS
    default_methods = ("latent", "crossfade", "optical_flow", "nearest_frame")
    compared = ("optical_flow", "crossfade")
    labels = {  # noqa: RUF012
        "crossfade": "cross-fade",
        "optical_flow": "optical flow",
        "optical_flow_farneback": "optical flow (Farnebäck)",
        "nearest_frame": "nearest frame",
    }
    shown = {"mse": ("MSE", 1e4, 2), "detail": ("detail", 1, 3)}  # noqa: RUF012
    signature = "inbetween_png"
    summarized = ("detail",)
    measure_names = ("mse", "psnr", "ssim", "detail")

    def available_methods(self):
        """All, or all but the optical flows where OpenCV is missing."""
        return baselines.available()

    def missing(self, method):
        """OpenCV."""
        del method
        return "OpenCV", baselines.INSTALL

    def measures(self, frames, truth):
        """See `evaluation.metrics`."""
        return {
            "mse": metrics.mse(frames, truth),
            "psnr": metrics.psnr(frames, truth),
            "ssim": metrics.ssim(frames, truth),
            "detail": metrics.detail(frames, truth),
        }

    def nearest_times(self, frames, clip):
        """Nearest in MSE."""
        return metrics.nearest_times(frames, clip)

    def mean_distance(self, path, clip):
        """ACAI's Mean Distance."""
        return metrics.mean_distance(path, clip)

    def as_frame(self, name, value, shape=None, any_size=False, notify=print):
        """Of a path, a PIL picture or an array, see `images.as_frame`."""
        return images.as_frame(name, value, shape, any_size, notify)

    def show(self, axis, frame, box):
        """As it is, as large as fits."""
        frame = np.clip(frame, 0.0, 1.0)
        height, width = frame.shape[:2]
        left, right, bottom, top = box
        pixel = min((right - left) / width, (top - bottom) / height)
        side, above = (right - left - pixel * width) / 2, (top - bottom - pixel * height) / 2
        extent = (left + side, right - side, bottom + above, top - above)
        grey = {"cmap": "gray", "vmin": 0, "vmax": 1} if frame.shape[-1] == 1 else {}
        axis.imshow(
            frame[..., 0] if grey else frame, extent=extent, interpolation="nearest", **grey
        )

    def write_frame(self, folder, name, frame):
        """As a PNG."""
        images.write_frames(folder / f"{name}.png", frame[np.newaxis])

    def thumbnails(self, frames, pose, cyclic):
        """With a border coloured by the pose."""
        border = max(frames.shape[1] // 12, 1)
        place = (pose - pose.min()) / max(np.ptp(pose), 1e-9)
        colours = colormaps["twilight" if cyclic else "viridis"](place)[
            :, np.newaxis, np.newaxis, :3
        ]
        framed = np.broadcast_to(colours, (*frames.shape[:3], 3)).copy()
        inside = (slice(None), slice(border, -border), slice(border, -border))
        framed[inside] = frames[inside]
        return framed

    def summarize(self, tag, rows, description):
        """As one picture."""
        tf.summary.image(tag, images.tile(rows)[tf.newaxis], description=description)
