"""One line that picks the device, and what keeps results repeatable on it."""

import random

import numpy as np
import torch

from .errors import InputError, check_number


def pick_device(name="auto"):
    """The fastest device at hand: CUDA, else Apple's MPS, else the CPU.

    Args:
        name: ``"auto"``, or a device that must be used (``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``).

    Raises:
        InputError: the named device is not available on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise InputError(f"Unknown device {name!r}; accepted: auto, cpu, cuda, cuda:N, mps.") from None
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False) or device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"Device {name!r} is not available here; use --device auto or cpu.")
    return device


def seed_everything(seed):
    """Seed Python, NumPy and torch (CPU and GPUs) with one whole number.

    Raises:
        InputError: ``seed`` is no whole number, or beyond the 64 bits that torch keeps.
    """
    check_number("seed", seed, -2**63, 2**64 - 1, whole=True)
    seed = int(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def exact_float32():
    """Switch TF32 off, so that float32 results on a GPU can be compared with those of a CPU."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
