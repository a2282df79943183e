"""Ctrl-C and SIGTERM: a command ends where nothing is lost, and says how to go on."""

import atexit
import contextlib
import os
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


def stop_quietly():
    """Until a command begins, nothing can be lost: Ctrl-C and SIGTERM end the process with one
    line, in the middle of an import too.
    """

    def stop(number, frame):
        os.write(2, b"stopped.\n")
        os._exit(SIGNALS[number])

    _on_signals(stop)
    atexit.register(_on_signals, signal.SIG_IGN)  # all is done, and Python takes the handlers away


def stop_with_word():
    """Let Ctrl-C and SIGTERM raise `Stopped`, so that files are closed and it is said how to go
    on.

    Returns:
        `StopRequest`, whose ``code`` tells that a signal came: in an import, libraries make other
        errors of `Stopped`.
    """
    request = StopRequest()

    def stop(number, frame):
        request.code = SIGNALS[number]
        raise Stopped("stopped.", request.code)

    _on_signals(stop)
    return request


def _on_signals(handler):
    """A no-op outside the main thread, which alone gets signals; one that is ignored (in the
    background of a shell) stays so.
    """
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handler)


def command_with(*more):
    """The command line that is running, with ``more`` arguments that it lacks."""
    given = [*sys.argv[1:], *(word for word in more if word not in sys.argv)]
    return shlex.join(["python", "-m", "mgff_tutorial", *given])
