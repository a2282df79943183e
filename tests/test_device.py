"""The device is picked in one line; on Linux the CPU keeps freed memory."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from mgff_tutorial.support.device import pick_device
from mgff_tutorial.support.errors import InputError

FAULTS = """
import resource
import torch
from mgff_tutorial.support.device import pick_device

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 * 2**20)  # 64 MB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
given_back = faults()
pick_device("cpu")
print(given_back, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_cpu_keeps_the_memory_of_freed_tensors():
    plain = {"PATH": "/usr/bin:/bin"}  # without settings of the allocator from outside
    plain |= {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    found = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, env=plain
    )
    given_back, kept = map(int, found.stdout.split())
    assert kept < 0.2 * given_back


TINY = """
import torch
from mgff_tutorial.support.device import pick_device

pick_device("cpu")
torch.set_num_threads(2)
tiny = torch.full((2**20,), 1e-30) * 1e-10  # long enough that both threads take a part
print(int(tiny.count_nonzero()))
"""


@pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor keeps the smallest numbers"
)
def test_numbers_too_small_for_full_precision_are_zero_in_all_threads():
    found = subprocess.run([sys.executable, "-c", TINY], capture_output=True, text=True, check=True)
    assert int(found.stdout) == 0


@pytest.mark.parametrize("name", ["cuda:99", "tpu", 7, None])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match="device|Device"):
        pick_device(name)
