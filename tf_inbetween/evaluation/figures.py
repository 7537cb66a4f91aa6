"""The pictures of a run: one function each, from arrays to a PNG."""

import re
import textwrap

import numpy as np
from matplotlib.figure import Figure

from frame_io.files import atomic_write
from tf_inbetween.kinds import KINDS
from tf_inbetween.models import FusionVAE, LatentModel, to_float

_MODEL_LABELS = {
    "latent": "this model",
    "latent_only": "this model, latent alone",
    "latent_slerp": "this model, slerp",
}
_COLUMNS = 9
_SAMPLES = 12
_PCA_CLIPS, _PCA_FRAMES = 30, 2000
_PERIODS = {"azimuth": (360, "°"), "minute": (720, "min")}  # Of poses that come round again.
_DPI = 150
_MARGIN = 0.03  # around a frame of a grid, in inches


def label_of(method, kind=KINDS["pictures"]):
    """The label of a method in figures and tables; by default its name."""
    return {**_MODEL_LABELS, **kind.labels}.get(method, method)


def labelled_grid(path, rows, row_labels, column_labels=(), kind=KINDS["pictures"]):
    """Draws rows of frames, each [K, H, W, C] in [0, 1] and of a kind, with their labels.

    A frame may be None, which leaves its place empty.
    """
    columns = max(len(row) for row in rows)
    width, height = kind.cell
    head = 0.2 + 0.15 * max((label.count("\n") + 1 for label in column_labels), default=1)
    figure = Figure(
        figsize=(0.9 + width * columns, head + height * len(rows)), layout="constrained"
    )
    axis = figure.subplots()  # One for all frames, in inches: axes of their own take seconds.
    for i, row in enumerate(rows):
        for j, frame in enumerate(row):
            if frame is not None:
                left, top = j * width + _MARGIN, -i * height - _MARGIN
                right, bottom = (j + 1) * width - _MARGIN, -(i + 1) * height + _MARGIN
                kind.show(axis, frame, (left, right, bottom, top))
    axis.set(xlim=(0, columns * width), ylim=(-len(rows) * height, 0), aspect="equal")
    axis.xaxis.tick_top()
    middles = width * (np.arange(len(column_labels)) + 0.5)
    axis.set_xticks(middles, column_labels, fontsize=8)
    axis.set_yticks(-height * (np.arange(len(rows)) + 0.5), row_labels, fontsize=8)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    save(figure, path)


def latent_pca(path, clips, colours, colour_label, cyclic):
    """Draws the two and the three leading principal components of posterior means.

    Args:
        path: of the PNG.
        clips: the means of each clip, [K, Z]; a thin line joins them in their order.
        colours: the pose of each clip's frames, [K]; where `cyclic`, on a colour wheel.
        colour_label: what the pose is.
        cyclic: whether the pose's largest value leads back to its smallest.
    """
    means, colours = np.concatenate(clips), np.concatenate(colours)
    centred = means - means.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    points = centred @ directions[:3].T
    share = singular**2 / np.sum(singular**2)
    figure = Figure(figsize=(11, 5), layout="constrained")
    flat = figure.add_subplot(1, 2, 1)
    if points.shape[1] < 2:
        points = np.pad(points, ((0, 0), (0, 1)))
    lines = np.split(points, np.cumsum([len(clip) for clip in clips])[:-1])
    marks = {"c": colours, "cmap": "hsv" if cyclic else "viridis", "s": 9}
    line = {"color": "0.6", "linewidth": 0.6, "zorder": 0}
    drawn = flat.scatter(points[:, 0], points[:, 1], **marks)
    for each in lines:
        flat.plot(each[:, 0], each[:, 1], **line)
    flat.set_aspect("equal", "datalim")
    flat.set_title("two leading components", fontsize=10)
    flat.set_xlabel(f"first ({share[0]:.0%} of the variance)")
    if len(share) > 1:
        flat.set_ylabel(f"second ({share[1]:.0%})")
    if points.shape[1] > 2:
        solid = figure.add_subplot(1, 2, 2, projection="3d")
        solid.scatter(*points.T, depthshade=False, **marks)
        for each in lines:
            solid.plot(*each.T, **line)
        solid.set_title(f"three: the third has {share[2]:.0%}", fontsize=10)
        for name in "xyz":
            getattr(solid, f"set_{name}ticklabels")([])
        solid.set_box_aspect(np.maximum(np.ptp(points, axis=0), 1e-9))
    figure.colorbar(drawn, ax=figure.axes, label=colour_label, shrink=0.8)
    # The equal aspect is known once drawn, and with it which tick labels need room.
    figure.draw_without_rendering()
    save(figure, path)


