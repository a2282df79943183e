"""What a submission may not do in its process. A fence against accidents and shortcuts, no
sandbox.

Imports of what an exercise asks for are refused, files outside of the process's own folder can't
be written, other submissions and the solutions can't be read, no process can be started and no
network used, and memory has a limit. Most of this stands inside the same Python process, where a
program that is written to break out can do so; `landlock` has the kernel do what it can. What a
mark rests on is elsewhere: results are compared in the parent process, which reads nothing but
values (see `wire`).
"""

import gc
import importlib
import os
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

from . import landlock

PACKAGE = Path(__file__).resolve().parent.parent

# What the exercises of a notebook ask for, so that its submissions can't import it. A module that
# imports one of these can't be imported either. Names in brackets stay.
CLOSED = {
    "00": {"mgff_tutorial.evaluation.metrics": ()},
    "01": {"mgff_tutorial.patches": ()},
    "02": {"mgff_tutorial.windows": ()},
    "03": {"mgff_tutorial.windows": ("window_partition", "window_reverse")},
    "04": {"mgff_tutorial.swin": (), "mgff_tutorial.pretrained": ()},
    "05": {"mgff_tutorial.align": ()},
    "06": {"mgff_tutorial.attention": (), "mgff_tutorial.windows": ()},
    "07": {"mgff_tutorial.attention": ()},
    "08": {"mgff_tutorial.graph": ()},
    "09": {"mgff_tutorial.mgff": (), "mgff_tutorial.backbones": ()},
    "10": {"mgff_tutorial.response": ()},
    "11": {
        **{"mgff_tutorial.cropper": (), "mgff_tutorial.evaluation.boxes": ()},
        **{"mgff_tutorial.experiments": (), "scipy.ndimage": (), "skimage": (), "cv2": ()},
    },
    "12": {"mgff_tutorial.two_stage": (), "mgff_tutorial.cropper": ()},
    "13": {"mgff_tutorial.datasets": (), "mgff_tutorial.support.images": ()},
    "14": {"mgff_tutorial.training": (), "mgff_tutorial.datasets": ()},
    "15": {"mgff_tutorial.experiments": ()},
    "16": {"mgff_tutorial.datasets": (), "mgff_tutorial.evaluation": ()},
    "swap": {
        **{"mgff_tutorial.graph": (), "mgff_tutorial.attention": ()},
        **{"mgff_tutorial.response": (), "mgff_tutorial.two_stage": ()},
    },
}
ALWAYS = ("mgff_tutorial.checks", "mgff_tutorial.teaching")


def close_imports(sheet):
    """From now on, what the exercises of a sheet ask for can't be imported."""
    closed = CLOSED.get(sheet, {})
    for name in [n for n in sys.modules if _inside(n, (*ALWAYS, *closed))]:
        del sys.modules[name]
    package = sys.modules["mgff_tutorial"]
    for name in ALWAYS:
        vars(package).pop(name.partition(".")[2], None)
    for name, kept in closed.items():
        if kept:
            _strip(importlib.import_module(name), kept, _sentence(name, sheet))
    gc.collect()  # classes that were taken away live until then
    sys.meta_path.insert(0, _Closed(sheet, [*ALWAYS, *(n for n in closed if not closed[n])]))


class _Closed(MetaPathFinder):
    def __init__(self, sheet, closed):
        self._sheet, self._closed = sheet, closed

    def find_spec(self, name, path=None, target=None):
        if _inside(name, self._closed):
            raise ImportError(_sentence(name, self._sheet))


def _strip(module, kept, sentence):
    """Leave a module with the public names of its own that are in ``kept``."""
    for public in [n for n in vars(module) if not n.startswith("_") and n not in kept]:
        if getattr(getattr(module, public), "__module__", None) == module.__name__:
            delattr(module, public)

    def missing(wanted):
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        raise ImportError(f"{wanted} of {sentence}")

    module.__getattr__ = missing


def _sentence(name, sheet):
    asked = f"it does what the exercises of notebook {sheet} ask for"
    why = "it holds the checks" if _inside(name, ALWAYS) else asked
    return f"{name} can't be imported in a submission: {why}."


def _inside(name, parents):
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


