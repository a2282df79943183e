"""Marks for submissions: every answer runs in a process of its own, every comparison in this one.

A check is called here, with a stand-in for the student's function: calling it sends the arguments
to the submission's process and brings the values back (`remote`, `wire`). Nothing else comes back,
so neither a printed "correct" nor an object with an ``__eq__`` of its own earns a point. What the
process itself may do is told in `fence`.
"""

import contextlib
import io
import secrets
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from ..checks import core
from . import swap
from .processes import Starter
from .remote import Link
from .submissions import find_submissions, readable, sheets
from .wire import Stopped

CORRECT, WRONG, NOT_ANSWERED = core.CORRECT, core.WRONG, core.NOT_ANSWERED
ERROR, TIMED_OUT = "error", "timed out"
OUTCOMES = (CORRECT, WRONG, NOT_ANSWERED, ERROR, TIMED_OUT)
_START = 120  # seconds that Python and torch may take to start


@dataclass(frozen=True)
class Row:
    """The mark of one submission in one exercise.

    Attributes:
        submission: its name. exercise: number; empty if the submission as a whole has no mark.
        outcome: one of `OUTCOMES`. points: earned. message: why it isn't correct.
        out_of: points of a correct answer.
    """

    submission: str
    exercise: str
    outcome: str
    points: float
    message: str
    out_of: float


def grade(paths, sheet=None, seconds=60.0, memory=2048, seed=None, progress=None):
    """Grade submissions, one after the other.

    Args:
        paths: of notebooks, Python files, and folders of such.
        sheet: number of the notebook, such as ``"08"``; None: each submission's own.
        seconds: for one exercise. memory: megabytes that a submission may take.
        seed: of the inputs that the checks draw; None: a new one.
        progress: called with (rows so far, all rows) after each exercise.

    Returns:
        list of `Row`, by submission and exercise.
    """
    seed = secrets.randbits(31) if seed is None else seed
    known, found = sheets(), find_submissions(paths, sheet)
    total = sum(1 if s.problem else len(known[s.sheet]) for s in found)
    rows = []
    if any(s.sheet == "swap" for s in found):
        swap.prepare()  # before any submission's time runs
    with _Workers(memory) as workers:
        for submission in found:
            if submission.problem:
                rows.append(Row(submission.name, "", ERROR, 0, _one_line(submission.problem), 0))
                if progress:
                    progress(len(rows), total)
                continue
            others = [str(Path(p).resolve()) for p in paths]
            session = _Session(workers, submission, others, seconds)
            try:
                for check in known[submission.sheet]:
                    rows.append(session.grade(check, seed))
                    if progress:
                        progress(len(rows), total)
            finally:
                session.close()
    return rows


class _Session:
    """One submission's process, and a new one when that is gone."""

    def __init__(self, workers, submission, unreadable, seconds):
        self._workers, self._submission = workers, submission
        self._unreadable, self._seconds = unreadable, seconds
        self._worker = None

    def grade(self, check, seed):
        """The `Row` of one exercise."""
        about = check.exercise
        try:
            outcome, hint = self._judge(check, seed)
        except Stopped:
            outcome, hint = self._worker.epitaph(self._seconds)
        except Exception as error:  # the check did not foresee this answer; others are graded
            said = f"{type(error).__name__}: {error}"
            outcome, hint = ERROR, f"the check can't judge this answer ({said})."
        if not self._worker.alive:
            self.close()
        points = about.points if outcome == CORRECT else 0
        name = self._submission.name
        return Row(name, about.number, outcome, points, _one_line(hint), about.points)

    def _judge(self, check, seed):
        worker = self._ready()
        with worker.deadline(self._seconds):
            about = check.exercise
            reply, unpack = worker.link.request("answer", name=about.answer, check=check.__name__)
            if "missing" in reply:
                return NOT_ANSWERED, str(reply["missing"])
            if "broken" in reply:
                return ERROR, str(reply["broken"])
            worker.link.raised = False
            answer = unpack.unpack(reply["value"])
            with contextlib.redirect_stdout(io.StringIO()):
                outcome = check.judge(answer, seed=seed)
            if outcome.result == WRONG and worker.link.raised:
                why, _ = worker.link.request("why", name=about.answer)
                told = "".join(f" ({text})" for text in why["why"][:1])
                return ERROR, outcome.hint + told
            return outcome.result, outcome.hint

    def _ready(self):
        if self._worker is None:
            self._worker = self._workers.take()
            with self._worker.deadline(_START):
                self._worker.link.request(
                    "load",
                    sheet=self._submission.sheet,
                    cells=self._submission.cells,
                    unreadable=self._unreadable,
                )
        return self._worker

    def close(self):
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


class _Workers:
    """Starts processes, one ahead: the next one gets ready while this one is graded."""

    def __init__(self, memory):
        self._starter, self._spare = Starter(memory), None

    def take(self):
        worker = self._spare or _Worker(self._starter.start())
        self._spare = _Worker(self._starter.start())
        return worker

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._spare is not None:
            self._spare.kill()
        self._starter.__exit__(*error)


class _Worker:
    """A process that waits for a submission, and the connection to it."""

    def __init__(self, process):
        self._process, self._late, self.alive = process, False, True
        self.link = Link(process.reader, process.writer)

    @contextlib.contextmanager
    def deadline(self, seconds):
        """Kill the process if what runs inside takes longer: who waits for it gets `Stopped`."""

        def strike():
            self._late = True
            self._process.end()

        timer = threading.Timer(seconds, strike)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def epitaph(self, seconds):
        """(outcome, message) for a process that is gone."""
        self.alive = False
        self._process.end()
        code = self._process.code()
        if self._late:
            return TIMED_OUT, f"no result within {seconds:g} seconds."
        if code == -9:
            what = "answered nonsense or took too much memory, and was ended"
        elif code < 0:
            what = f"was ended by {signal.Signals(-code).name}"
        else:
            what = f"ended by itself (exit code {code})"
        return ERROR, f"the submission's process {what}."

    def kill(self):
        """End the process and remove its folder."""
        self._process.close()


def _one_line(text):
    """A message that fits into a cell of a table: one line, no control characters."""
    text = readable(" ".join(str(text).split()))
    return text if len(text) <= 500 else text[:497] + "..."
