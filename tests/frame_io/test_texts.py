"""Lines of text as frames and back, and files of lines, hostile ones included."""

import numpy as np
import pytest

from frame_io import texts

LINES = (
    "ten past four",
    "a",
    "x" * 64,
    "über 東京 🙂",
    "שלום עולם",
    "👩‍👩‍👧 family",
    " two  spaces ",
)


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_a_frame_and_back(line):
    frame = texts.to_frame(line, 64)
    assert (frame.shape, frame.dtype) == ((64, 1, 1), np.uint8)
    assert frame[: len(line.encode()), 0, 0].tobytes() == line.encode()
    assert not frame[len(line.encode()) :].any()
    assert texts.to_line(frame) == line


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("x" * 65, "is 65 bytes long; at most 64 fit a frame"),
        ("é" * 33, "is 66 bytes long; at most 64 fit a frame"),
        ("a\0b", r"has the control character U\+0000 at column 2; must be one line"),
        ("a\nb", r"has the control character U\+000A at column 2"),
        ("\x1b[31mred", r"has the control character U\+001B at column 1"),
        ("a\u2028b", r"has the control character U\+2028 at column 2"),
        ("a\udcff", "is not Unicode text at column 2"),
    ],
)
def test_what_is_no_line_is_refused(line, said):
    with pytest.raises(ValueError, match=f"^--first: {said}"):
        texts.to_frame(line, 64, "--first")


def test_what_a_model_draws_is_always_a_printable_line():
    frame = np.frombuffer(b"ab\xffc\x1bd\0after the end", np.uint8)
    assert texts.to_line(frame[:, None, None]) == "ab�c�d"
    assert texts.to_line(np.zeros((64, 1, 1), np.uint8)) == ""
    for value in range(256):
        line = texts.to_line(np.full((3, 1, 1), value, np.uint8))
        assert line.isprintable() or not line.strip()


def lines_of(clips):
    return [[texts.to_line(frame) for frame in clip] for clip in clips]


@pytest.mark.parametrize(
    ("content", "clips"),
    [
        (b"one\ntwo\n\nthree\n", [["one", "two"], ["three"]]),
        (b"one\ntwo\n\nthree", [["one", "two"], ["three"]]),
        (b"\n\n\none\n\n\n\ntwo\n\n", [["one"], ["two"]]),
        (b"one\r\ntwo\r\n\r\nthree\r\n", [["one", "two"], ["three"]]),
        (b"one\rtwo\r\rthree", [["one", "two"], ["three"]]),
        (b"\xef\xbb\xbfone\ntwo", [["one", "two"]]),
        (b"  one  \n   \ntwo", [["one"], ["two"]]),
        ("\u05e9\u05dc\u05d5\u05dd\n🙂".encode(), [["שלום", "🙂"]]),
    ],
)
def test_files_of_lines(tmp_path, content, clips):
    path = tmp_path / "steps.txt"
    path.write_bytes(content)
    read = texts.read_clips(path, 64)
    assert lines_of(read) == clips
    assert {(clip.dtype, clip.shape[1:]) for clip in read} == {(np.dtype(np.uint8), (64, 1, 1))}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ": has no line of text"),
        (b"\n \n\r\n", ": has no line of text"),
        (b"one\n" + b"x" * 10_000_000, ", line 2: is 10000000 bytes long; at most 64 fit a frame"),
        (b"one\n\ntwo\0\n", r", line 3: has the control character U\+0000 at column 4"),
        (b"one\nt\xffo\n", r", line 2: is not UTF-8 \(byte 2 is 0xFF\)"),
        (b"one\n\xed\xa0\x80\n", r", line 2: is not UTF-8 \(byte 1 is 0xED\)"),
        ("one\ntwo".encode("utf-16"), ": is UTF-16 text; save it as UTF-8"),
        (b"a\tb\n", r", line 1: has the control character U\+0009 at column 2"),
        (b"\x89PNG\r\n\x1a\n", r", line 1: is not UTF-8"),
    ],
)
def test_files_that_are_refused(tmp_path, content, said):
    path = tmp_path / "steps.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}{said}") as failed:
        texts.read_clips(path, 64)
    assert "\n" not in str(failed.value)


def test_no_file_a_folder_and_one_that_is_too_large(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no such file"):
        texts.read_clips(tmp_path / "none.txt", 64)
    with pytest.raises(ValueError, match="is a folder"):
        texts.read_clips(tmp_path, 64)
    (tmp_path / "large.txt").write_bytes(b"one\n" * 10)
    monkeypatch.setattr(texts, "MAX_FILE_BYTES", 39)
    with pytest.raises(ValueError, match="more than 39 bytes; cut it into smaller files"):
        texts.read_clips(tmp_path / "large.txt", 64)


def test_a_file_of_one_line(tmp_path):
    path = tmp_path / "line.txt"
    path.write_text("ten past four\n")
    assert texts.to_line(texts.read_line(path, 64)) == "ten past four"
    path.write_text("one\n\ntwo\nthree\n")
    with pytest.raises(ValueError, match="has 3 lines; must have one"):
        texts.read_line(path, 64)
