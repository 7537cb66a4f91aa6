"""Lists of pairs: what is read, and every fault in a line of its own."""

import numpy as np
import PIL.Image
import pytest

from tf_inbetween import images, pair_list
from tf_inbetween.config import InputError


def written(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("header", ["", "first,second,output\n"])
def test_rows(tmp_path, header):
    path = written(tmp_path / "a.csv", header + 'a.png, "b, c.png" ,d.gif\n\n,,\nżółw.png,b,c\n')
    pairs, faults = pair_list.read(path)
    first = 1 + bool(header)
    assert faults == []
    assert pairs == [
        pair_list.Pair(first, "a.png", "b, c.png", "d.gif"),
        pair_list.Pair(first + 3, "żółw.png", "b", "c"),
    ]


def test_rows_without_three_columns(tmp_path):
    pairs, faults = pair_list.read(written(tmp_path / "a.csv", "a,b,c\na,b\na,,c\na,b,c,d\n"))
    assert len(pairs) == 1
    assert [row for row, _ in faults] == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        ("", "utf-8", "has no rows first,second,output"),
        ("first,second,output\n", "utf-8", "has no rows"),
        ("ż,b,c", "latin2", "cannot be read as CSV in UTF-8"),
    ],
)
def test_no_list(tmp_path, text, encoding, message):
    with pytest.raises(InputError, match=message):
        pair_list.read(written(tmp_path / "a.csv", text, encoding))


def test_every_fault_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        PIL.Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(name)
    written(tmp_path / "c.png", "no picture")
    rows = [
        ("a.png", "b.png", "ok.gif"),
        ("a.png", "missing.png", "x.gif"),
        ("c.png", "b.png", "y.gif"),
        ("a.png", "b.png", "x.bmp"),
        ("a.png", "b.png", "./ok.gif"),
        ("a.png", "b.png", "b.png"),
    ]
    pairs = [pair_list.Pair(row, *cells) for row, cells in enumerate(rows, 1)]
    faults = dict(pair_list.faults_of(pairs, lambda path: images.read_frame(path, 64, 3)))
    assert sorted(faults) == [2, 3, 4, 5, 6]
    assert faults[2] == "missing.png: no such file"
    assert faults[3].startswith("c.png: not a readable picture")
    assert faults[4].startswith("x.bmp: the name must end in one of")
    assert faults[5] == "./ok.gif: is the output of row 1 too"
    assert faults[6] == "b.png: is an input too; name another file"
