"""Bad numbers: NaN and infinity in pixels, clips in which nothing moves, settings that explode.

What cannot be computed ends in one line that names the step and the term, or the file; the weights
that were saved before are finite. What can be computed, such as a picture that stands still, is.
"""

import json
import re
import shutil

import numpy as np
import PIL.Image

from benchmarks.faults.subjects import SUBJECTS
from tf_inbetween import run_directory
from tf_inbetween.config import InputError

EXPLODING = ("--alpha=1e9", "--alpha=1e30", "--learning_rate=1e3", "--learning_rate=1e30")


def inject(place):
    """Yields the rows of the table. `place`: a `subjects.Workplace`."""
    yield _pixels_of_the_model(place)
    yield from (_pixels_of_a_file(place, value) for value in (np.nan, np.inf))
    for motion in ("constant pictures", "clips without motion"):
        yield _standing_still(place, motion)
    yield from (_exploding(place, flag) for flag in EXPLODING)


def _row(fault, what, said, lost, injected=1):
    return {"fault": fault, "what": what, "injected": injected, "said": said, "lost": lost}


def _pixels_of_the_model(place):
    place.expected("train")
    model = run_directory.load_model(place.made / "run")
    said, lost = "", []
    for value in (np.nan, np.inf):
        frame = np.zeros((64, 64, 3), np.float32)
        frame[3, 4, 1] = value
        for draw in (
            lambda frame=frame: model.path(frame, frame, [0.5]),
            lambda frame=frame: model.reconstruct(frame[np.newaxis]),
        ):
            try:
                draw()
                lost.append(f"{value} was drawn")
            except InputError as error:
                said = str(error)
    return _row("NaN, infinity in a frame", "model.path, .reconstruct", said, _words(lost), 4)


def _pixels_of_a_file(place, value):
    subject = SUBJECTS["import"]
    folder = place.fresh(subject)
    pixels = np.full((96, 96), 0.5, np.float32)
    pixels[5, 5] = value
    (folder / "frames" / "020.png").unlink()
    PIL.Image.fromarray(pixels).save(folder / "frames" / "020.tif")
    for path in (folder / "frames").glob("*.png"):  # A folder has pictures of one kind.
        with PIL.Image.open(path) as picture:
            picture.save(path.with_suffix(".tif"))
        path.unlink()
    command = place.commands.run(subject.module, *subject.arguments, folder=folder)
    lost = [] if command.code == 1 and "020.tif" in command.complained else ["it was imported"]
    lost += ["something is left"] if list(folder.glob("imported/*/mine/1.0.0")) else []
    return _row(f"{value} in a float TIFF", "import", command.complained, _words(lost))


def _standing_still(place, motion):
    """Imports, trains and evaluates; all numbers have to be finite."""
    subject, training = SUBJECTS["import"], SUBJECTS["train"]
    folder = place.fresh(training)
    shutil.rmtree(folder / "data")
    (folder / "frames").mkdir()
    picture = np.full((96, 96, 3), 90, np.uint8)
    if motion == "clips without motion":
        picture[20:50, 30:60] = (255, 0, 0)
    for i in range(48):
        PIL.Image.fromarray(picture).save(folder / "frames" / f"{i:03}.png")
    clips = ("--name=mine", "--input=frames", "--frames_per_clip=13", "--data_dir=data")
    scene = ("--scene=mine", "--max_gap=12")
    lost = []
    for module, arguments in (
        (subject.module, clips),
        (training.module, (*training.arguments, *scene)),
        ("tf_inbetween.evaluate", ("--run_dir=run", "--pairs=2")),
    ):
        command = place.commands.run(module, *arguments, folder=folder)
        if command.code:
            lost.append(f"{module}: {command.complained or command.code}")
            break
    else:
        json.loads((folder / "run/metrics.json").read_text(), parse_constant=lost.append)
    return _row(motion, "import, train, evaluate", "finite numbers", _words(lost))


def _exploding(place, flag):
    subject = SUBJECTS["train"]
    folder = place.fresh(subject)
    command = place.commands.run(subject.module, *subject.arguments, flag, folder=folder)
    lost, said = [], command.complained
    if command.code == 0:
        said = "trained to its end: all terms stayed finite"
    elif command.code != 1 or not re.match(r"error: step \d+: \w.* became NaN or inf", said):
        lost.append(f"it ended with code {command.code}, and said: {said or 'nothing'}")
    if (folder / "run" / "model.keras").exists():
        weights = run_directory.load_model(folder / "run").variables
        lost += [f"{w.path} is not finite" for w in weights if not np.isfinite(w.numpy()).all()]
        said += " (model.keras: finite)"
    else:
        said += " (before the first model.keras)"
    return _row(flag, "train", said, _words(lost))


def _words(lost):
    return "; ".join(lost) or "nothing"
