"""What a table is made of: lines, columns, and cells of accuracies and gains."""

from ..support.errors import InputError
from .intervals import t_interval
from .results import paired_difference, values_by_seed


def grid(corner, lines, columns, measured=None, note=None):
    """A Markdown table, and below it the distinct commands of the rows that it was measured from.

    Args:
        corner: title of the first column.
        lines: pairs of a label and a key.
        columns: pairs of titles and a function of the key that gives their cells; " | " stands
            between titles, and between cells.
        measured: rows with the commands; where there are none, nothing was measured, and there is
            no table. note: stands above the commands.
    """
    if measured == []:
        return ""
    header = f"| {corner} | {' | '.join(titles for titles, _ in columns)} |".replace("|  |", "| |")
    text = [header, "|" + "---|" * (header.count("|") - 1)]
    text += [
        f"| {' | '.join([label, *(cells(key) for _, cells in columns)])} |" for label, key in lines
    ]
    if measured:
        commands = dict.fromkeys(row.command for row in measured)
        text += ["", "```bash", *([note] if note else []), *commands, "```"]
    return "\n".join(text)


def heads(rows, seeds, columns, split="test"):
    """Columns of `grid` on accuracies.

    Args:
        columns: pairs of a title and ``"A"``, the `accuracy` of a configuration, or ``"A - B"``,
            its `gain` over another. In these and in ``split`` the key's texts take the place of {}.
    """

    def cells(key):
        runs = [text.format(*key).split(" - ") for _, text in columns]
        where = split.format(*key)
        return " | ".join(
            accuracy(rows, run[0], seeds, where) if len(run) == 1 else gain(rows, *run, where)
            for run in runs
        )

    return " | ".join(title for title, _ in columns), cells


def accuracy(rows, name, seeds, split="test"):
    """Mean and interval of a configuration in per cent; says so where it has fewer than ``seeds``,
    or none.
    """
    values = list(values_by_seed(rows, name, split=split).values())
    if not values:
        return "not run"
    few = f" ({len(values)} of {seeds} seeds)" if len(values) < seeds else ""
    bold = "**" if name.endswith("whole/merged-cropper") else ""
    return f"{bold}{t_interval(values)}{bold}{few}"


def gain(rows, name, reference, split="test"):
    """Paired difference in points with its interval; empty where the two were not run with the same
    seeds.
    """
    try:
        d = paired_difference(rows, name, reference, split=split)
    except InputError:  # not run, or with other seeds: the accuracy's cell says so
        return ""
    interval = f"{100 * d.mean:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})"
    return interval if name != reference else ""


def tests(rows):
    """The rows of the test images."""
    return [row for row in rows if row.split == "test"]
