"""Places that fail: a full disk, a read-only or forbidden folder, one that disappears.

Each command meets each of them in a small tmpfs of its own and has to end in one line and exit code
1; given space, permission or its folder again, the same command has to end as if nothing had been.
A server writes nothing: it has to answer wherever it can read its model, and with the loaded one
where that disappears.
"""

import contextlib
import os
import shutil
import subprocess
import time

from benchmarks.faults.kills import ask, differences, request, start_server
from benchmarks.faults.subjects import SUBJECTS, files

NOBODY = 65534
PLACES = ("full disk", "read-only folder", "no permission", "folder disappears")


def may_mount():
    """Whether this process may mount a tmpfs, and take on another user."""
    return os.geteuid() == 0 and shutil.which("mount") is not None and _can_mount()


def _can_mount():
    done = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@contextlib.contextmanager
def tmpfs(folder, kilobytes):
    """Mounts an empty tmpfs; yields a function of mount options that changes them."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={kilobytes}k,mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield lambda options: subprocess.run(
            ["mount", "-o", f"remount,{options}", folder], check=True
        )
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def meet(place, key, fault, rng):
    """Lets a command meet a fault and start again without it; returns a row of the table.

    Args:
        place: a `subjects.Workplace`.
        key: of `subjects.SUBJECTS`.
        fault: one of `PLACES`.
        rng: a `random.Random`.
    """
    subject = SUBJECTS[key]
    whole = place.expected(key)
    with tmpfs(place.root / "tmpfs", 2**20) as remount:
        for _ in range(10):
            folder = place.fresh(subject, "tmpfs/here")
            if command := _start(place, subject, folder, fault, remount, rng):
                break
        else:
            raise RuntimeError(f"{key}: always ended before its {fault}")
        complaint, lost = command.complained, _no_single_line(command)
        remount("size=1g,rw")
        _give(folder, os.geteuid())
        if fault == "folder disappears" and subject.makes in subject.needs:
            folder = place.fresh(subject, "tmpfs/here")
        again = place.commands.run(subject.module, *subject.arguments, folder=folder)
        if again.code:
            lost.append(f"not resumed: {again.complained}")
        else:
            lost += differences(whole, subject.content(folder / subject.makes))
    return {
        "fault": fault,
        "what": key,
        "injected": 1,
        "said": complaint.replace(f"{place.root}/tmpfs/here/", ""),
        "lost": "; ".join(dict.fromkeys(lost)) or "nothing",
    }


def _start(place, subject, folder, fault, remount, rng):
    """Runs a command to its end while the fault comes; returns the `commands.Command`.

    None if it ended before the fault came.
    """
    home = folder / "home"
    home.mkdir()
    if fault == "full disk":
        # Of what the undisturbed one wrote, there is room for a part.
        written = 2**18  # What an evaluation writes anew.
        if subject.makes not in subject.needs:
            written = sum(map(os.path.getsize, _names(place.made / subject.makes)))
        remount(f"size={_used(folder) + int(written * rng.uniform(0.1, 0.6)) // 1024}k")
    elif fault == "read-only folder":
        remount("ro")
    elif fault == "no permission":
        _give(folder, NOBODY)
    command = place.commands.start(
        subject.module,
        *subject.arguments,
        folder=folder,
        bound=fault == "no permission",
        HOME=str(home),
        MPLCONFIGDIR=str(home),
    )
    if fault == "folder disappears":
        goes = folder / subject.makes
        known = _written(goes)
        command.wait_for(lambda: len(_written(goes) - known) > 3)
        if command.wait(rng.choice((0.0, 0.3))):
            return None
        while goes.exists():
            shutil.rmtree(goes, ignore_errors=True)
    command.wait()
    return command


def meet_server(place):
    """Lets a server meet every fault and start again without it; yields the rows of the table."""
    place.expected("export")
    command, url = start_server(place.commands, place.made)
    expected = url and ask(url, request())
    command.kill(with_children=True)
    for fault in PLACES:
        with tmpfs(place.root / "tmpfs", 2**20) as remount:
            folder = place.root / "tmpfs" / "here"
            models = folder / "models"
            shutil.copytree(place.made / "models", models)
            said, lost = _serve(place, models, fault, remount, expected)
            remount("size=1g,rw")
            if not models.exists():
                shutil.copytree(place.made / "models", models)
            _give(models, os.geteuid())
            command, url = start_server(place.commands, folder)
            if url is None:
                lost.append(f"not served again: {command.complained}")
            else:
                lost += _wrong([ask(url, request())], expected)
                command.kill(with_children=True)
            if files(models) != files(place.made / "models"):
                lost.append("the model folder was written to")
        yield {
            "fault": fault,
            "what": "serve",
            "injected": 1,
            "said": said,
            "lost": "; ".join(dict.fromkeys(lost)) or "nothing",
        }


def _serve(place, models, fault, remount, expected):
    """Starts a server that meets the fault; returns what it said, and what was not right."""
    folder = models.parent
    if fault == "full disk":
        remount(f"size={_used(folder)}k")
    elif fault == "read-only folder":
        remount("ro")
    elif fault == "no permission":
        _give(models, NOBODY)
        models.chmod(0o700)
    command, url = start_server(place.commands, folder, bound=fault == "no permission")
    if fault == "no permission":
        if url is None:
            return command.complained, _no_single_line(command)
        command.kill(with_children=True)
        return "", ["it was served"]
    if url is None:
        return command.complained, ["not served"]
    answers = [ask(url, request())]
    said = []
    if fault == "folder disappears":
        models.rename(folder / "away")
        shutil.rmtree(folder / "away")
        for _ in range(5):
            time.sleep(1)  # It looks for new versions each second.
            answers.append(ask(url, request()))
        said = [line for line in command.said.splitlines() if line.startswith("error:")]
    command.kill(with_children=True)
    wrong = _wrong(answers, expected)
    lost = wrong + (["it said more than one line"] if len(said) > 1 else [])
    words = [*said, f"{len(answers) - len(wrong)} of {len(answers)} requests answered as before"]
    if fault == "folder disappears":
        command, _ = start_server(place.commands, folder)
        lost += _no_single_line(command)
        words.append(f"started again: {command.complained}")
    return "; ".join(words), lost


def _wrong(answers, expected):
    return ["an answer is missing or differs" for a in answers if a is None or a != expected]


def _no_single_line(command):
    """What is wrong with how a command ended, in a list; it should be exit code 1 and one line."""
    said = command.complained
    if command.code == 1 and said.startswith("error: ") and "\n" not in said:
        return []
    return [f"it ended with code {command.code}, and said: {said or 'nothing'}"]


def _give(folder, user):
    """Makes a user the owner of all of a folder, who may write there; others may read."""
    for where, folders, names in os.walk(folder):
        for name in (".", *folders, *names):
            os.chown(os.path.join(where, name), user, -1)
    folder.chmod(0o755)


def _names(folder):
    return {os.path.join(where, name) for where, _, names in os.walk(folder) for name in names}


def _written(folder):
    """The names of all files in a folder, and when each was written."""
    entries = set()
    for name in _names(folder):
        with contextlib.suppress(FileNotFoundError):
            entries.add((name, os.stat(name).st_mtime_ns))
    return entries


def _used(folder):
    """How much of the file system that a folder is in is taken, in KiB."""
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize // 1024
