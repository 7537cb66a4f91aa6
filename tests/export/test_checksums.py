"""The list of an exported version's files."""

import shutil
import subprocess

import pytest

from export import checksums


@pytest.fixture
def version(tmp_path):
    folder = tmp_path / "1"
    for name in ("saved_model.pb", "variables/variables.index", "assets.extra/samples/00.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    checksums.write(folder)
    return folder


def test_a_whole_version_passes_here_and_by_sha256sum(version):
    checksums.check(version)
    checksums.write(version)  # again: the list is not in itself
    checksums.check(version)
    if shutil.which("sha256sum"):
        command = ["sha256sum", "--check", "--strict", str(checksums.NAME)]
        assert subprocess.run(command, cwd=version, capture_output=True, check=True).stdout


def test_a_version_without_a_list_passes(version):
    (version / checksums.NAME).unlink()
    checksums.check(version)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
def test_a_damaged_file_is_named(version, name):
    path = version / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match=rf"{name}: damaged, its SHA-256 is not the one in "):
        checksums.check(version)
    path.unlink()
    with pytest.raises(ValueError, match=rf"{name}: missing, though assets.extra/SHA256SUMS"):
        checksums.check(version)


@pytest.mark.parametrize("line", ["nonsense", "0" * 64 + "  ../../etc/passwd", "0" * 64 + "  /a"])
def test_a_damaged_list_is_named(version, line):
    (version / checksums.NAME).write_text(line + "\n")
    with pytest.raises(ValueError, match=r"SHA256SUMS: damaged$"):
        checksums.check(version)
