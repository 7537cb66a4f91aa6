"""What the tests of commands share: one process that they are forked from."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

TENSORFLOW_SAYS = r"(?m)^([IWE]\d{4} |WARNING: All log messages before absl).*\n"


# Runs commands one by one, each in a fork of a process that has imported TensorFlow already; what
# a command does is the same, and ten of them take no longer than one.
SERVER = """
import json, os, runpy, signal, sys
import data_gen.builder, tf_inbetween.callbacks, tf_inbetween.checkpoints

for line in sys.stdin:
    module, arguments, folder = json.loads(line)
    child = os.fork()
    if not child:
        signal.alarm(60)
        os.chdir(folder)
        for stream in (1, 2):
            os.dup2(os.open(f"{folder}/.out{stream}", os.O_CREAT | os.O_RDWR | os.O_TRUNC), stream)
        sys.argv = [module, *arguments]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as stop:
            code = stop.code
            if isinstance(code, str):
                print(code, file=sys.stderr)
                code = 1
        sys.stdout.flush()
        os._exit(code or 0)  # TensorFlow takes a second to go the ordinary way.
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.fixture(scope="session")
def server():
    """A process that runs commands, see `SERVER`."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.stdin.close()


@pytest.fixture
def fork(server, tmp_path):
    """Runs a command like `run`, in the folder `tmp_path`; what it wrote there is `left`."""

    def run_forked(module, *arguments):
        request = [module, [str(argument) for argument in arguments], str(tmp_path)]
        print(json.dumps(request), file=server.stdin, flush=True)
        returncode = int(server.stdout.readline())
        stdout, stderr = (
            re.sub(TENSORFLOW_SAYS, "", (tmp_path / f".out{stream}").read_text())
            for stream in (1, 2)
        )
        left = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".out"))
        return SimpleNamespace(returncode=returncode, stdout=stdout, stderr=stderr, left=left)

    return run_forked
