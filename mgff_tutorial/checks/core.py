"""What every check of an exercise is built from: unanswered, wrong (with a reason), or correct.

A check is a function with the reader's answer as its first argument, decorated with `exercise`::

    @exercise("Exercise 8.2")
    def check_graph_conv(graph_conv):
        x = torch.randn(2, 4, 3, generator=draw())          # new inputs at every call
        got = ask(graph_conv, x)
        expect_close("A X W", got, expected, hint="...")

It says what is wrong by `expect` and its relatives; everything else is done here. ``check(answer)``
prints "correct" or "not answered yet", raises `CheckFailed` for a wrong answer and returns an
`Outcome`. ``check.judge(answer)`` returns the same outcome, prints nothing and raises nothing.
"""

import contextlib
import contextvars
import functools
import importlib
import inspect
import linecache
import os
import secrets
import sys
import traceback
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..support.device import random_states, random_states_restored
from .values import describe, holds_tensor, plain, same, snapshot

CORRECT, WRONG, NOT_ANSWERED = "correct", "wrong", "not answered"
_TORCH = str(Path(torch.__file__).parent)
# the package, Python's own library, and what is installed: no line of the reader's
_NOT_THEIRS = (str(Path(__file__).parents[1]), str(Path(os.__file__).parent), "<frozen", _TORCH)


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        exercise: its number, such as ``"8.2"``.
        result: ``"correct"``, ``"wrong"`` or ``"not answered"``.
        points: earned. out_of: that a correct answer earns.
        hint: why the answer is not correct; empty if it is.
        raised: the answer is wrong because it raised an error.
    """

    exercise: str
    result: str
    points: float
    out_of: float
    hint: str = ""
    raised: bool = False

    def _ipython_display_(self):
        """Nothing: a cell that ends in a check has said all in its one printed line."""


@dataclass(frozen=True)
class Exercise:
    """What an exercise is called, in a check's attribute ``exercise``.

    Attributes:
        number: such as ``"8.2"``. sheet: the notebook's number, such as ``"08"``.
        answer: the name that the notebook gives to the reader's answer. points: of a correct one.
    """

    number: str
    answer: str
    points: float

    @property
    def sheet(self):
        return self.number.partition(".")[0].zfill(2)


class CheckFailed(AssertionError):
    """The answer is wrong; the message names what was expected, what came, and the likely
    mistake. ``outcome`` holds the `Outcome` once the check is over.
    """

    outcome = None

    def _render_traceback_(self):
        # IPython shows this instead of a traceback: the reader needs the sentence, not our stack.
        return [str(self)]


class AnswerRaised(CheckFailed):
    """The answer is wrong because it raised an error, or left by ``exit``."""


class _Unanswered(Exception):
    """The exercise has not been answered; the message says by what it is seen."""


@dataclass
class _Running:
    """The check that is running: its generators, and what the answer gave last."""

    torch_draw: torch.Generator
    numpy_draw: np.random.Generator
    last: object = None
    asked: bool = False


_running = contextvars.ContextVar("running check")
_without = contextvars.ContextVar("names to do without", default=())


def exercise(label, answer=None, points=1):
    """Decorate a check: an unanswered exercise prints a reminder and passes, a right one prints
    "correct".

    The check may be called with a value or with the reader's function. ``None``, ``...`` and a
    function that raises ``NotImplementedError`` (or, inside the check, returns ``None`` through
    `ask`) count as unanswered. The decorated check takes two more arguments:

    - ``strict``: raise `CheckFailed` on "not answered" too. If None, the environment variable
      ``MGFF_STRICT`` decides (unset, empty and 0 mean no).
    - ``seed``: of the inputs that the check draws. If None, every call draws others.

    The check leaves the global random states as they were.

    Args:
        label: what the reader sees, such as ``"Exercise 3.1"``.
        answer: name of the reader's function in the notebook; if None, that of the check's first
            parameter.
        points: of a correct answer.
    """

    def decorate(check):
        named = answer or next(iter(inspect.signature(check).parameters))
        about = Exercise(label.split()[-1], named, points)

        def judge(given, *args, seed=None, **kwargs):
            """The `Outcome`; prints nothing of its own."""
            try:
                with random_states_restored(), _draws(label, seed):
                    _run(check, given, args, kwargs)
            except _Unanswered as unanswered:
                return Outcome(about.number, NOT_ANSWERED, 0, points, str(unanswered))
            except CheckFailed as failure:
                raised = isinstance(failure, AnswerRaised)
                return Outcome(about.number, WRONG, 0, points, str(failure), raised)
            return Outcome(about.number, CORRECT, points, points)

        @functools.wraps(check)
        def run(given, *args, strict=None, seed=None, **kwargs):
            outcome = judge(given, *args, seed=seed, **kwargs)
            if strict is None:
                strict = os.environ.get("MGFF_STRICT", "") not in ("", "0")
            if outcome.result == CORRECT:
                print(f"{label}: correct.")
            elif outcome.result == NOT_ANSWERED and not strict:
                print(f"{label}: not answered yet.")
            else:
                unanswered = outcome.result == NOT_ANSWERED
                failure = CheckFailed(f"{label}: {'not answered.' if unanswered else outcome.hint}")
                failure.outcome = outcome
                raise failure from None
            return outcome

        run.judge, run.exercise = judge, about
        return run

    return decorate


def _run(check, given, args, kwargs):
    """The check itself; whatever happens becomes nothing, `_Unanswered` or `CheckFailed`."""
    try:
        if given is None or given is Ellipsis:
            raise _Unanswered("there is no answer.")
        check(given, *args, **kwargs)
    except (CheckFailed, _Unanswered):
        raise
    except NotImplementedError as error:
        raise _unanswered_or_raised(error) from None
    except SystemExit:
        raise AnswerRaised(_LEFT) from None
    except Exception as error:
        # The answer has a form that the check did not foresee: the reader gets a sentence about
        # it, never an error from inside the check.
        running = _running.get()
        if not running.asked and callable(given):
            raise  # the answer was never called: a defect of the check
        what = describe(running.last if running.asked else given)
        raise CheckFailed(
            f"your answer gives {what}, which can't be compared with what is expected; look at "
            "its type and its shape."
        ) from error


_LEFT = "your function leaves the program (exit or quit); let it return its result."


def ask(function, *args, **kwargs):
    """Call the reader's function; ``None`` or ``...`` counts as unanswered, an exception becomes a
    `CheckFailed`, and so does an argument that was changed in place.

    Returns:
        The result in plain types: NumPy numbers as Python's, tensors of floating point as float32.
        Where an argument is a tensor, arrays and nested lists of numbers come as tensors too.
    """
    before = snapshot([args, kwargs])
    result = ask_in_place(function, *args, **kwargs)
    expect(
        same(before, [args, kwargs]),
        "your function changes an argument that it was given; work on a copy.",
    )
    return result


def ask_in_place(function, *args, **kwargs):
    """`ask` for an exercise in which the function may change its arguments."""
    running = _running.get(None)
    noted = _Noted(sys.stdout)
    try:
        with contextlib.redirect_stdout(noted), removed(names_to_do_without(), function):
            result = function(*args, **kwargs)
    except (CheckFailed, _Unanswered):
        raise
    except NotImplementedError as error:
        raise _unanswered_or_raised(error) from None
    except SystemExit:
        raise AnswerRaised(_LEFT) from None
    except Exception as error:
        raise AnswerRaised(what_was_raised(error)) from error
    if running is not None:
        running.last, running.asked = result, True
    if result is None and noted.wrote:
        raise CheckFailed("your function prints something and returns None; use return, not print.")
    if result is None or result is Ellipsis:
        raise _Unanswered(f"it returns {result}.")
    return plain(result, holds_tensor([args, kwargs]))


def ask_tensor(what, function, *args, **kwargs):
    """`ask` for a function whose result must be a tensor: a list or an array of numbers is taken
    for one.

    Args:
        what: what the result is, for the message.
    """
    result = ask(function, *args, **kwargs)
    if isinstance(result, torch.Tensor):
        return result
    try:
        return plain(torch.as_tensor(np.asarray(result)), False)
    except (TypeError, ValueError, RuntimeError):
        raise CheckFailed(f"{what}: expected a tensor, got {describe(result)}.") from None


@contextlib.contextmanager
def without(*names):
    """Inside, an answer that calls one of these functions is told to do without.

    Args:
        names: full names, such as ``"torch.nn.functional.conv2d"``.
    """
    token = _without.set((*_without.get(), *names))
    try:
        yield
    finally:
        _without.reset(token)


def names_to_do_without():
    """The names given to `without` at this moment."""
    return _without.get()


@contextlib.contextmanager
def removed(names, function):
    """Replace the functions of these names while ``function`` runs, also where its module imported
    them by name.
    """
    space = getattr(inspect.unwrap(function), "__globals__", {}) if callable(function) else {}
    with contextlib.ExitStack() as undo:
        for name in names:
            path, _, last = name.rpartition(".")
            try:
                owner = importlib.import_module(path)  # a module: vars() of a class is read-only
            except ImportError:
                continue  # then the answer can't have it either
            original = getattr(owner, last)

            def refuse(*args, _name=last, **kwargs):
                raise CheckFailed(
                    f"your function uses {_name}; this exercise asks you to do without."
                )

            for place in (vars(owner), space):
                for key in [k for k, v in place.items() if v is original]:
                    undo.callback(place.__setitem__, key, original)
                    place[key] = refuse
        yield


def last_result():
    """What the answer gave last, as it gave it."""
    return _running.get().last


def draw():
    """The `torch.Generator` from which the running check draws its inputs.

    Every call of a check draws others, unless it is given a ``seed``.
    """
    return _running.get().torch_draw


def draw_numpy():
    """The `numpy.random.Generator` from which the running check draws its inputs, as in `draw`."""
    return _running.get().numpy_draw


@contextlib.contextmanager
def random_state_untouched():
    """Fail if what runs inside changes a global random state (of torch, NumPy or Python)."""
    before = random_states()
    yield
    expect(
        same_states(before, random_states()),
        "the global random state was changed: draw from a generator of your own, such as "
        "torch.Generator().manual_seed(seed) or np.random.default_rng(seed).",
    )


def expect(condition, message):
    """Fail with ``message`` unless ``condition`` holds."""
    if not condition:
        raise CheckFailed(message)


def expect_equal(what, got, expected, hint=""):
    """Fail unless ``got == expected``; for numbers, strings, tuples and shapes."""
    if isinstance(got, torch.Tensor) and got.numel() == 1:
        got = got.item()
    if isinstance(got, torch.Size):
        got = tuple(got)
    equal = got == expected
    if isinstance(equal, torch.Tensor | np.ndarray):  # an array where a number was asked for
        raise CheckFailed(f"{what}: expected {expected}, got {describe(got)}. {hint}".rstrip())
    expect(equal, f"{what}: expected {expected}, got {got}. {hint}".rstrip())


def expect_shape(what, got, expected, hint=""):
    """Fail unless ``got`` is a tensor of shape ``expected``."""
    expect(
        isinstance(got, torch.Tensor),
        f"{what}: expected a tensor, got {type(got).__name__}. {hint}".rstrip(),
    )
    expect(
        tuple(got.shape) == tuple(expected),
        f"{what}: expected shape {tuple(expected)}, got {tuple(got.shape)}. {hint}".rstrip(),
    )


def expect_close(what, got, expected, tolerance=1e-5, hint=""):
    """Fail unless the tensors agree in shape and to ``tolerance``; says where they differ most."""
    try:
        got = torch.as_tensor(got).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise CheckFailed(
            f"{what}: expected numbers, got {describe(got)}. {hint}".rstrip()
        ) from None
    expected = torch.as_tensor(expected).detach().cpu()
    expect_shape(what, got, expected.shape, hint)
    expect(not got.is_complex(), f"{what}: expected real numbers, got complex ones. {hint}")
    difference = (got.double() - expected.double()).abs()
    worst = difference.max().item() if difference.numel() else 0.0
    if not worst <= tolerance:  # also catches NaN
        place = tuple(
            int(i)
            for i in torch.unravel_index(difference.nan_to_num(float("inf")).argmax(), got.shape)
        )
        raise CheckFailed(
            f"{what}: differs by up to {worst:.3g}, most at index {place}: expected "
            f"{expected[place].item():.4g}, got {got[place].item():.4g}. {hint}".rstrip()
        )


# ---- what the answer does: prints, errors, exits ----


class _Noted:
    """Standard output that notes whether anything was written."""

    def __init__(self, stream):
        self._stream, self.wrote = stream, False

    def write(self, text):
        self.wrote = self.wrote or bool(text.strip())
        return self._stream.write(text)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def is_unanswered(error):
    """Does this ``NotImplementedError`` come from the reader? One of torch is an error like
    others.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    from_torch = frames and frames[-1].f_code.co_filename.startswith(_TORCH)
    return not from_torch and "aten::" not in str(error)


