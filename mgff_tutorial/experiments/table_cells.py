"""What the README's tables share: the names of heads, an accuracy, a gain, and the commands under a
table.
"""

from ..support.errors import InputError
from .intervals import t_interval
from .results import paired_difference, values_by_seed

ONE_LOOK = {  # row -> configuration; the gain is over the baseline
    "linear head (baseline)": "baseline",
    "two-layer head with about as many parameters (control)": "mlp-control",
    "MGFF, default": "mgff",
    "MGFF, `literal`": "mgff-literal",
    "MGFF without self-attention": "mgff-no-self-attention",
    "MGFF without channel attention": "mgff-no-channel-attention",
    "MGFF without graph": "mgff-no-graph",
    **{f"MGFF without granularity {i}": f"mgff-no-granularity-{i}" for i in range(4)},
}
STEPS = {  # row -> configuration: from the default to the text, one step each
    "MGFF, its vector in place of the classifier's features (a step to "
    "`literal`)": "mgff-step-replace",
    "MGFF without layer norms (a step to `literal`)": "mgff-step-norms",
    "MGFF without residual connections (a step to `literal`)": "mgff-step-residuals",
}


def accuracy(rows, name, seeds, split="test"):
    """Mean and interval of a configuration in per cent; says so where it has fewer than ``seeds``,
    or none.
    """
    values = values_by_seed(rows, name, split=split)
    if not values:
        return "not run"
    few = f" ({len(values)} of {seeds} seeds)" if len(values) < seeds else ""
    bold = "**" if "merged-cropper" in name and "whole" in name else ""
    if len(values) == 1:
        return f"{100 * next(iter(values.values())):.1f}{few}"
    return f"{bold}{t_interval(list(values.values()))}{bold}{few}"


def gain(rows, name, reference, split="test"):
    """Paired difference in points with its interval; empty where the two were not run with the same
    seeds.
    """
    if name == reference:
        return ""
    try:
        d = paired_difference(rows, name, reference, split=split)
    except InputError:  # not run, or with other seeds: the accuracy's cell says so
        return ""
    return f"{100 * d.mean:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})"


def command_block(commands, note=None):
    """A block of the distinct commands, in their order."""
    lines = ([note] if note else []) + list(dict.fromkeys(commands))
    return "```bash\n" + "\n".join(lines) + "\n```"
