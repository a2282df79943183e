"""Settings for ``pytest --nbval notebooks``: nothing is downloaded, and runs are repeatable."""

import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """With ``-n 2`` (pytest-xdist) all cells of a notebook go to one process, in their order.

    Whoever chooses a ``--dist`` keeps it.
    """
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "loadscope"
