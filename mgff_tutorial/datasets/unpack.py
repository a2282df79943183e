"""Unpack a .tar, .tar.gz or .zip of a data set without letting it write anywhere else.

An archive is a program for writing files: a member may be called ``../../.bashrc``, be a link to
another folder, or grow to a thousand times its size. Everything is checked before the first byte is
written, and the folder gets the files only when all of them are there.
"""

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path

from ..support.errors import DataError

MAX_FILES = 2_000_000
COPY = 1 << 20


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
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise DataError(f"{archive} {'is not a file' if archive.exists() else 'does not exist'}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        limit = shutil.disk_usage(folder).free if max_bytes is None else max_bytes
        with _open(archive) as members:
            names = _check(archive, members, folder, limit)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".unpack-", suffix=".tmp") as half:
                for member in members:
                    _write(archive, member, Path(half))
                for name in names:
                    os.replace(Path(half) / name, folder / name)
    except (
        OSError,
        EOFError,
        RuntimeError,
        NotImplementedError,
        tarfile.TarError,
        zipfile.BadZipFile,
    ) as error:
        raise DataError(f"{archive} cannot be unpacked: {error}.") from error
    except Exception as error:
        if type(error).__module__ in ("zlib", "lzma"):
            raise DataError(f"{archive} is damaged: {error}.") from error
        raise
    return [folder / name for name in names]


class _Member:
    """One entry of an archive of either kind: name, size, kind ("file", "folder" or what else) and
    a way to read it.
    """

    def __init__(self, name, size, kind, open):
        self.name, self.size, self.kind, self.open = name, size, kind, open
        self.parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


class _open:
    """The members of an archive; iterable more than once."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        if zipfile.is_zipfile(self.path):
            self.file = zipfile.ZipFile(self.path)
            self.entries = [_zip_member(self.file, info) for info in self.file.infolist()]
        elif tarfile.is_tarfile(self.path):
            self.file = tarfile.open(self.path)
            self.entries = [_tar_member(self.file, info) for info in self.file]
            _check_end(self.path, self.file)
        else:
            raise DataError(f"{self.path} is neither a .tar nor a .zip archive.")
        return self

    def __iter__(self):
        return iter(self.entries)

    def __exit__(self, *details):
        self.file.close()


def _check_end(path, file):
    """tarfile takes a cut or damaged header for the end of the archive; the real end is a block of
    zeros.
    """
    file.fileobj.seek(file.offset)
    end = file.fileobj.read(tarfile.BLOCKSIZE)
    while file.fileobj.read(
        COPY
    ):  # to the end of the compressed stream, whose checksum is verified on the way
        pass
    if end != bytes(tarfile.BLOCKSIZE):
        raise DataError(f"{path} is damaged or cut off after {len(file.getnames()):,} members.")


def _zip_member(file, info):
    mode = info.external_attr >> 16
    kind = "link" if stat.S_ISLNK(mode) else "folder" if info.is_dir() else "file"
    return _Member(info.filename, info.file_size, kind, lambda: file.open(info))


def _tar_member(file, info):
    kind = (
        "file"
        if info.isreg()
        else "folder"
        if info.isdir()
        else "link"
        if info.issym() or info.islnk()
        else "device or pipe"
    )
    return _Member(info.name, info.size, kind, lambda: file.extractfile(info))


def _check(archive, members, folder, limit):
    """Names at the top of the archive, after every member was found harmless."""
    names, total, count = {}, 0, 0
    for member in members:
        total, count = total + member.size, count + 1
        if member.kind not in ("file", "folder"):
            raise DataError(
                f"{archive}: member {member.name!r} is a {member.kind}; only files and folders "
                f"are unpacked."
            )
        first = member.name[:1]
        if (
            first in ("/", "\\")
            or ".." in member.parts
            or "\0" in member.name
            or member.name[1:2] == ":"
        ):
            raise DataError(f"{archive}: member {member.name!r} would be written outside {folder}.")
        if total > limit:
            raise DataError(
                f"{archive} unpacks to more than {limit:,} bytes; nothing was unpacked."
            )
        if count > MAX_FILES:
            raise DataError(f"{archive} holds more than {MAX_FILES:,} files; nothing was unpacked.")
        if member.parts:
            names[member.parts[0]] = True
    there = [name for name in names if os.path.lexists(folder / name)]
    if there:
        raise DataError(
            f"{folder / there[0]} is there already; move it away, or unpack into another folder."
        )
    if not names:
        raise DataError(f"{archive} holds no files.")
    return list(names)


def _write(archive, member, folder):
    path = folder.joinpath(*member.parts)
    if member.kind == "folder":
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with member.open() as source, open(path, "wb") as target:
        while block := source.read(COPY):
            written += len(block)
            if written > member.size:
                raise DataError(
                    f"{archive}: member {member.name!r} is larger than the archive says."
                )
            target.write(block)
    if written != member.size:
        raise DataError(
            f"{archive}: member {member.name!r} is cut off after {written:,} of "
            f"{member.size:,} bytes."
        )
