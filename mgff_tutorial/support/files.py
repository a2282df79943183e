"""Reading and writing files: a kill, a crash or a full disk leaves the previous version intact, and
nothing that is no regular file is ever replaced.
"""

import contextlib
import errno
import json
import os
import re
import secrets
from pathlib import Path

from .errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ENDING = ".mgff-tmp"  # of temporary files; nobody else's files are called so
MAX_BYTES = 64 * 2**20  # of a text file that is read as a whole
MAX_DEPTH = 50  # of nested values in JSON and YAML

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]')


def reached(point):
    """Nothing. The named points of a write or a loop, where tests put a kill."""


def as_path(value, name="path"):
    """``value`` as a `Path`; a `TypeError` that names the argument if it is none, an `InputError`
    if no file can have that name.
    """
    try:
        path = Path(value)
    except TypeError:
        raise TypeError(f"{name} must be a path, got {type(value).__name__}.") from None
    if not can_name_a_file(str(path)):
        raise InputError(f"{name}: no file can be called {str(path)!r}.")
    return path


def can_name_a_file(text):
    """Whether a file can have that name; bytes of another encoding stand as surrogates in it."""
    return bool(text) and not re.search("[\0\ud800-\udc7f\udd00-\udfff]", text)


def is_inside(name):
    """Whether a relative path stays in the folder that it belongs to."""
    parts = name.replace("\\", "/").split("/")
    return ".." not in parts and bool(parts[0]) and ":" not in parts[0] and "\0" not in name


def output_path(path, name="path"):
    """Where a file would really be written: ``path``, or what it links to. Ask before long work.

    Raises:
        InputError: something stands there that is no regular file, or cannot be changed.
        IsADirectoryError: a folder stands there. NotADirectoryError: it would lie in a file.
    """
    path = as_path(path, name)
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder, not a file to write", str(path))
        if os.path.lexists(target) and not target.is_file():
            raise InputError(
                f"{path} is a device, a pipe or a loop of links; expected a file or a new name."
            )
        if target.is_file() and not os.access(target, os.W_OK):
            raise InputError(f"{path} is write-protected; choose another name.")
        above = next(folder for folder in target.parents if folder.exists())
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{above} is a file, not a folder", str(path))
    return target


@contextlib.contextmanager
def atomic_file(path, mode="wb"):
    """Open a temporary neighbour of ``path`` for writing; it takes the place of ``path`` only once
    complete.

    The data reach the disk (``fsync``) before the rename, so at every moment ``path`` is either the
    old file or the new one. On any error the temporary file is removed and ``path`` is untouched. A
    link is followed: the file behind it is replaced, and the link stays.

    Args:
        path: the file to write; its folder is made if need be.
        mode: ``"wb"`` or ``"w"`` (text is UTF-8).

    Raises:
        OSError: the disk is full, or the folder cannot be written; it names ``path``.
        InputError: see `output_path`.
    """
    target = output_path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with errors_naming(path):
        temporary, handle = _temporary(target)
    try:
        with (
            errors_naming(path),
            open(handle, mode, encoding=None if "b" in mode else "utf-8") as stream,
        ):
            reached("opened")
            yield stream
            reached("written")
            stream.flush()
            os.fsync(stream.fileno())
            if target.exists():
                os.chmod(temporary, target.stat().st_mode & 0o7777)
            reached("synced")
            if fcntl is not None:  # while the lock is held
                os.replace(temporary, target)
        if fcntl is None:  # Windows renames closed files only
            os.replace(temporary, target)
        reached("replaced")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _temporary(target):
    """A file beside ``target``, empty and locked: its name, and an open handle.

    There is one name for each target, so that what a killed writer left is used again. A second
    writer waits for the first. Where the file system has no locks, each takes a name of its own.
    """
    path = target.with_name(f".{target.name[:100]}{ENDING}")
    while fcntl is not None:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                os.ftruncate(handle, 0)
                return path, handle
        except FileNotFoundError:  # the one before has finished, and it bears the target's name now
            pass
        except OSError:
            os.close(handle)
            break
        os.close(handle)
    path = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}{ENDING}")
    return path, os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)


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
    with contextlib.suppress(OSError):  # some network file systems refuse; the file itself is safe
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path, value):
    """Write ``value`` as indented JSON, atomically."""
    with atomic_file(path, "w") as stream:
        stream.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_text(path):
    """The text of a UTF-8 file.

    Raises:
        InputError: it cannot be read, is no UTF-8, or longer than `MAX_BYTES`.
    """
    path = as_path(path)
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise InputError(
                f"{path} has {path.stat().st_size:,} bytes; expected at most {MAX_BYTES:,}."
            )
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8.") from None


def parse_json(text, name):
    """The value of a JSON text: no NaN, no number beyond what Python reads, nested at most
    `MAX_DEPTH` deep.

    Args:
        text: str or UTF-8 bytes. name: what the text is, for the message.

    Raises:
        InputError: it is none.
    """
    try:
        text = text if isinstance(text, str) else bytes(text).decode("utf-8")
        if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not readable as JSON: {_reason(error)}.") from None


def _depth(text):
    depth = deepest = 0
    for match in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        deepest = max(deepest, depth)
    return deepest


def _refuse_constant(word):
    raise ValueError(f"{word} is no JSON number")


def _reason(error):
    """A parser's complaint, short and on one line."""
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__


def read_json(path):
    """The value of a JSON file; an `InputError` that names the file if it is none."""
    return parse_json(read_text(path), str(path))


def parse_yaml(text, name):
    """The value of a YAML text of plain values, without references, nested at most `MAX_DEPTH`
    deep.

    Raises:
        InputError: it is none; ``name`` says which text.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent, index):
            if self.check_event(yaml.AliasEvent):  # ten lines of them make gigabytes
                raise ValueError("references (*name) are not taken")
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} deep")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    try:
        return Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, AttributeError) as error:
        raise InputError(f"{name} is not readable as YAML: {_reason(error)}.") from None


def read_yaml(path):
    """The value of a YAML file; an `InputError` that names the file if it is none."""
    return parse_yaml(read_text(path), str(path))


def remove_leftovers(folder):
    """Delete the temporary files that killed writers of this package left in ``folder`` (not in its
    sub-folders).
    """
    for leftover in Path(folder).glob(f".*{ENDING}"):
        leftover.unlink(missing_ok=True)
