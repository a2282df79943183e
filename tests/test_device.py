"""The device is picked in one line; on Linux the CPU keeps freed memory."""

import platform
import subprocess
import sys

import pytest

from mgff_tutorial.support.device import pick_device
from mgff_tutorial.support.errors import InputError

FAULTS = """
import resource, sys
import torch
from mgff_tutorial.support.device import pick_device

if sys.argv[1] == "kept":
    pick_device("cpu")
torch.set_num_threads(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(16 * 2**20)  # 64 MB, freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_cpu_keeps_the_memory_of_freed_tensors():
    def faults(mode):
        plain = {"PATH": "/usr/bin:/bin"}  # without settings of the allocator from outside
        run = subprocess.run(
            [sys.executable, "-c", FAULTS, mode],
            capture_output=True,
            text=True,
            check=True,
            env=plain,
        )
        return int(run.stdout)

    assert faults("kept") < 0.2 * faults("given back")


@pytest.mark.parametrize("name", ["cuda:99", "tpu", 7, None])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match="device|Device"):
        pick_device(name)
