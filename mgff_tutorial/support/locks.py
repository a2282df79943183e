"""One process at a time in a folder, on one machine and on a disk that several share."""

import contextlib
import json
import os
import platform
import secrets
import threading
import time
import warnings
import weakref
from pathlib import Path

from .errors import InputError

try:
    import fcntl
except ImportError:  # Windows: the heartbeat alone decides
    fcntl = None

BEAT = 5.0  # seconds between two signs of life
PATIENCE = 30.0  # seconds without one, after which the holder on another machine counts as dead

_held = weakref.WeakValueDictionary()  # of this process: path of the lock -> FolderLock


class FolderLock:
    """A folder belongs to one process until `release`, or until the process ends, however it ends.

    The file ``NAME`` in the folder says who holds it. On the holder's own machine the system's lock
    on that file tells a live holder from a dead one, at once. From another machine, where such
    locks may not reach, the file's count of signs of life is watched: if it stands still for
    `PATIENCE` seconds, the holder is gone; clocks are not compared. In one process the newest wins
    (a notebook begins again after an interrupt), and the older one fails at its next `check`.

    Args:
        folder: exists.

    Raises:
        InputError: another process holds it; says which.
    """

    NAME = "run.lock"

    def __init__(self, folder):
        self.path = Path(folder).resolve() / self.NAME
        own = _held.get(self.path)
        if own is not None:
            own.release()
        self._take()
        pulse = _Pulse(self.stream, self.token)
        self.release = weakref.finalize(self, _release, self.path, self.stream, pulse)
        _held[self.path] = self
        threading.Thread(target=pulse.beat, daemon=True).start()

    def check(self):
        """Raise an `InputError` if another process has taken the folder over."""
        if not self.release.alive or not _is_same(self.path, self.stream):
            raise InputError(
                f"{self.path.parent} was taken over by another process (or {self.NAME} was "
                "deleted); this one writes no more into it."
            )

    def _take(self):
        """Open and lock the file; that of a dead holder is moved away first."""
        self.token = secrets.token_hex(8)
        for _ in range(3):
            with contextlib.suppress(FileExistsError):
                flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
                self.stream = os.open(self.path, flags, 0o644)
                _seize(self.stream)
                _write(self.stream, self.token, 0)
                return
            seen = _read(self.path)
            if seen is None:  # released meanwhile
                continue
            self._refuse_if_alive(seen)
            aside = self.path.with_name(f".{self.NAME}.{self.token}.mgff-tmp")
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.path, aside)
                moved = _read(aside)
                if moved and moved.get("token") != seen.get("token"):  # someone was quicker
                    with contextlib.suppress(OSError):
                        os.link(aside, self.path)
                    aside.unlink()
                    self._refuse(moved)
                aside.unlink()
        self._refuse(_read(self.path) or {})

    def _refuse_if_alive(self, seen):
        if _is_locked(self.path):
            self._refuse(seen)
        if seen.get("host") == platform.node() and fcntl is not None:
            return
        warnings.warn(
            f"{self.path} is another machine's; watching for {PATIENCE:.0f} seconds whether "
            "that process still lives.",
            stacklevel=4,
        )
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            time.sleep(min(BEAT, PATIENCE) / 5)
            now = _read(self.path)
            if now is None or now == seen:
                continue
            self._refuse(now)

    def _refuse(self, seen):
        who = f"process {seen.get('pid', '?')} on {seen.get('host', 'an unknown machine')}"
        raise InputError(
            f"{self.path.parent} is in use by {who}; wait for it, or choose another folder."
        )


def _seize(stream):
    """Take the system's lock on an open file, where there are locks: False if another process that
    they reach has it.
    """
    if fcntl is not None:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            pass
    return True


def _is_locked(path):
    """Whether a process that this machine's locks reach holds the file."""
    try:
        stream = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _seize(stream)
    finally:
        os.close(stream)


def _write(stream, token, beats):
    who = {"host": platform.node(), "pid": os.getpid(), "token": token, "beats": beats}
    os.lseek(stream, 0, os.SEEK_SET)
    os.write(stream, (json.dumps(who) + "\n").encode())


def _read(path):
    """What the file says; {} if it is damaged, None if it is not there."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_same(path, stream):
    try:
        return os.path.samestat(os.stat(path), os.fstat(stream))
    except OSError:
        return False


class _Pulse:
    """Signs of life, written until the end; never into a file that got the number of a closed
    one.
    """

    def __init__(self, stream, token):
        self.stream, self.token = stream, token
        self.ended, self.guard = threading.Event(), threading.Lock()

    def beat(self):
        beats = 0
        while not self.ended.wait(BEAT):
            beats += 1
            # suppressed: a full disk, a file server that is away
            with self.guard, contextlib.suppress(OSError):
                if not self.ended.is_set():
                    _write(self.stream, self.token, beats)


def _release(path, stream, pulse):
    with pulse.guard, contextlib.suppress(OSError):
        pulse.ended.set()
        try:
            if _is_same(path, stream):
                os.unlink(path)
        finally:
            os.close(stream)


def _forget():
    """In the child of a fork: the folders are its parent's, and end with that."""
    for lock in list(_held.values()):
        lock.release.detach()
        os.close(lock.stream)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def hold_file(stream, path):
    """Hold the system's lock on an open file until it is closed, where the file system has locks.

    Raises:
        InputError: another process holds it.
    """
    if not _seize(stream):
        raise InputError(f"{path} is being written by another process.")
