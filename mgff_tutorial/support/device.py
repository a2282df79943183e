"""One line that picks the device, and what keeps results repeatable on it."""

import ctypes
import platform
import random
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch

from .errors import InputError, check_number


def pick_device(name="auto"):
    """The fastest device at hand: CUDA, else Apple's MPS, else the CPU. The process is prepared for
    computing on a CPU: see `keep_freed_memory`, and numbers below 1.2e-38 count as zero. (A sharp
    softmax is full of those; in a trained MGFF they make a training step take two to four times as
    long, since processors treat each one apart. Threads inherit the setting, so ask before any
    work. ``torch.set_flush_denormal(False)`` undoes it, which `hypothesis` asks for.)

    Args:
        name: ``"auto"``, or a device that must be used (``"cpu"``, ``"cuda"``, ``"cuda:1"``,
            ``"mps"``).

    Raises:
        InputError: the named device is not available on this machine.
    """
    keep_freed_memory()
    torch.set_flush_denormal(True)
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise InputError(
            f"Unknown device {name!r}; accepted: auto, cpu, cuda, cuda:N, mps."
        ) from None
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if (
        not available.get(device.type, False)
        or device.type == "cuda"
        and (device.index or 0) >= torch.cuda.device_count()
    ):
        raise InputError(f"Device {name!r} is not available here; use --device auto or cpu.")
    return device


@cache
def keep_freed_memory():
    """Ask the C library to keep the memory of freed tensors for the next ones; changes no result.

    Linux's usual allocator gives every block above 32 MB back to the system at once and fetches it
    anew, page by page, in the next step of a training loop. On a CPU that can take as long as the
    arithmetic. The process keeps its largest size until it ends. Elsewhere, and with other
    allocators, nothing happens.

    Returns:
        Whether the allocator took the settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc; musl has none
    trim_threshold, mmap_threshold = -1, -3  # names of the options in malloc.h
    return bool(
        set_option and set_option(mmap_threshold, 2**30) and set_option(trim_threshold, 2**31 - 1)
    )


def seed_everything(seed):
    """Seed Python, NumPy and torch (CPU and GPUs) with one whole number.

    Raises:
        InputError: ``seed`` is no whole number, or beyond the 64 bits that torch keeps.
    """
    check_number("seed", seed, -(2**63), 2**64 - 1, whole=True)
    seed = int(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_states():
    """Random states of torch, NumPy and Python."""
    return [torch.get_rng_state(), list(np.random.get_state()), random.getstate()]


def set_random_states(states):
    """Go back to what `random_states` gave."""
    torch.set_rng_state(states[0])
    np.random.set_state(tuple(states[1]))
    random.setstate(states[2])


@contextmanager
def random_states_restored():
    """Whatever is drawn inside, the global random states are as before afterwards."""
    states = random_states()
    try:
        yield
    finally:
        set_random_states(states)


def exact_float32():
    """Switch TF32 off, so that float32 results on a GPU can be compared with those of a CPU."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def processor():
    """The processor and the widest instructions that torch uses on it: no figure is without."""
    name = platform.processor() or platform.machine()
    if sys.platform == "linux":  # which names the architecture alone above
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = named[0] if named else name
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
