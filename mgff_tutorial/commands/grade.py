"""``python -m mgff_tutorial grade``: marks for notebooks and sheets of answers."""

import csv
import json
import sys
from pathlib import Path

from ..evaluation.table import as_text
from ..support.errors import InputError, check_number, unknown_name

COLUMNS = ("submission", "exercise", "outcome", "points", "message")


FLAGS = {
    "paths": dict(
        nargs="+",
        metavar="PATH",
        help="a notebook (.ipynb), a file of functions (.py), or a folder of such",
    ),
    "--notebook": dict(
        metavar="NUMBER",
        help="the notebook that is graded, such as 08; swap for the assignments of ASSIGNMENTS.md",
    ),
    "--csv": dict(metavar="FILE", help="write one row per submission and exercise"),
    "--json": dict(action="store_true", help="print JSON instead of tables"),
    "--seconds": dict(type=float, default=60, help="time limit per exercise (default: 60)"),
    "--memory": dict(
        type=int,
        default=2048,
        metavar="MB",
        help="memory limit per submission, where the system has one (default: 2048)",
    ),
    "--seed": dict(type=int, help="of the inputs that the checks draw (default: a new one)"),
    "--quiet": dict(action="store_true", help="no progress bar"),
}


def run_grade(args):
    """Grade; returns 0, or 1 if a submission as a whole could not be graded.

    Raises:
        InputError: an unknown notebook, a bad number, or a CSV file that exists.
    """
    import secrets

    from tqdm.auto import tqdm

    from ..teaching.grading import grade
    from ..teaching.submissions import sheets

    check_number("--seconds", args.seconds, 0.1)
    check_number("--memory", args.memory, 256, whole=True)
    sheet = args.notebook and args.notebook.removesuffix(".ipynb").partition("_")[0].zfill(2)
    if sheet is not None and sheet not in sheets():
        raise unknown_name("notebook", args.notebook, sheets())
    if args.csv and Path(args.csv).exists():
        raise InputError(f"{args.csv} exists; choose another file, or remove it.")
    seed = secrets.randbits(31) if args.seed is None else args.seed
    with tqdm(unit=" exercises", desc="grading", disable=args.quiet, file=sys.stderr) as bar:

        def progress(done, total):
            bar.total = total
            bar.update(done - bar.n)

        rows = grade(args.paths, sheet, args.seconds, args.memory, seed, progress)
    if args.csv:
        _write_csv(args.csv, rows)
    if args.json:
        print(json.dumps(_as_json(rows, seed), indent=1))
    else:
        _print(rows, tables=not args.csv)
        print(f"\nInputs were drawn with seed {seed}; --seed {seed} gives the same marks again.")
    return 1 if any(not row.exercise for row in rows) else 0


def _write_csv(path, rows):
    from ..support.files import atomic_file

    with atomic_file(path, "w") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([as_text(getattr(row, column)) for column in COLUMNS] for row in rows)


def _as_json(rows, seed):
    from .. import __version__

    return {
        "version": __version__,
        "seed": seed,
        "rows": [{column: getattr(row, column) for column in COLUMNS} for row in rows],
        "submissions": [
            {"submission": name, "points": points, "out_of": out_of}
            for name, points, out_of in per_submission(rows)
        ],
        "exercises": [{"exercise": name, **counts} for name, counts in per_exercise(rows)],
    }


def per_submission(rows):
    """[(submission, points, points of a perfect one)], in the order of the rows."""
    names = dict.fromkeys(row.submission for row in rows)
    own = {name: [row for row in rows if row.submission == name] for name in names}
    return [
        (n, sum(r.points for r in some), sum(r.out_of for r in some)) for n, some in own.items()
    ]


def per_exercise(rows):
    """[(exercise, outcome -> count)], in the order of the exercises."""
    from ..teaching.grading import OUTCOMES

    numbers = {row.exercise for row in rows if row.exercise}
    return [
        (n, {o: sum(r.exercise == n and r.outcome == o for r in rows) for o in OUTCOMES})
        for n in sorted(numbers, key=_in_order)
    ]


def _in_order(number):
    """Exercises by number, those with words in them last."""
    return [(not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in number.split(".")]


def _print(rows, tables):
    from ..teaching.grading import OUTCOMES

    width = max([10, *(len(row.submission) for row in rows)])
    if tables:
        print(f"{'submission':<{width}}  exercise  {'outcome':<12}  points  message")
        for row in rows:
            points = f"{row.points:g}/{row.out_of:g}" if row.exercise else "-"
            print(
                f"{row.submission:<{width}}  {row.exercise or '-':<8}  {row.outcome:<12}  "
                f"{points:>6}  {row.message}".rstrip()
            )
        print()
    print(f"{'submission':<{width}}  points")
    for name, points, out_of in per_submission(rows):
        print(f"{name:<{width}}  {f'{points:g}/{out_of:g}' if out_of else '-':>6}")
    if any(row.exercise for row in rows):
        print("\nexercise  " + "  ".join(f"{outcome:>12}" for outcome in OUTCOMES))
        for number, counts in per_exercise(rows):
            print(f"{number:<8}  " + "  ".join(f"{counts[o]:>12}" for o in OUTCOMES))


PARSER = dict(
    run=run_grade,
    flags=FLAGS,
    help="marks for the exercises of students",
    description="Grade notebooks, or Python files with the functions of an exercise sheet. "
    "Each submission runs in a process of its own that gets inputs and returns values; "
    "results are compared here. notebooks/TEACHING.md says what this protects against and "
    "what it does not.",
)
