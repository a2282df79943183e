"""Processes for submissions: each new, in an empty folder, with a connection to this one.

Importing torch takes seconds, so where the system can fork, one process imports it once and every
submission gets a copy of that one. It never runs a submission itself. Elsewhere each submission
starts Python anew.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

from .fence import PACKAGE

CAN_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds")
_MODULE = f"{__package__}.worker"


class Starter:
    """Starts processes; to be used in a ``with`` statement.

    Args:
        memory: megabytes that a submission may take. fork: copy one process, where that is
            possible.
    """

    def __init__(self, memory, fork=CAN_FORK):
        self._memory, self._fork, self._nursery = memory, fork, None

    def start(self):
        """A `Process` that waits for a submission."""
        if not self._fork:
            return _Alone(self._memory)
        if self._nursery is None:
            self._nursery = _Nursery(self._memory)
        return self._nursery.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._nursery is not None:
            self._nursery.close()


class Process:
    """A process of one submission.

    Attributes:
        reader, writer: binary streams from and to it.
    """

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="submission-", ignore_cleanup_errors=True)
        self.reader = self.writer = None

    def end(self):
        """Kill it and what it started; it may be gone already."""
        raise NotImplementedError

    def code(self):
        """Its exit code once it has ended: negative for a signal, as in `subprocess`."""
        raise NotImplementedError

    def close(self):
        """End it, and remove its folder."""
        self.end()
        self.code()
        for stream in (self.reader, self.writer):
            with contextlib.suppress(OSError):
                stream.close()
        self._folder.cleanup()


class _Alone(Process):
    """A Python of its own."""

    def __init__(self, memory):
        super().__init__()
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            env=_environment(self._folder.name),
            start_new_session=os.name == "posix",
        )
        self.reader, self.writer = self._process.stdout, self._process.stdin

    def end(self):
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.name == "posix":
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()

    def code(self):
        return self._process.wait()


class _Nursery:
    """The process that has imported torch and forks."""

    def __init__(self, memory):
        self._folder = tempfile.TemporaryDirectory(prefix="nursery-", ignore_cleanup_errors=True)
        self._control, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(memory), "--nursery"],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                cwd=self._folder.name,
                env=_environment(self._folder.name),
                start_new_session=True,
            )
        self._replies = self._control.makefile("r", encoding="utf-8")

    def start(self):
        ours, theirs = socket.socketpair()
        process = _Forked(self, ours)
        with theirs:
            order = {"start": process.home}
            process.pid = self.tell(order, theirs.fileno())["pid"]
        return process

    def tell(self, order, *descriptors):
        """Send an order; returns the reply."""
        try:
            socket.send_fds(self._control, [json.dumps(order).encode() + b"\n"], descriptors)
            return json.loads(self._replies.readline())
        except (OSError, ValueError):
            self._errors.seek(0)
            said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
            raise RuntimeError(
                f"The process for submissions has ended: {said[-1] if said else 'no reason given'}."
            ) from None

    def close(self):
        self._control.close()
        self._replies.close()
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


class _Forked(Process):
    """A copy of the nursery."""

    def __init__(self, nursery, connection):
        super().__init__()
        self._nursery, self._code, self.pid = nursery, None, None
        self.home = self._folder.name
        with connection:
            self.reader, self.writer = connection.makefile("rb"), connection.makefile("wb")

    def end(self):
        # until `code` has asked for it, the nursery keeps the process's number from being used
        # again
        if self._code is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def code(self):
        if self._code is None:
            self._code = self._nursery.tell({"bury": self.pid})["code"]
        return self._code


def _environment(home):
    keep = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH", "TZ")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    search = [str(PACKAGE.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return environment | {
        **places(home),
        "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in search if p),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def places(home):
    """Environment variables that name folders to write into."""
    return {"HOME": home, "TMPDIR": home, "MPLCONFIGDIR": home}
