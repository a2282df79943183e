"""Ctrl-C and SIGTERM while a command starts and while it works: one line, no traceback, and the
exit code of the signal.
"""

import os
import signal
import subprocess
import sys
import time

import pytest
from trees import noise

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
START = "import sys; sys.argv[0] = '-m'; import mgff_tutorial; print('ready', flush=True); "


def stopped(command, number, wait):
    """(exit code, lines on stderr that are no progress bar) of a command that gets a signal."""
    child = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait(child)
    child.send_signal(number)
    error = child.communicate(timeout=120)[1]
    return child.returncode, [line for line in error.replace("\r", "\n").split("\n") if line]


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_while_python_still_imports(number, code):
    """From the first line of the package on, whatever is imported then."""
    slow = START + "import time; time.sleep(60)"
    found = stopped(["-c", slow], number, lambda child: child.stdout.readline())
    assert found == (code, ["stopped."])


@pytest.mark.parametrize(
    "number, code, delay",
    [
        (signal.SIGINT, 130, 0.1),
        (signal.SIGINT, 130, 1.5),
        (signal.SIGTERM, 143, 0.5),
        (signal.SIGTERM, 143, 3),
    ],
)
def test_a_command_at_any_moment(tmp_path, number, code, delay):
    for i in range(400):
        noise(tmp_path / f"class{i % 2}" / f"{i}.png", (64, 48), seed=i)
    run = "from mgff_tutorial.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = ["-c", START + run, "data", "check", tmp_path, "--workers", "1"]

    def wait(child):
        child.stdout.readline()
        time.sleep(delay)

    found, lines = stopped(command, number, wait)
    assert found in (0, code), lines
    assert found == 0 or [line for line in lines if "images" not in line] == ["stopped."]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_work_changes_nothing(number):
    """While Python shuts down it takes its handlers away, and the signal would kill."""
    late = "import os\nclass Late:\n    def __del__(self, kill=os.kill, me=os.getpid()):\n"
    late += f"        kill(me, {int(number)})\nkept = Late()\n"
    found = stopped(["-c", START + late], 0, lambda child: child.stdout.readline())
    assert found == (0, [])


def test_a_signal_that_the_shell_ignores_stays_ignored():
    """A job in the background of a script is not stopped by the script's Ctrl-C."""
    ask = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    ignore = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    out = subprocess.run([sys.executable, "-c", ignore + START + ask], capture_output=True)
    assert out.stdout.split() == [b"ready", b"True"]
