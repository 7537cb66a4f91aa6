"""What holds for all of a study, and study.json, its record."""

import dataclasses
from pathlib import Path

from frame_io.files import read_checked_json
from tf_inbetween.config import InputError


@dataclasses.dataclass(frozen=True)
class Settings:
    """What holds for all of the study.

    Attributes:
        runs_dir: folder of the run directories.
        results_dir: folder of the pages.
        seeds: of every row; the runs that a `Best` chooses among have the first.
        steps: of a training where they do not stand beside the flag file.
        steps_per_epoch: likewise.
        pairs: of frames for each gap of an evaluation on test clips, or on others held out.
        validation_pairs: of an evaluation that a choice is made by.
        record: what study.json holds, see `read_record`.
        recorded: whether a job that stands there is done.
    """

    runs_dir: str
    results_dir: str
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 1000
    steps_per_epoch: int = 250
    pairs: int = 200
    validation_pairs: int = 100
    record: dict = dataclasses.field(default_factory=dict, compare=False, repr=False)
    recorded: bool = False


def path_of_record(results_dir):
    """Where the results are kept."""
    return Path(results_dir) / "study.json"


def read_record(results_dir):
    """What study.json of a folder of results holds; nothing where there is none yet.

    Raises `InputError` if it is damaged.
    """
    path = path_of_record(results_dir)
    try:
        return read_checked_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); get it back, or move it away to begin anew"
        ) from error
