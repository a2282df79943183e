"""What every check of an exercise is built from: unanswered, wrong (with a reason), or correct."""

import functools

import torch


class CheckFailed(AssertionError):
    """The answer is wrong; the message names what was expected, what came, and the likely
    mistake.
    """

    def _render_traceback_(self):
        # IPython shows this instead of a traceback: the reader needs the sentence, not our stack.
        return [str(self)]


def exercise(label):
    """Decorate a check: an unanswered exercise prints a reminder and passes, a right one prints
    "correct".

    The check may be called with a value or with the reader's function. ``None``, ``...`` and a
    function that raises ``NotImplementedError`` (or, inside the check, returns ``None`` through
    `ask`) count as unanswered.

    Args:
        label: what the reader sees, such as ``"Exercise 3.1"``.
    """

    def decorate(check):
        @functools.wraps(check)
        def run(answer, *args, **kwargs):
            try:
                if answer is None or answer is Ellipsis:
                    raise NotImplementedError
                check(answer, *args, **kwargs)
            except NotImplementedError:
                print(f"{label}: not answered yet.")
            except CheckFailed as failure:
                raise CheckFailed(f"{label}: {failure}") from None
            else:
                print(f"{label}: correct.")

        return run

    return decorate


def ask(function, *args, **kwargs):
    """Call the reader's function; ``None`` or ``...`` counts as unanswered, an exception becomes a
    `CheckFailed`.
    """
    try:
        result = function(*args, **kwargs)
    except (NotImplementedError, CheckFailed):
        raise
    except Exception as error:
        raise CheckFailed(f"your function raised {type(error).__name__}: {error}") from error
    if result is None or result is Ellipsis:
        raise NotImplementedError
    return result


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
    expect(got == expected, f"{what}: expected {expected}, got {got}. {hint}".rstrip())


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
    got, expected = torch.as_tensor(got).detach().cpu(), torch.as_tensor(expected).detach().cpu()
    expect_shape(what, got, expected.shape, hint)
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