def _unanswered_or_raised(error):
    if is_unanswered(error):
        return _Unanswered("it raises NotImplementedError.")
    return AnswerRaised(what_was_raised(error))


def what_was_raised(error):
    """One sentence about an exception of the reader's function, with the reader's line if it is
    known.
    """
    if getattr(error, "sentence", None):  # raised in another process, which knew the line
        return error.sentence
    text = (str(error).strip().splitlines() or [""])[0].rstrip()
    line = ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        path = frame.f_code.co_filename
        if not path.startswith(_NOT_THEIRS) and "site-" not in path:
            line = linecache.getline(path, number).strip() or line
    said = f"your function raised {type(error).__name__}{f': {text}' if text else ''}"
    return f"{said} (in the line: {line})" if line else said


# ---- what must stay as it was ----


def same_states(before, now):
    """`same` for random states; Python's is a tuple of 626 numbers, compared as a whole."""
    return same(before[:2], now[:2]) and before[2] == now[2]


@contextlib.contextmanager
def _draws(label, seed):
    """The generators of one run of a check; exercises with one seed draw different numbers."""
    seed = secrets.randbits(31) if seed is None else seed
    mixed = (int(seed) * 1_000_003 + zlib.crc32(label.encode())) % 2**63
    running = _Running(torch.Generator().manual_seed(mixed), np.random.default_rng(mixed))
    token = _running.set(running)
    try:
        yield
    finally:
        _running.reset(token)
