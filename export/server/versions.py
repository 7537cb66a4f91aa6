"""Versions of a model: loaded from a folder, watched there, and replaced without a gap.

States, version policies and the order of loading and unloading follow
TensorFlow Serving (`availability_preserving_policy.cc`, `file_system_storage_path_source.cc`).
"""

import asyncio
import contextlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tensorflow_serving.config import model_server_config_pb2

from export.server.errors import ServingError, from_exception, invalid
from export.server.servable import Servable
from export.server.server_config import Models, read_models
from frame_io.errors import InputError, one_line


class Version:
    """A version and its state.

    Attributes:
        number: its integer.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error: the `ServingError` that ended it, or None.
        servable: the `servable.Servable`, while there is one.
        files: what its files looked like when they were last loaded.
    """

    def __init__(self, number):
        self.number = number
        self.state = "START"
        self.error = None
        self.servable = None
        self.files = None
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @contextlib.contextmanager
    def use(self):
        """Keeps the version from being unloaded while a request runs on it."""
        self._users += 1
        self._unused.clear()
        try:
            yield self.servable
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def unused(self):
        """Waits until no request runs on the version."""
        await self._unused.wait()


class Manager:
    """The versions in one folder, loaded by the version policy of `models.config`.

    All methods belong to one event loop; loading happens in a thread of its own.

    Args:
        model_dir: a folder whose subfolders with whole numbers for names are the versions.
        name: the model's name; None for that in `models.config`, or else of the folder.
        report: called with one line when a version comes, goes or cannot be loaded.
    """

    def __init__(self, model_dir, name=None, report=print):
        self._dir = Path(model_dir)
        try:
            str(self._dir.resolve()).encode()
        except UnicodeEncodeError:
            path = ascii(str(self._dir))
            raise InputError(f"{path}: TensorFlow reads only paths that are UTF-8") from None
        self._wanted_name = name
        self._config_path = self._dir / "models.config"
        self._config_files = None
        self._config = Models(None, model_server_config_pb2.ModelConfig().model_version_policy, {})
        self._read_config()
        self.name = name or self._config.name or self._dir.resolve().name
        if not self.name.isprintable():
            raise InputError(f"{self.name!a} is not a valid model name; give --model_name")
        self._report = report
        self._trouble = None  # What was last said of the folder.
        self._versions = {}
        self._labels = {}
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._unloading = set()

    def get(self, number=None, label=None):
        """The `Version` that answers: of a number, of a label, or the newest.

        Raises:
            ServingError: NOT_FOUND if it is not available, INVALID_ARGUMENT for an unknown label.
        """
        if label:
            number = self._labelled(label)
        if number is None:
            number = max(self.available(), default=None)
            if number is None:
                raise not_found(self.name)
        version = self._versions.get(number)
        if version is None or version.state != "AVAILABLE":
            raise not_found(self.name, number)
        return version

    def statuses(self, number=None, label=None):
        """The `Version`s that a status shows, newest first.

        Raises:
            ServingError: NOT_FOUND for a number that was never seen, INVALID_ARGUMENT for an
                unknown label.
        """
        if label:
            number = self._labelled(label)
        if number is None:
            return [self._versions[number] for number in sorted(self._versions, reverse=True)]
        if number not in self._versions:
            raise ServingError("NOT_FOUND", f"Could not find version {number} of model {self.name}")
        return [self._versions[number]]

    async def poll(self):
        """Looks at the folder once, and loads and unloads what follows from it.

        Raises:
            OSError, InputError: the folder cannot be read, and no version was ever found in it.
        """
        loop = asyncio.get_running_loop()
        try:
            self._read_config()
            folders = await loop.run_in_executor(self._threads, self._scan)
        except (InputError, OSError) as error:
            if not self._versions:
                raise
            # The folder may be missing for a moment: loaded versions keep serving.
            if one_line(error) != self._trouble:
                self._trouble = one_line(error)
                self._report(f"error: {self._trouble}")
            return
        self._trouble = None
        wanted = self._choose(folders)
        for number in sorted(wanted, reverse=True):
            files = await loop.run_in_executor(self._threads, _fingerprint, folders[number])
            version = self._versions.get(number)
            failed_before = version is not None and version.error and version.files == files
            if version is None or (version.state == "END" and not failed_before):
                await self._load(number, folders[number], files)
        self._point_labels()
        available = self.available()
        unwanted = sorted(available - wanted)
        if wanted and not available & wanted:
            unwanted = unwanted[:-1]  # One goes on while what is wanted cannot be loaded.
        for number in unwanted:
            self._versions[number].state = "UNLOADING"
            task = asyncio.create_task(self._unload(self._versions[number]))
            self._unloading.add(task)
            task.add_done_callback(self._unloading.discard)

    async def watch(self, seconds):
        """Polls forever, at an interval in seconds."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.poll()
            except Exception as error:  # Nothing that a folder has may end the watch over it.
                self._report(f"error: {from_exception(error).message}")

    def why_none(self):
        """Why no version is available, in one line."""
        failed = [version for version in self._versions.values() if version.error]
        if failed:
            version = max(failed, key=lambda version: version.number)
            return f"{self._dir}: version {version.number}: {version.error.message}"
        return f"{self._dir}: no version of the model, a folder whose name is a whole number"

    def close(self):
        """Loads nothing more; what is loaded ends with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def loading(self):
        """Whether a version is being loaded."""
        return any(version.state == "LOADING" for version in self._versions.values())

    def available(self):
        """The numbers of the versions that can answer, a set."""
        versions = self._versions.items()
        return {number for number, version in versions if version.state == "AVAILABLE"}

    def _labelled(self, label):
        if label not in self._labels:
            raise invalid(f"Unrecognized servable version label: {label}")
        return self._labels[label]

    def _read_config(self):
        """Reads `models.config` if it is there and has changed."""
        try:
            status = self._config_path.stat()
        except FileNotFoundError:
            return
        files = (status.st_mtime_ns, status.st_size)
        if files != self._config_files:
            self._config_files = files
            self._config = read_models(self._config_path, self._wanted_name)

    def _point_labels(self):
        # A label that is in use moves once the version that it is to name can answer.
        labels = {}
        for label, number in self._config.labels.items():
            ready = number in self.available() or label not in self._labels
            labels[label] = number if ready else self._labels[label]
        self._labels = labels

    def _scan(self):
        """Number -> folder, of all versions on disk."""
        folders = {}
        with os.scandir(self._dir) as entries:
            for entry in entries:
                if re.fullmatch("[0-9]{1,18}", entry.name) and entry.is_dir():
                    folders[int(entry.name)] = Path(entry.path)
        return folders

    def _choose(self, numbers):
        """The numbers of the existing versions that the policy selects."""
        policy = self._config.policy
        choice = policy.WhichOneof("policy_choice")
        if choice == "all":
            return set(numbers)
        if choice == "specific":
            return set(numbers) & set(policy.specific.versions)
        return set(sorted(numbers)[-max(policy.latest.num_versions, 1) :])

    async def _load(self, number, path, files):
        version = self._versions[number] = Version(number)
        version.state, version.files = "LOADING", files
        loop = asyncio.get_running_loop()
        try:
            version.servable = await loop.run_in_executor(self._threads, Servable, path)
        except Exception as error:
            version.state, version.error = "END", _load_error(error)
            self._report(
                f"error: {self.name} version {number} cannot be served: {version.error.message}"
            )
        else:
            version.state = "AVAILABLE"
            self._report(f"{self.name} version {number} is available")

    async def _unload(self, version):
        await version.unused()
        servable, version.servable = version.servable, None
        await asyncio.get_running_loop().run_in_executor(self._threads, servable.close)
        version.state = "END"
        self._report(f"{self.name} version {version.number} is unloaded")


def not_found(name, number=None):
    """The error of a model or a version that cannot answer."""
    request = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return ServingError("NOT_FOUND", f"Servable not found for request: {request}")


def _load_error(error):
    if isinstance(error, ServingError) or hasattr(error, "error_code"):
        return from_exception(error)
    code = "NOT_FOUND" if isinstance(error, FileNotFoundError) else "UNKNOWN"
    return ServingError(code, f"{type(error).__name__}: {one_line(error)}")


def _fingerprint(path):
    """What tells whether the files below a folder were changed."""
    files = []
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(os.path.join(folder, name))
                files.append((os.path.join(folder, name), status.st_mtime_ns, status.st_size))
    return tuple(sorted(files))