_NEVER = {
    "subprocess.Popen": "start a program",
    "os.system": "start a program",
    "os.exec": "start a program",
    "os.posix_spawn": "start a program",
    "os.spawn": "start a program",
    "os.startfile": "start a program",
    "os.fork": "start a process",
    "os.forkpty": "start a process",
    "os.kill": "send signals",
    "os.killpg": "send signals",
    "socket.connect": "use the network",
    "socket.bind": "use the network",
    "socket.getaddrinfo": "use the network",
    "socket.sendto": "use the network",
    "gc.get_objects": "look through the memory",
    "gc.get_referrers": "look through the memory",
    "gc.get_referents": "look through the memory",
}
_CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod")
_CHANGES += ("os.chown", "os.link", "os.symlink", "os.utime")
_LOOKS = ("os.listdir", "os.scandir")
_FILES = 100  # that may be opened for writing; each may have `_FILE_SIZE` bytes
_FILE_SIZE = 10 * 2**20


def close_everything_else(sheet, unreadable):
    """From now on, files are read and written as the module's head says; this can't be undone.

    Args:
        sheet: as in `close_imports`. unreadable: files and folders with other submissions.
    """
    own = os.path.realpath(os.getcwd())
    solutions = PACKAGE.parent / "notebooks" / "solutions"
    closed = [PACKAGE / "checks", PACKAGE / "teaching", solutions, *unreadable]
    for name in CLOSED.get(sheet, {}):
        place = PACKAGE.joinpath(*name.split(".")[1:])
        if name.startswith("mgff_tutorial"):
            closed += [place, place.with_suffix(".py")]
            # spellings of a module that has been compiled
            closed += (place.parent / "__pycache__").glob(f"{place.name}.*")
    closed = [os.path.realpath(path) for path in closed]
    closed += _other_processes()
    landlock.close(closed, own)
    _refuse_to_fork()
    installed = [os.path.realpath(place) for place in sys.path if os.path.isabs(place)]
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    written = 0

    def watch(event, details):
        nonlocal written
        if event == "open":
            path, mode, flags = details
            writes = set("wax+") & set(mode or "") or (isinstance(flags, int) and flags & writing)
            _watch_path(path, bool(writes), own, closed)
            written += bool(writes)
            if written > _FILES:
                raise PermissionError(f"a submission can write {_FILES} files only.")
        elif event == "import" and details[0] == "_posixsubprocess":
            raise PermissionError("a submission can't start a process.")
        elif event == "ctypes.dlopen":
            _watch_library(details[0], own, installed)
        elif event in _NEVER:
            raise PermissionError(f"a submission can't {_NEVER[event]}.")
        elif event in _CHANGES:
            for path in details[:2]:
                _watch_path(path, True, own, closed)
        elif event in _LOOKS:
            _watch_path(details[0], False, own, closed)

    sys.addaudithook(watch)


def _other_processes():
    """What Linux tells of the processes that run now: the grader's environment is in it."""
    processes = Path("/proc")
    if not (processes / "self").exists():
        return []
    return [str(p) for p in processes.iterdir() if p.name.isdigit() and p.name != str(os.getpid())]


def _refuse_to_fork():
    """Python's own way to start programs; it is the one that no hook sees."""

    def refuse(*arguments):
        raise PermissionError("a submission can't start a process.")

    for name in ("_posixsubprocess", "subprocess"):
        module = sys.modules.get(name)
        for function in ("fork_exec", "_fork_exec"):
            if hasattr(module, function):
                setattr(module, function, refuse)


def _watch_path(path, writes, own, closed):
    if not isinstance(path, str | bytes | os.PathLike):
        return
    real = os.path.realpath(os.fsdecode(path))
    if writes and real != os.devnull and not _under(real, own):
        raise PermissionError("a submission can write files in its own folder only.")
    if not _under(real, own) and any(_under(real, folder) for folder in closed):
        raise PermissionError(
            "a submission can't read solutions, checks, other submissions or other processes."
        )


def _watch_library(path, own, installed):
    """What is installed may be loaded: torchvision, and with it timm, could not be imported."""
    real = os.path.realpath(os.fsdecode(path)) if isinstance(path, str | bytes) else ""
    if _under(real, own) or not any(_under(real, place) for place in installed):
        raise PermissionError("a submission can't load libraries.")


def _under(path, folder):
    return path == folder or path.startswith(folder + os.sep)


def limit_memory(megabytes):
    """Let this process take so much more memory than it has now, where the system can tell.

    Returns:
        True if there is such a limit.
    """
    try:
        import resource
    except ImportError:  # Windows
        return False
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        now = pages * resource.getpagesize()
        limit = now + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        limited = True
    except (OSError, ValueError):  # macOS has neither
        limited = False
    # the last ends a process whose parent was killed
    others = {"RLIMIT_FSIZE": _FILE_SIZE, "RLIMIT_CORE": 0, "RLIMIT_CPU": 24 * 3600}
    for what, most in others.items():
        try:
            resource.setrlimit(getattr(resource, what), (most, most))
        except (OSError, ValueError):
            pass
    return limited
