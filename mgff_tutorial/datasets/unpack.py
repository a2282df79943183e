"""Unpack a .tar, .tar.gz or .zip of a data set without letting it write anywhere else.

An archive is a program for writing files: a member may be called ``../../.bashrc``, be a link to
another folder, or grow to a thousand times its size. Everything is checked before the first byte is
written, and the folder gets the files only when all of them are there.
"""

import contextlib
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path

from ..support.errors import DataError
from ..support.files import as_path

MAX_FILES = 2_000_000
DAMAGE = (  # what the libraries raise for it; ValueError covers names that are no text
    *(EOFError, RuntimeError, ValueError, IndexError, OverflowError, struct.error),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError),
)


def unpack(archive, folder, max_bytes=None):
    """Unpack ``archive`` into ``folder``.

    Args:
        archive: a .zip file, or a .tar file with any compression of the standard library; told by
            its content.
        folder: made if it is not there. What it holds is kept; no file in it is replaced.
        max_bytes: refuse more than this, unpacked; by default what is free on the disk.

    Returns:
        list of Path, the files and folders at the top of the archive, now in ``folder``.

    Raises:
        DataError: no archive, damaged, too large, or a member that is not a plain file or folder
            inside the target; names the archive and the member. ``folder`` is then as before.
    """
    archive, folder = as_path(archive, "archive"), as_path(folder, "folder")
    if not archive.is_file():
        raise DataError(f"{archive} {'is not a file' if archive.exists() else 'does not exist'}.")
    above = [path for path in (folder, *folder.parents) if not path.exists()]
    names, moved = [], []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        limit = shutil.disk_usage(folder).free if max_bytes is None else max_bytes
        with _open(archive) as file:
            names = _check(archive, _members(archive, file), folder, limit)
            # The filter keeps out what `_check` refuses, and rights that a data set needs not; the
            # first releases of Python 3.10 and 3.11 have none.
            safe = isinstance(file, tarfile.TarFile) and hasattr(tarfile, "data_filter")
            with tempfile.TemporaryDirectory(dir=folder, prefix=".unpack-", suffix=".tmp") as half:
                file.extractall(half, **({"filter": "data"} if safe else {}))
                for name in names:
                    os.replace(Path(half) / name, folder / name)
                    moved.append(folder / name)
    except BaseException as error:
        for path in moved:  # none of them was there before
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in above:
            with contextlib.suppress(OSError):
                path.rmdir()
        if isinstance(error, (OSError, *DAMAGE)) and not isinstance(error, DataError):
            raise DataError(f"{archive} cannot be unpacked: {error}.") from error
        raise
    return [folder / name for name in names]


def _open(path):
    if zipfile.is_zipfile(path):
        return zipfile.ZipFile(path)
    if tarfile.is_tarfile(path):
        return tarfile.open(path)
    raise DataError(f"{path} is neither a .tar nor a .zip archive.")


def _members(path, file):
    """(name, size, what it is if neither a file nor a folder) of each member."""
    if isinstance(file, zipfile.ZipFile):
        for info in file.infolist():
            info.filename = info.filename.replace("\\", "/")
            is_link = stat.S_ISLNK(info.external_attr >> 16)
            yield info.filename, info.file_size, "link" if is_link else None
        return
    for info in file:
        other = "link" if info.issym() or info.islnk() else "device or pipe"
        info.name, info.mode = info.name.replace("\\", "/"), 0o755 if info.isdir() else 0o644
        yield info.name, info.size, None if info.isreg() or info.isdir() else other
    # tarfile takes a cut or damaged header for the end of the archive; the real end is a block of
    # zeros. Reading on to the end of the compressed stream verifies its checksum.
    file.fileobj.seek(file.offset)
    end = file.fileobj.read(tarfile.BLOCKSIZE)
    while file.fileobj.read(1 << 20):
        pass
    if end != bytes(tarfile.BLOCKSIZE):
        raise DataError(f"{path} is damaged or cut off after {len(file.getnames()):,} members.")


def _check(archive, members, folder, limit):
    """Names at the top of the archive, after every member was found harmless."""
    names, total = {}, 0
    for count, (name, size, other) in enumerate(members, 1):
        total += size
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if other:
            raise DataError(
                f"{archive}: member {name!r} is a {other}; only files and folders are unpacked."
            )
        if name[:1] == "/" or ".." in parts or "\0" in name or name[1:2] == ":":
            raise DataError(f"{archive}: member {name!r} would be written outside {folder}.")
        if total > limit:
            raise DataError(
                f"{archive} unpacks to more than {limit:,} bytes; nothing was unpacked."
            )
        if count > MAX_FILES:
            raise DataError(f"{archive} holds more than {MAX_FILES:,} files; nothing was unpacked.")
        names.update(dict.fromkeys(parts[:1]))
    there = [name for name in names if os.path.lexists(folder / name)]
    if there:
        raise DataError(
            f"{folder / there[0]} is there already; move it away, or unpack into another folder."
        )
    if not names:
        raise DataError(f"{archive} holds no files.")
    return list(names)
