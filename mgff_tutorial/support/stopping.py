"""Ctrl-C and SIGTERM: a command ends where nothing is lost, and says how to go on."""

import contextlib
import shlex
import signal
import sys
import threading

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}  # and the exit code of each


class Stopped(KeyboardInterrupt):
    """Somebody asked to stop; ``str`` says what was kept and how to go on."""

    def __init__(self, text, code=130):
        super().__init__(text)
        self.code = code


class StopRequest:
    """``code``: exit code of the signal that came, or None."""

    code = None

    def note(self, number, frame):
        """The first signal is noted, a second one stops at once."""
        if self.code is not None:
            raise Stopped("stopped at once; what was saved last is kept.", SIGNALS[number])
        self.code = SIGNALS[number]


@contextlib.contextmanager
def stop_request():
    """A `StopRequest`: inside, the first Ctrl-C or SIGTERM is noted, so that a piece of work ends
    whole. Outside the main thread, which alone gets signals, it never asks.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.note) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def terminate_like_interrupt():
    """Let SIGTERM raise `Stopped`, so that files are closed and said as after Ctrl-C; a no-op
    outside the main thread.
    """

    def stop(number, frame):
        raise Stopped("stopped.", SIGNALS[number])

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)


def command_with(*more):
    """The command line that is running, with ``more`` arguments that it lacks."""
    given = [*sys.argv[1:], *(word for word in more if word not in sys.argv)]
    return shlex.join(["python", "-m", "mgff_tutorial", *given])
