"""Commands of this project, each in a fork of one process that has imported TensorFlow already.

What a command does is the same, and a restart takes no ten seconds of imports, so that kills fall
into its work and not into those.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]

_SERVER = """
import ctypes, json, os, runpy, sys, warnings
import data_gen.builder, data_gen.footage_clips, export.golden_requests, export.signatures
import tf_inbetween.callbacks, tf_inbetween.checkpoints, tf_inbetween.evaluation.figures

warnings.simplefilter("ignore")
print("ready", flush=True)
for line in sys.stdin:
    module, arguments, folder, environment, bound = json.loads(line)
    child = os.fork()
    if not child:
        os.setsid()
        for stream, name in ((1, ".said"), (2, ".complained")):
            to = os.open(f"{environment['SAID']}/{name}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(to, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(environment)
        code = 1
        try:
            os.chdir(folder)
            if bound:
                # Without its capabilities, and none for its children, root is a user like others,
                # who can still read a Python that lies in its home.
                libc, words = ctypes.CDLL(None), ctypes.c_uint32
                libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
                libc.capset((words * 2)(0x20080522, 0), (words * 6)())  # Version 3; none at all.
            sys.argv = [module, *arguments]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
            if isinstance(code, str):
                print(code, file=sys.stderr)
                code = 1
        except BaseException:
            import traceback
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # TensorFlow takes a second to go the ordinary way.
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Commands(contextlib.AbstractContextManager):
    """Starts commands one after another. `folder` takes what they print."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        if self._server.stdout.readline() != "ready\n":
            raise RuntimeError("the process that is to start the commands did not start")

    def __exit__(self, *error):
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def start(self, module, *arguments, folder, bound=False, **environment):
        """Starts `python -m module` in a folder; returns a `Command`.

        `bound`: whether it is bound by permissions, as root is not.
        """
        for name in (".said", ".complained"):  # Or those of the one before would be read at first.
            (self._folder / name).write_text("")
        environment = {**environment, "SAID": str(self._folder)}
        request = [module, [str(a) for a in arguments], str(folder), environment, bound]
        print(json.dumps(request), file=self._server.stdin, flush=True)
        return Command(int(self._server.stdout.readline()), self._server.stdout, self._folder)

    def run(self, module, *arguments, folder, **more):
        """Runs one to its end; returns the `Command`."""
        command = self.start(module, *arguments, folder=folder, **more)
        command.wait()
        return command


class Command:
    """One that was started.

    Attributes:
        pid: of its process, which leads a group of its own.
        code: its exit code, or minus the signal that ended it; None while it runs.
    """

    def __init__(self, pid, answers, folder):
        self.pid, self.code = pid, None
        self._answers, self._folder = answers, folder

    @property
    def said(self):
        """What it printed."""
        return (self._folder / ".said").read_text(errors="replace")

    @property
    def complained(self):
        """What it printed to stderr, without what TensorFlow and the progress bars do."""
        text = (self._folder / ".complained").read_text(errors="replace")
        lines = [line.rpartition("\r")[2] for line in text.splitlines() if line.strip()]
        if any(line.startswith("Traceback") for line in lines):
            return f"Traceback … {lines[-1]}"
        return "\n".join(line for line in lines if line.startswith("error:"))

    def wait(self, seconds=None):
        """Waits until it ends, at most so long; returns whether it has."""
        if self.code is None and select.select([self._answers], [], [], seconds)[0]:
            self.code = int(self._answers.readline())
        return self.code is not None

    def kill(self, with_children):
        """Ends it by SIGKILL, and what it started with it, as a power cut would."""
        (os.killpg if with_children else os.kill)(self.pid, signal.SIGKILL)
        self.wait()

    def wait_for(self, condition, seconds=600.0):
        """Waits until `condition()` holds or it has ended; returns whether it runs still."""
        until = time.monotonic() + seconds
        while not condition():
            if self.wait(0.002):
                return False
            if time.monotonic() > until:
                raise TimeoutError(f"nothing came of process {self.pid} in {seconds:g} s")
        return not self.wait(0)
