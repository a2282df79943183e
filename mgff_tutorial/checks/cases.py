"""An answer against a reference on freshly drawn inputs.

A check says what is right (`reference`), on what it is tried (`cases`) and which mistakes it knows
(`mistakes`: what is wrong, and a function that makes it). The answer is run on every case. If it is
wrong anywhere, a mistake is named only if it gives the answer's result on *every* case, so a hint
is never guessed from one input.
"""

import copy
from functools import partial

import numpy as np
import torch

from . import core
from .core import AnswerRaised, CheckFailed, ask, expect
from .forms import hint_on_form
from .values import describe as in_words


class Draw:
    """Random inputs of the running check, from the generators of `core`."""

    @property
    def rng(self):
        """The `numpy.random.Generator` of the check."""
        return core.draw_numpy()

    @property
    def generator(self):
        """Its `torch.Generator`."""
        return core.draw()

    def integer(self, low, high):
        """A Python int between ``low`` and ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def integers(self, count, low, high):
        """``count`` different Python ints between ``low`` and ``high``, in random order."""
        values = self.rng.permutation(np.arange(low, high + 1))[:count]
        return [int(v) for v in values]

    def normal(self, *shape):
        """A float32 tensor of numbers of both signs."""
        return torch.randn(*shape, generator=self.generator)

    def uniform(self, *shape):
        """A float32 tensor of numbers between 0 and 1."""
        return torch.rand(*shape, generator=self.generator)

    def box(self, width, height):
        """(x0, y0, x1, y1), whole numbers, in an image of that size."""
        (x0, x1), (y0, y1) = (sorted(self.integers(2, 0, side)) for side in (width, height))
        return x0, y0, x1, y1

    def choice(self, values):
        """One of ``values``."""
        return values[self.integer(0, len(values) - 1)]

    def shuffled(self, values):
        """A list of ``values`` in random order."""
        return [values[i] for i in self.rng.permutation(len(values))]


draw = Draw()


def compare(
    answer,
    reference,
    cases,
    mistakes=(),
    *,
    describe,
    form="a number",
    hint="",
    tolerance=1e-5,
    integers=False,
    booleans=False,
    say=None,
):
    """Fail unless ``answer`` gives the results of ``reference`` on all cases and leaves its
    arguments and the global random state alone.

    Results are compared as numbers: tensors, arrays, lists and tuples of them, in any precision.

    Args:
        answer: the reader's function. reference: the right one.
        cases: tuples of arguments.
        mistakes: pairs (hint, function that makes this mistake). It may raise where the mistake
            can't be made.
        describe: called with the arguments; says what was asked.
        form: what the result should be, such as ``"a (B, C) tensor"``.
        hint: what is said where no mistake fits, true of any wrong answer; or a function of the
            expected result and the one that was got (None if it can't be read) that says it.
        tolerance: largest difference, in units of the largest expected number above 1.
        integers, booleans: ask for whole numbers that are not floats; for booleans.
        say: says an expected result and one that was got, for results that are long; None for
            the results themselves.
    """
    run = []
    for arguments in cases:
        run.append(_Trial(answer, reference, arguments, tolerance, describe))
        if run[-1].error is not None:
            break
    wrong = next((trial for trial in run if not trial.right), None)
    if wrong is not None:
        text = next((t for t, make in mistakes if _fits(make, run)), None)
        if text is None and wrong.error is None:
            tried = [(trial.original, trial.expected) for trial in run if trial.error is None]
            text = hint_on_form(tried, read, partial(close, tolerance=tolerance))
        if not text:
            text = hint if isinstance(hint, str) else hint(wrong.expected, wrong.got)
        raise CheckFailed(wrong.sentence(form, text, say))
    if integers or booleans:
        for trial in run:
            _expect_types(trial, integers, form)


def ask_without_trace(answer, *arguments):
    """`core.ask`, and a `CheckFailed` if the answer changes a global random state.

    What a first call sets up (an import, the cells of a notebook that is graded) may draw numbers;
    so it is called a second time before it is blamed.
    """
    before = copy.deepcopy(arguments)
    try:
        with core.random_states_restored(), core.random_state_untouched():
            return ask(answer, *arguments)
    except CheckFailed as failure:
        if "global random state" not in str(failure):
            raise
    with core.random_states_restored(), core.random_state_untouched():
        return ask(answer, *before)


class _Trial:
    """One call of the answer: what came, what should have come, and what else it did."""

    def __init__(self, answer, reference, arguments, tolerance, describe):
        self.arguments, self.tolerance = arguments, tolerance
        self.what = describe(*arguments)
        self.expected = read(reference(*copy.deepcopy(arguments)))
        self.raw = self.original = self.got = self.error = None
        try:
            self.raw = ask_without_trace(answer, *copy.deepcopy(arguments))
        except AnswerRaised as failure:
            self.error = str(failure)
        except CheckFailed as failure:
            raise CheckFailed(f"{self.what}: {failure}") from None
        if self.error is None:
            self.original = core.last_result()
            try:
                self.got = read(self.raw)
            except (TypeError, ValueError):
                self.got = None
        self.right = self.error is None and self.agrees(self.expected)

    def agrees(self, result):
        """Whether the answer's result equals ``result``, both as `read` gives them."""
        return self.got is not None and close(self.got, result, self.tolerance)

    def sentence(self, form, hint, say):
        """What was expected and what came, in one sentence, and the hint."""
        if self.error is not None:
            text = f"{self.what}: {self.error}"
            text = text if text.endswith((".", "!", "?")) else text + "."
        elif self.got is None:
            text = f"{self.what}: expected {form}, got {_short(self.raw)}."
        elif say is not None:
            text = f"{self.what}: {say(self.expected, self.got)}."
        else:
            text = f"{self.what}: {_difference(self.expected, self.got, form)}."
        return f"{text} {hint}".rstrip()


def _fits(make, run):
    """Whether the mistake gives the answer's result in every trial, and a wrong one somewhere.

    The last trial may be one in which the answer raised: its sentence is about another one then.
    """
    whole = [trial for trial in run if trial.error is None]
    if all(trial.right for trial in whole):
        return False
    for trial in sorted(whole, key=lambda trial: trial.right):
        result = _made(make, trial.arguments)
        if result is None or not trial.agrees(result):
            return False
    return True


def _made(make, arguments):
    """What a mistake gives, as `read` gives it; None where it can't be made."""
    try:
        return read(make(*copy.deepcopy(arguments)))
    except Exception:
        return None


def read(result):
    """A result as float64 arrays, or a tuple of such where the parts differ in shape; text stays.

    Raises:
        TypeError, ValueError: it holds something that is neither number nor text.
    """
    if isinstance(result, str):
        return result
    if isinstance(result, torch.Tensor):
        if result.is_complex():
            raise TypeError("complex numbers")
        return result.detach().cpu().double().numpy()
    if isinstance(result, (list, tuple, range)):
        parts = [read(part) for part in result]
        if not parts:
            return np.zeros(0)
        if all(isinstance(p, np.ndarray) for p in parts) and len({p.shape for p in parts}) == 1:
            return np.stack(parts)
        return tuple(parts)
    array = np.asarray(result)
    if array.dtype == object or array.dtype.kind not in "biuf":
        raise TypeError(f"not a number: {result!r}")
    return array.astype(np.float64)


def close(got, expected, tolerance):
    """Whether two results of `read` agree in shape and numbers."""
    if isinstance(got, tuple) or isinstance(expected, tuple):
        return (
            isinstance(got, tuple)
            and isinstance(expected, tuple)
            and len(got) == len(expected)
            and all(close(a, b, tolerance) for a, b in zip(got, expected))
        )
    if isinstance(got, str) or isinstance(expected, str):
        return isinstance(got, str) and isinstance(expected, str) and got == expected
    if not got.size and not expected.size:
        return True
    if got.shape != expected.shape:
        return False
    finite = expected[np.isfinite(expected)]
    unit = max(1.0, float(np.abs(finite).max())) if finite.size else 1.0
    return bool(np.allclose(got, expected, rtol=0, atol=tolerance * unit, equal_nan=True))


def _expect_types(trial, integers, form):
    """Whole numbers must not come as floats, nor booleans as numbers."""
    for value in _leaves(trial.raw):
        if isinstance(value, str):
            continue
        if isinstance(value, torch.Tensor):
            kind = "b" if value.dtype == torch.bool else "f" if value.is_floating_point() else "i"
        else:
            kind = np.asarray(value).dtype.kind
        if integers:
            expect(
                kind in "iu",
                f"{trial.what}: the numbers are right, but expected {form}, got {_short(value)}, "
                f"a {type(value).__name__}. Use integers: // divides without floats.",
            )
        else:
            expect(
                kind == "b",
                f"{trial.what}: the values are right, but expected {form}, got "
                f"{getattr(value, 'dtype', type(value).__name__)}.",
            )


def _leaves(result):
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in _leaves(part)]
    return [result]


