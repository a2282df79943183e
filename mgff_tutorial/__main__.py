"""``python -m mgff_tutorial COMMAND``: the system without a notebook."""

import argparse
import contextlib
import os
import sys
import warnings
from importlib import import_module

COMMANDS = {  # one line each for --help; what a command needs is imported when it is used
    "train": "train a model by a recipe: paper, practical, nano or your own",
    "evaluate": "accuracy of a checkpoint, in one stage or two",
    "predict": "species of an image or of a folder of images",
    "ablate": "measure what each part of the system contributes",
    "benchmark": "speed of the models on this machine",
    "render": "draw SketchBirds: the data set, one picture, or a sheet",
    "data": "check a data set, or unpack its archive safely",
    "grade": "marks for the exercises of students",
    "release": "a student edition and a teacher's edition of the notebooks",
}
UP = "\x1b[A"  # a progress bar below another one goes up a line


def main(arguments=None):
    """Run one command.

    Args:
        arguments: list of text; ``sys.argv[1:]`` if None.

    Returns:
        Exit code: 0 done, 1 done but not all is well, 2 the input cannot be used, 3 a defect of
            this program, 130 stopped with Ctrl-C, 143 with SIGTERM.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        parser = build_parser(arguments)
        args, unknown = parser.parse_known_args(arguments)
        if unknown:
            getattr(args, "refuse", parser.error)(f"unrecognized arguments: {' '.join(unknown)}")
        if not hasattr(args, "run"):
            parser.print_help()
            return 2
        from .support.stopping import Stopped, stop_with_word

        asked = stop_with_word()
        with _harmless_output(), warnings.catch_warnings():
            warnings.showwarning = _note
            try:
                return args.run(args) or 0
            except Exception as error:
                if asked.code is not None:
                    raise Stopped("stopped.", asked.code) from error
                return _failed(error)
    except BrokenPipeError:  # the reader of a pipe (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped.", file=sys.stderr)
        return getattr(stop, "code", 130)


def _note(message, category, filename, lineno, file=None, line=None):
    """A warning as one line, without the place in our code where it was raised."""
    print(f"note: {' '.join(str(message).split())}", file=sys.stderr)


def _failed(error):
    """One sentence for what the user can mend; for a defect, where its traceback lies."""
    from .support.errors import InputError

    if isinstance(error, BrokenPipeError):
        raise error
    expected = isinstance(error, (InputError, OSError))
    if expected or type(error).__name__ in ("TrainingStopped", "OutOfMemoryError"):
        text = " ".join(str(error).split())
        text = text if len(text) <= 1000 else f"{text[:1000]}..."
        print(f"error: {text or type(error).__name__}", file=sys.stderr)
        return 2
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        print("error: there is not enough memory for this; take smaller values.", file=sys.stderr)
        return 2
    print(
        f"error: this is a defect of mgff_tutorial, and not your fault ({type(error).__name__}: "
        f"{' '.join(str(error).split())[:200]}). {_keep_traceback(error)}",
        file=sys.stderr,
    )
    return 3


def _keep_traceback(error):
    """A sentence that says where the traceback was written."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    command = " ".join(["python -m mgff_tutorial", *map(ascii, sys.argv[1:])])
    try:
        handle, path = tempfile.mkstemp(prefix="mgff-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(f"{command}\n\n{text}")
    except OSError as failure:
        return f"Its traceback could not be written ({failure}):\n{text}"
    return f"Its traceback is in {path}; please report it together with that file."


class _Harmless:
    """A text stream that escapes control characters, but for the end of a line, tabs and what
    progress bars need.
    """

    def __init__(self, stream, kept):
        self._stream, self._kept = stream, kept

    def write(self, text):
        from .support.errors import printable

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
def _harmless_output():
    """Whatever is printed inside passes a filter: names of files and classes, messages of other
    libraries.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Harmless(sys.stdout, "\n\t"), _Harmless(sys.stderr, "\n\t\r\0")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """One sentence. A shell's pattern brings in file names, and these may try to steer the
        terminal.
        """
        from .support.errors import printable

        self.exit(2, f"error: {printable(message)}; see {self.prog} --help\n")


def build_parser(arguments):
    """The parser; only the command that ``arguments`` name is imported, so that ``--help`` is
    quick.
    """
    parser = _Parser(
        prog="python -m mgff_tutorial",
        description="Two-stage fine-grained image classification (MGFF).",
        epilog="Each command has its own --help.",
    )
    from . import __version__
    from .commands import add_command

    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    named = next((word for word in arguments if not word.startswith("-")), None)
    for name, line in COMMANDS.items():
        if name == named:
            module = import_module(f".commands.{name}", __package__)
            add_command(commands, name, **module.PARSER)
        else:
            commands.add_parser(name, help=line)
    return parser


if __name__ == "__main__":
    sys.exit(main())
