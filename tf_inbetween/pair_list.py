"""A list of pairs of pictures to draw between, as a CSV file."""

import csv
import dataclasses
from pathlib import Path

from frame_io import writing
from tf_inbetween.config import InputError

_HEADER = ["first", "second", "output"]


@dataclasses.dataclass(frozen=True)
class Pair:
    """A row of the list: its number in the file, counted from 1, and three paths."""

    row: int
    first: str
    second: str
    output: str


def read(path):
    """Reads a list.

    Args:
        path: of a CSV file in UTF-8 with the columns first, second and output, in this order; a
            header row is optional. Empty rows are skipped.

    Returns:
        A list of `Pair`s; and (row, error) for each row without three columns.

    Raises:
        InputError: if it cannot be read, or has no rows.
    """
    pairs, faults = [], []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, skipinitialspace=True)
            for cells in rows:
                cells = [cell.strip() for cell in cells]
                if not any(cells) or (not pairs and not faults and cells == _HEADER):
                    continue
                if len(cells) == len(_HEADER) and all(cells):
                    pairs.append(Pair(rows.line_num, *cells))
                else:
                    faults.append((rows.line_num, "must have three columns: first,second,output"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--pairs={path}: cannot be read as CSV in UTF-8 ({error})") from error
    if not pairs and not faults:
        raise InputError(f"--pairs={path}: has no rows first,second,output")
    return pairs, faults


def faults_of(pairs, read_frame):
    """Yields (row, error) for each of some `Pair`s that could not be drawn.

    Every picture is read, one at a time.

    Args:
        pairs: a list of `Pair`s.
        read_frame: a function of a path that raises `InputError` if there is no readable picture.
    """
    inputs = {Path(path).resolve() for pair in pairs for path in (pair.first, pair.second)}
    outputs = {}
    for pair in pairs:
        place = Path(pair.output).resolve()
        try:
            for path in (pair.first, pair.second):
                read_frame(path)
            writing.check_writable(pair.output)
            if place in inputs:
                raise InputError(f"{pair.output}: is an input too; name another file")
            if place in outputs:
                raise InputError(f"{pair.output}: is the output of row {outputs[place]} too")
        except InputError as error:
            yield pair.row, str(error)
        outputs.setdefault(place, pair.row)
