"""What a command prints: nothing in it steers the terminal, and everything in it can be encoded."""

import contextlib
import sys

from .errors import printable

UP = "\x1b[A"  # a progress bar below another one goes up a line


class _Harmless:
    """A text stream that escapes control characters, but for the end of a line, tabs and what
    progress bars need.
    """

    def __init__(self, stream, kept):
        self._stream, self._kept = stream, kept

    def write(self, text):
        if not text.isprintable():
            text = "".join(
                letter if letter in self._kept else printable(letter)
                for letter in text.replace("\0", "\\x00").replace(UP, "\0")
            ).replace("\0", UP)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)


@contextlib.contextmanager
def harmless_output():
    """Whatever is printed inside passes a filter: names of files and classes, messages of other
    libraries.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Harmless(sys.stdout, "\n\t"), _Harmless(sys.stderr, "\n\t\r\0")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