def error_by_gap(path, rows, kind=KINDS["pictures"]):
    """Draws a kind's measures, timing error and hit rate against the gap, from rows at t = 1/2.

    `rows`: what metrics.json has as "inbetween".
    """
    rows = [row for row in rows if row["t"] == 0.5]
    measured = next(iter(rows[0]["methods"].values()))
    degrees = "timing_error_degrees" in measured
    timing, unit = ("timing_error_degrees", "°") if degrees else ("timing_error", "frames")
    first, *others = ((key, label) for key, (label, *_) in kind.shown.items() if key in measured)
    panels = dict([first, (timing, f"timing error, {unit}"), ("hit_rate", "hit rate"), *others])
    figure = Figure(figsize=(13, 3.2), layout="constrained")
    axes = figure.subplots(1, len(panels))
    for axis, (key, label) in zip(axes, panels.items(), strict=True):
        for name in rows[0]["methods"]:
            values = [row["methods"][name][key] for row in rows]
            axis.plot(range(len(rows)), values, marker="o", label=label_of(name, kind))
        axis.set_xticks(range(len(rows)), [row["gap_label"] for row in rows])
        axis.set_xlabel("gap between the two frames")
        axis.set_ylabel(label)
        if key == "mse":
            axis.set_yscale("log")
        if key == timing:
            axis.set_yscale("symlog")
            axis.set_ylim(bottom=0)
    figure.axes[0].legend(fontsize=8)
    save(figure, path)


def draw_all(folder, model, methods, clips, clip, result):
    """Draws the pictures of an evaluated run into `folder`, and sample frames.

    Only a model with latents has pictures of reconstructions and of latent means, and only a
    `FusionVAE` one of its masks.
    `clip` must be long enough for every gap in `result`, the content of metrics.json.
    """
    frames = to_float(clip.frames).numpy()
    kind = KINDS[model.kind]

    inbetween_grid(folder / "inbetween.png", methods, clip, result["inbetween"], kind)
    gap = result["inbetween"][-1]["gap"]
    path_picture(folder / "path.png", methods, clip, gap, kind=kind)
    begin = _begin(clip, gap)
    for name, place in (("first", begin), ("second", begin + gap)):
        kind.write_frame(folder, name, frames[place % len(frames)])
    for i in range(_SAMPLES):
        place = i * len(frames) // _SAMPLES
        kind.write_frame(folder / "samples", f"{i:02}", frames[place])

    error_by_gap(folder / "error_by_gap.png", result["inbetween"], kind)
    if isinstance(model, FusionVAE):
        mask_grid(folder / "mask.png", model, clip, result["inbetween"])
    if not isinstance(model, LatentModel):
        return

    reconstruction_rows, labels = [], []
    for split in result["reconstruction"]:
        (first,) = clips.read(split, [0])
        places = np.linspace(0, first.length - 1, _COLUMNS).astype(int)
        truth = to_float(first.frames[places]).numpy()
        reconstruction_rows += [truth, model.reconstruct(truth).numpy()]
        labels += [f"{split}\ntruth", f"{split}\nreconstructed"]
    labelled_grid(folder / "reconstruction.png", reconstruction_rows, labels, kind=kind)
    _draw_latents(folder / "latent_pca.png", model, clips, result["split"])


def _draw_latents(path, model, clips, split):
    """The latent means of the first clips of a split, coloured by a degree of freedom."""
    names, unit = clips.pose_names, clips.gap_unit
    column = telling(names)
    name = names[column]
    count = min(clips.splits[split], _PCA_CLIPS)
    means, poses = [], []
    for clip in clips.read(split, list(range(count))):
        starts = range(0, len(clip.frames), 100)
        means.append(
            np.concatenate(
                [model.encode(to_float(clip.frames[i : i + 100])).mean() for i in starts]
            )
        )
        poses.append(clip.pose[:, column])
        if sum(map(len, poses)) >= _PCA_FRAMES:
            break
    period, unit = _PERIODS.get(name, (0, unit))
    round_again = bool(period)
    if round_again:
        poses = [pose % period for pose in poses]
    label = name + (f", {unit}" if unit else "")
    latent_pca(path, means, poses, label, round_again or clip.cyclic)


