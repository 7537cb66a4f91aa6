"""How well a run draws footage, at its own size and at others: `python -m benchmarks.footage`.

    python -m benchmarks.footage --run_dir=runs/film --page=docs/own_clips.md

The middle frames between frames of the test clips, 2 to 16 apart, by the run's model, by optical
flow (DIS) and by cross-fade. Other sizes than the training's are its frames scaled. Writes
footage.json and middle.png into --output, and a table into the page.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags

from frame_io import command_line
from frame_io.files import check_section, write_json, write_section
from frame_io.sizes import Size
from tf_inbetween import images, run_directory
from tf_inbetween.clips import prepare
from tf_inbetween.evaluation import baselines, metrics
from tf_inbetween.evaluation.pairs import at_once, spread

FLAGS = flags.FLAGS

GAPS = (2, 4, 8, 16)
_SECTION = "footage"
_SHOWN_HEIGHT = 100  # Pixels of a frame in the picture.


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("run_dir", None, "The run to judge.", required=True)
    flags.DEFINE_string("split", "test", "Whose clips.")
    flags.DEFINE_list("sizes", [], "Other sizes, such as 64,128,256. Default: none.")
    flags.DEFINE_integer("pairs", 12, "Pairs of frames for each row.", 1)
    flags.DEFINE_string("output", "docs/results/footage", "Where to.")
    flags.DEFINE_string("page", None, "A page with the lines <!-- footage --> to write between.")


def main():
    """Measures and writes what the flags say."""
    if FLAGS.page:
        check_section(FLAGS.page, _SECTION)
    config = run_directory.load_config(FLAGS.run_dir)
    model = run_directory.load_model(FLAGS.run_dir)
    data = prepare(config)
    sizes = [config.image_size, *map(Size.of, FLAGS.sizes)]
    results = measure(model, data, FLAGS.split, sizes, FLAGS.pairs)
    output = Path(FLAGS.output)
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "footage.json", results)
    draw(output / "middle.png", model, data, FLAGS.split)
    print(table(results))
    if FLAGS.page:
        write_section(FLAGS.page, _SECTION, table(results))


def methods_of(model):
    """What draws the middle of pairs [N, H, W, C]: {name: function of first and second}."""
    ways = {
        "this model": model.inbetween,
        "optical flow": baselines.optical_flow,
        "cross-fade": baselines.crossfade,
    }
    return {name: _at_half(way, name == "this model") for name, way in ways.items()}


def _at_half(way, in_batches):
    def method(first, second):
        count = at_once(first.shape[1:], 64) if in_batches else len(first)
        parts = (slice(i, i + count) for i in range(0, len(first), count))
        half = (lambda n: np.full(n, 0.5, np.float32)) if in_batches else (lambda n: 0.5)
        return np.concatenate(
            [way(first[part], second[part], half(len(first[part]))) for part in parts]
        )

    return method


def measure(model, data, split, sizes, pairs):
    """PSNR, SSIM, detail and hit rate of the middle frames.

    Returns:
        A list of rows: {"size", "gap", "pairs", "methods": {name: {measure: mean}}}.
    """
    infos, rows = data.clip_infos(split), []
    for size in sizes:
        for gap in GAPS:
            starts = spread(infos, gap, pairs)
            found = {}
            for clip, places in zip(data.read(split, list(starts)), starts.values(), strict=True):
                frames = _scaled(clip.frames, size)
                for name, method in methods_of(model).items():
                    measured = _measured(method, frames, places, gap)
                    found.setdefault(name, []).append(measured)
            rows.append(
                {
                    "size": str(size),
                    "gap": gap,
                    "pairs": sum(map(len, starts.values())),
                    "methods": {name: _means(parts) for name, parts in found.items()},
                }
            )
    return rows


def _measured(method, frames, places, gap):
    drawn, truth = method(frames[places], frames[places + gap]), frames[places + gap // 2]
    error = np.abs(metrics.nearest_times(drawn, frames) - (places + gap // 2))
    return {
        "psnr": metrics.psnr(drawn, truth),
        "ssim": metrics.ssim(drawn, truth),
        "detail": metrics.detail(drawn, truth),
        "hit_rate": metrics.hits(error, gap),
    }


def _means(parts):
    return {key: float(np.mean(np.concatenate([part[key] for part in parts]))) for key in parts[0]}


def _scaled(frames, size):
    """uint8 frames [K, H, W, C] -> floats in [0, 1] of a size."""
    frames = frames.astype(np.float32) / 255.0
    if frames.shape[1:3] == tuple(size):
        return frames
    return np.concatenate(
        [tf.image.resize(frame[np.newaxis], size, antialias=True) for frame in frames]
    )


def table(rows):
    """The rows in Markdown."""
    names = list(rows[0]["methods"])
    lines = [
        "In each cell: PSNR in dB, SSIM, detail, hit rate.",
        "",
        f"| size | frames apart | {' | '.join(names)} |",
        f"|{' --- |' * (2 + len(names))}",
    ]
    for row in rows:
        cells = [
            f"{m['psnr']:.2f}, {m['ssim']:.3f}, {m['detail']:.2f}, {m['hit_rate']:.2f}"
            for m in row["methods"].values()
        ]
        lines.append(f"| {row['size']} | {row['gap']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(path, model, data, split):
    """Writes a picture: for every gap a row of first, second, truth and what each way draws."""
    (clip,) = data.read(split, [0])
    frames, rows = clip.frames.astype(np.float32) / 255.0, []
    for gap in GAPS:
        ends = frames[:1], frames[gap : gap + 1]
        drawn = [method(*ends) for method in methods_of(model).values()]
        row = np.concatenate([*ends, frames[gap // 2 : gap // 2 + 1], *drawn])
        size = [_SHOWN_HEIGHT, round(_SHOWN_HEIGHT * row.shape[2] / row.shape[1])]
        rows.append(tf.image.resize(row, size, antialias=True).numpy())
    images.write_frames(path, images.tile(rows)[np.newaxis])


if __name__ == "__main__":
    define_flags()
    command_line.run(main)
