"""Settings for all tests."""

import os
import signal
import sys

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background ignores it,
    signal.signal(signal.SIGINT, signal.default_int_handler)  # and so would every command started


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """What tests keep in the cache folder goes into a temporary one: no test sees another run's
    files.
    """
    before = os.environ.get("MGFF_CACHE")
    os.environ["MGFF_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("MGFF_CACHE") if before is None else os.environ.update(MGFF_CACHE=before)


@pytest.fixture(autouse=True)
def smallest_numbers():
    """A test that picks a device leaves the smallest numbers at zero, which hypothesis refuses."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def starter():
    """One process that has imported torch, for all tests that grade."""
    from mgff_tutorial.teaching.processes import Starter

    with Starter(2048) as made:
        yield made


@pytest.fixture(scope="module")
def one_nursery(starter):
    """Grading takes its processes from `starter`."""
    from mgff_tutorial.teaching import grading

    class Shared:
        def __init__(self, memory):
            self.start = starter.start

        def __exit__(self, *error):
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grading, "Starter", Shared)
        yield