def telling(pose_names):
    """The index of the first number of a pose that is meaningful alone, unlike a quaternion's."""
    alone = (i for i, name in enumerate(pose_names) if not re.search(r"(^|_)q[wxyz]$", name))
    return next(alone, 0)


def in_lines(label, width=16):
    """A label in lines of `width` characters or fewer, or of one word that is longer."""
    return textwrap.fill(label, width, break_long_words=False, break_on_hyphens=False)


def inbetween_grid(path, methods, clip, rows, kind=KINDS["pictures"]):
    """Draws, for each gap at t = 1/2: first, second, the true middle and every method's.

    `clip` must be long enough for the gap of each of `rows`.
    """
    frames = to_float(clip.frames).numpy()
    grid, labels = [], []
    for label, places in _middles(clip, rows):
        first, second, truth = frames[places]
        drawn = [method(first[None], second[None], 0.5)[0] for method in methods.values()]
        grid.append([first, second, truth, *drawn])
        labels.append(label)
    known = {**_MODEL_LABELS, **kind.labels}
    names = [in_lines(known[name]) if name in known else name for name in methods]
    labelled_grid(path, grid, labels, ["first", "second", "truth", *names], kind)


def mask_grid(path, model, clip, rows):
    """Draws, for each gap at t = 1/2, what a `FusionVAE` draws and where each pixel comes from.

    The columns: first, second, the true middle, drawn, the mask (red: copied from the first, green:
    from the second, blue: drawn from the latent), and both ends warped to the middle. `clip` must
    be long enough for the gap of each of `rows`.
    """
    frames = to_float(clip.frames).numpy()
    labels, places = zip(*_middles(clip, rows), strict=True)
    first, second, truth = frames[np.transpose(places)]
    parts = model.parts(first, second, np.full(len(first), 0.5, np.float32))
    shown = [parts[name].numpy() for name in ("frame", "mask", "first_warped", "second_warped")]
    grid = [list(row) for row in zip(first, second, truth, *shown, strict=True)]
    heads = ["first", "second", "truth", "drawn", "mask", "first,\nwarped", "second,\nwarped"]
    labelled_grid(path, grid, labels, heads)


def _middles(clip, rows):
    """The gaps of metrics.json's rows, and where a clip's first, second and middle frames lie.

    Returns:
        [(label of the gap, [3] indices into the clip)], one for each row at t = 1/2.
    """
    middles = []
    for row in (row for row in rows if row["t"] == 0.5):
        begin, gap = _begin(clip, row["gap"]), row["gap"]
        places = np.array([begin, begin + gap, begin + gap // 2]) % len(clip.frames)
        middles.append((row["gap_label"], places))
    return middles


def path_picture(
    path, methods, clip, gap, columns=_COLUMNS, truth_below=False, kind=KINDS["pictures"]
):
    """Draws a path from a start to an end frame, one row for each method, below its truth.

    With `truth_below` the truth is the last row.
    """
    frames = to_float(clip.frames).numpy()
    places = (_begin(clip, gap) + np.linspace(0, gap, columns).round().astype(int)) % len(frames)
    first, second = frames[places[:1]], frames[places[-1:]]
    rows, labels = [], []
    for name, method in methods.items():
        if name == "nearest_frame":
            continue
        middle = [method(first, second, t)[0] for t in np.linspace(0, 1, columns)[1:-1]]
        rows.append([first[0], *middle, second[0]])
        labels.append(label_of(name, kind))
    truth_at = len(rows) if truth_below else 0
    rows.insert(truth_at, frames[places])
    labels.insert(truth_at, "truth")
    heads = ["first", *[f"t = {t:.3g}" for t in np.linspace(0, 1, columns)[1:-1]], "second"]
    labelled_grid(path, rows, labels, heads, kind)


def _begin(clip, gap):
    """Where the pictures start: an eighth into the clip, or earlier if the gap needs it."""
    begin = len(clip.frames) // 8
    return begin if clip.cyclic else min(begin, len(clip.frames) - 1 - gap)


def save(figure, path):
    """Writes a matplotlib figure as a PNG, atomically."""
    with atomic_write(path) as beside:
        figure.savefig(beside, dpi=_DPI)
