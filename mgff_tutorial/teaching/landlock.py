"""The kernel's part of the fence, where there is one: Landlock, on Linux from 5.13 on.

What a process gives up here it can't take back, and code in C is bound as well as Python: it can't
read some files, write anywhere but in its own folder, or start programs; nor connect by TCP (from
6.7 on), nor send signals to the processes outside (from 6.12 on).
"""

import ctypes
import os
import sys

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # system calls, the same on all processors
_NO_NEW_PRIVILEGES = 38  # of prctl
_EXECUTE, _WRITE, _READ, _LIST = (1 << bit for bit in range(4))
_TRUNCATE, _DEVICE = 1 << 14, 1 << 15
_KNOWN = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # version -> rights to files that it knows


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "outside")]


class _Rule(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("rights", ctypes.c_uint64), ("place", ctypes.c_int32)]


def version():
    """The kernel's version of Landlock; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    found = _call(_CREATE, None, 0, 1)
    return max(found, 0)


def close(unreadable, own):
    """Bind this process, for good: it can't read what is ``unreadable``, nor write outside ``own``.

    Names in folders can still be listed.

    Args:
        unreadable: real paths of files and folders; those inside of ``own`` stay readable.
        own: real path of a folder.

    Returns:
        True if the kernel does so.
    """
    known = version()
    if not known:
        return False
    every = (1 << _KNOWN.get(known, 16)) - 1
    wanted = _Ruleset(every & ~_LIST, 3 if known >= 4 else 0, 3 if known >= 6 else 0)
    rules = _call(_CREATE, ctypes.byref(wanted), ctypes.sizeof(wanted), 0)
    if rules < 0:
        return False
    try:
        _allow(rules, own, every & ~_LIST & ~_EXECUTE)
        _allow(rules, os.devnull, (_READ | _WRITE | _TRUNCATE | _DEVICE) & every)
        for path in _around("/", [path for path in unreadable if os.path.exists(path)]):
            _allow(rules, path, _READ)
        _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return _call(_RESTRICT, rules, 0) == 0
    finally:
        os.close(rules)


def _around(folder, closed):
    """The largest files and folders below ``folder`` that hold nothing of what is closed."""
    inside = [path for path in closed if path.startswith(folder.rstrip("/") + "/")]
    if folder in closed:
        return
    if not inside:
        yield folder
        return
    try:
        with os.scandir(folder) as entries:
            below = [entry.path for entry in entries if not entry.is_symlink()]
    except OSError:
        return
    for path in below:
        yield from _around(path, inside)


def _allow(rules, path, rights):
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # gone, or not ours
        return
    try:
        _call(_ADD, rules, 1, ctypes.byref(_Rule(rights, place)), 0)
    finally:
        os.close(place)


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _call(number, *arguments):
    arguments = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _libc().syscall(ctypes.c_long(number), *arguments)
