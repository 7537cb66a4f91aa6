"""JSON that knows whether it is whole."""

import json

import pytest

from frame_io.files import atomic_write, read_checked_json, write_checked_json, write_json

CONTENT = {"steps": 40, "mse": 0.125, "none": None, "rows": [{"gap": 60, "label": "60°"}]}


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "a.json"
    write_checked_json(path, CONTENT)
    assert read_checked_json(path) == CONTENT
    assert set(json.loads(path.read_text())) == {*CONTENT, "sha256"}
    write_json(path, CONTENT)
    with pytest.raises(ValueError, match="it has no checksum"):
        read_checked_json(path)


def test_a_table_has_a_line_for_each_row(tmp_path):
    path = tmp_path / "a.json"
    content = {"a": [1, {"b": 2}], "runs": {"é": {"x": [1.5, None]}, '"': {}}}
    write_checked_json(path, content, table="runs")
    assert read_checked_json(path) == content
    lines = path.read_text().splitlines()
    at = lines.index('  "runs": {')
    assert lines[at + 1 :] == [r'    "\u00e9": {"x": [1.5, null]},', r'    "\"": {}', "  }", "}"]
    write_checked_json(path, {"a": 1, "runs": {}}, table="runs")
    assert read_checked_json(path) == {"a": 1, "runs": {}}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_checked_json(path, {"runs": {"x": float("nan")}}, table="runs")
    assert read_checked_json(path) == {"a": 1, "runs": {}}


def test_no_bit_flips_unseen(tmp_path):
    path = tmp_path / "a.json"
    write_checked_json(path, CONTENT)
    whole = path.read_bytes()
    seen = 0
    for place in range(8 * len(whole)):
        broken = bytearray(whole)
        broken[place // 8] ^= 1 << place % 8
        path.write_bytes(broken)
        try:
            content = read_checked_json(path)
        except ValueError:
            seen += 1
        else:  # Only between the values.
            assert {name: content[name] for name in CONTENT} == CONTENT
    assert seen > 6 * len(whole)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"a": 1, "sha256": "no"}'])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"Expecting|no JSON object|its checksum does not match"):
        read_checked_json(tmp_path / "a.json")


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path):
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*/\.a\.partial\.txt'"),
        atomic_write(tmp_path / "a.txt"),
        open("/dev/full", "w") as full,
    ):
        full.write("a" * 2**20)
    assert not list(tmp_path.iterdir())