def _short(value, length=80):
    """A value in a few words: its shape if it is an array, otherwise its text."""
    if isinstance(value, (torch.Tensor, np.ndarray)) and value.ndim:
        return in_words(value)
    text = str(value.item()) if isinstance(value, torch.Tensor) else repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."


def _difference(expected, got, form):
    """``expected ..., got ...`` for results of any size."""
    if isinstance(got, str) and not isinstance(expected, str):
        return f"expected {form}, got {_short(got)}"
    if isinstance(expected, np.ndarray) and isinstance(got, np.ndarray):
        if got.shape != expected.shape:
            wanted = f", {_shape(expected)}" if expected.ndim else f" ({_text(expected)})"
            return f"expected {form}{wanted}, got {'numbers ' * bool(got.ndim)}{_shape(got)}"
        if expected.size > 6:
            gap = np.abs(got - expected)
            gap = np.where(np.isnan(gap), np.inf, gap)
            place = tuple(int(i) for i in np.unravel_index(gap.argmax(), gap.shape))
            where = place[0] if len(place) == 1 else place
            return (
                f"{int((gap > 1e-6).sum())} of {gap.size} numbers differ, most at index {where}: "
                f"expected {_text(expected[place])}, got {_text(got[place])}"
            )
    return f"expected {_text(expected)}, got {_text(got)}"


def _shape(array):
    return f"of shape {array.shape}" if array.ndim else f"one number ({_text(array)})"


def _text(value):
    """A result of `read`, with whole numbers as integers and others with four digits."""
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, tuple) or (isinstance(value, np.ndarray) and value.ndim):
        return "(" + ", ".join(_text(part) for part in value) + ")"
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.4g}"
