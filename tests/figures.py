"""Count what the tests try, for the table in tests/README.md.

python tests/figures.py                              all tests but the notebooks
python tests/figures.py tests/test_images.py ...     these files
MGFF_EXAMPLES=300 MGFF_KILLS=200 python tests/figures.py tests/test_properties.py
tests/test_kills.py
"""

import hashlib
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


class Figures:
    """A plugin of pytest: examples of hypothesis, different files read, processes killed."""

    def __init__(self):
        self.outcomes, self.examples, self.kills = Counter(), Counter(), 0
        self.files = {
            "pictures": set(),
            "text files": set(),
            "archives": set(),
            "checkpoints": set(),
        }

    def pytest_sessionstart(self):
        from mgff_tutorial.datasets import tables
        from mgff_tutorial.datasets import unpack as archives
        from mgff_tutorial.support import checkpoints, images

        self.watch(images, "_check_file", "pictures")
        self.watch(tables, "read_text", "text files")
        self.watch(archives._open, "__init__", "archives", place=1)
        self.watch(checkpoints, "_existing", "checkpoints")
        kill = os.kill

        def counted(process, number):
            self.kills += number == signal.SIGKILL
            return kill(process, number)

        os.kill = counted

    def watch(self, owner, name, kind, place=0):
        """Note the content of every file that a function is called with."""
        function = getattr(owner, name)

        def noted(*args, **kwargs):
            try:
                if os.path.isfile(args[place]) and os.path.getsize(args[place]) < 2**28:
                    self.files[kind].add(
                        hashlib.blake2b(Path(args[place]).read_bytes(), digest_size=8).digest()
                    )
            except (OSError, ValueError):  # a name with a zero byte, a link to itself
                pass
            return function(*args, **kwargs)

        setattr(owner, name, noted)

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.skipped:
            self.outcomes[report.outcome] += 1

    def pytest_runtest_teardown(self, item):
        text = getattr(item, "hypothesis_statistics", "")
        self.examples[item.nodeid.partition("::")[0]] += sum(
            map(int, re.findall(r"(\d+) passing", text))
        )


def main():
    figures = Figures()
    code = pytest.main(
        ["-q", "-p", "no:cacheprovider", *(sys.argv[1:] or [str(TESTS)])], plugins=[figures]
    )
    print("\n" + ", ".join(f"{count} {outcome}" for outcome, count in figures.outcomes.items()))
    for file, count in sorted(figures.examples.items()):
        if count:
            print(f"{count:6} examples of hypothesis in {file}")
    print(f"{sum(figures.examples.values()):6} examples in all")
    for kind, seen in figures.files.items():
        print(f"{len(seen):6} different {kind} read")
    print(f"{figures.kills:6} processes killed")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
