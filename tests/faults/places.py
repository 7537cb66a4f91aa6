"""Places that fail: a full disk, a read-only or forbidden folder, one that disappears.

Each command meets each of them in a small tmpfs of its own and has to end in one line and exit code
1; given space, permission or its folder again, the same command has to end as if nothing had been.
"""

import contextlib
import os
import shutil
import subprocess
import time

from tests.faults.kills import SUBJECTS, differences

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
        place: a `kills.Workplace`.
        key: of `kills.SUBJECTS`.
        fault: one of `PLACES`.
        rng: a `random.Random`.
    """
    subject = SUBJECTS[key]
    whole = place.expected(key)
    with tmpfs(place.root / "tmpfs", 2**20) as remount:
        folder = place.fresh(subject, "tmpfs/here")
        home = folder / "home"
        home.mkdir()
        more = {"HOME": str(home), "MPLCONFIGDIR": str(home)}
        command = _start(place, subject, folder, fault, remount, rng, more)
        lost = []
        complaint = command.complained
        if command.code != 1 or not complaint.startswith("error: ") or "\n" in complaint:
            lost.append(f"it ended with code {command.code}, and said: {complaint or 'nothing'}")
        remount("size=1g,rw")
        for where, folders, names in os.walk(folder):
            for name in (".", *folders, *names):
                os.chown(os.path.join(where, name), 0, 0)
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


def _start(place, subject, folder, fault, remount, rng, environment):
    """Runs a command to its end while the fault comes; returns the `commands.Command`."""
    user = None
    if fault == "full disk":
        # Of what the undisturbed one wrote, there is room for a part.
        written = 2**18  # What an evaluation writes anew.
        if subject.makes not in subject.needs:
            written = sum(map(os.path.getsize, _names(place.made / subject.makes)))
        remount(f"size={_used(folder) + int(written * rng.uniform(0.1, 0.6)) // 1024}k")
    elif fault == "read-only folder":
        remount("ro")
    elif fault == "no permission":
        user = NOBODY
    command = place.commands.start(
        subject.module, *subject.arguments, folder=folder, user=user, **environment
    )
    if fault == "folder disappears":
        goes = folder / subject.makes
        known = _names(goes)
        command.wait_for(lambda: len(_names(goes) - known) > 3)
        time.sleep(rng.choice((0.0, 0.3)))
        while goes.exists():
            shutil.rmtree(goes, ignore_errors=True)
    command.wait()
    return command


def _names(folder):
    return {os.path.join(where, name) for where, _, names in os.walk(folder) for name in names}


def _used(folder):
    """How much of the file system that a folder is in is taken, in KiB."""
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize // 1024
