"""Settings for all tests."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """What tests keep in the cache folder goes into a temporary one: no test sees another run's
    files.
    """
    before = os.environ.get("MGFF_CACHE")
    os.environ["MGFF_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("MGFF_CACHE") if before is None else os.environ.update(MGFF_CACHE=before)
