"""Writing files so that a kill, a crash or a full disk leaves the previous version intact."""

import contextlib
import errno
import json
import os
from pathlib import Path


def as_path(value, name="path"):
    """``value`` as a `Path`; a `TypeError` that names the argument if it is none."""
    try:
        return Path(value)
    except TypeError:
        raise TypeError(f"{name} must be a path, got {type(value).__name__}.") from None


@contextlib.contextmanager
def atomic_file(path, mode="wb"):
    """Open a temporary neighbour of ``path`` for writing; it takes the place of ``path`` only once
    complete.

    The data reach the disk (``fsync``) before the rename, so at every moment ``path`` is either the
    old file or the new one. On any error the temporary file is removed and ``path`` is untouched.

    Args:
        path: the file to write; its folder is made if need be.
        mode: ``"wb"`` or ``"w"`` (text is UTF-8).

    Raises:
        OSError: the disk is full, or the folder cannot be written; it names ``path``.
    """
    path = as_path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file to write", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with (
            errors_naming(path),
            open(temporary, mode, encoding=None if "b" in mode else "utf-8") as stream,
        ):
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def errors_naming(path):
    """Let the error of a write say which file it was: the system names none when the disk is full.

    `torch.save` reports a full disk as a `RuntimeError` about positions in the file; it becomes the
    `OSError` behind it.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        failure = error if isinstance(error, OSError) else error.__context__
        if not isinstance(failure, OSError):
            raise
        if failure.filename is None:
            failure.filename = str(path)
        if failure is error:
            raise
        raise failure from None


def _sync_folder(folder):
    """Make the rename itself durable where the system allows it (not on Windows)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except (OSError, PermissionError):
        return
    try:
        os.fsync(handle)
    except OSError:  # some network file systems refuse to sync a folder; the file itself is safe
        pass
    finally:
        os.close(handle)


def write_json(path, value):
    """Write ``value`` as indented JSON, atomically."""
    with atomic_file(path, "w") as stream:
        stream.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def remove_leftovers(folder):
    """Delete the temporary files that killed writers left in ``folder`` (not in its
    sub-folders).
    """
    for leftover in Path(folder).glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
