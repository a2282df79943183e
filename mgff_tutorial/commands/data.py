"""``python -m mgff_tutorial data``: check a data set, or unpack its archive safely."""

import sys

from ..support.errors import DataError, counted
from . import check_numbers


def run_check(args):
    """The command ``data check``: prints every problem, then a summary; 1 if there are problems,
    else 0.
    """
    from ..datasets import is_folder
    from ..datasets.check import check_dataset

    check_numbers(args, workers=1024)
    if args.root is None and is_folder(args.name):
        args.name, args.root = "folder", args.name  # as train --data takes it
    report = check_dataset(args.name, args.root, decode=not args.quick, workers=args.workers)
    notes = [] if args.no_notes else [f"note: {problem}" for problem in report.notes]
    for line in [*report.errors, *notes, *report.summary]:
        print(line)
    read = "read in full" if not args.quick else "whose header is sound"
    print(
        f"{report.opened:,} of {report.images:,} images {read}; "
        f"{counted(len(report.errors), 'problem')}, {counted(len(report.notes), 'note')}."
    )
    return 1 if report.errors else 0


def run_unpack(args):
    """The command ``data unpack``: 0, or 1 with one sentence and the folder as it was."""
    from ..datasets.unpack import unpack

    try:
        made = unpack(args.archive, args.to)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Unpacked: {', '.join(str(path) for path in made)}")
    return 0


CHECK_FLAGS = {
    "name": dict(
        metavar="NAME_OR_FOLDER",
        help="cub, cars, pets, nabirds, sketchbirds, or a folder of class folders",
    ),
    "--root": dict(help="folder of the data set (not needed for sketchbirds)"),
    "--quick": dict(
        action="store_true", help="read image headers only; misses images that are cut off"
    ),
    "--workers": dict(type=int, help="threads that open images (default: one a processor)"),
    "--no-notes": dict(
        action="store_true", help="print problems only, not what is odd but handled"
    ),
}
UNPACK_FLAGS = {
    "archive": dict(help="the archive"),
    "--to": dict(required=True, help="folder to unpack into"),
}


PARTS = {
    "check": dict(
        run=run_check,
        flags=CHECK_FLAGS,
        help="report every problem of a data set, with file and line",
    ),
    "unpack": dict(
        run=run_unpack,
        flags=UNPACK_FLAGS,
        help="unpack a .tar, .tar.gz or .zip; refuses what would leave the folder",
    ),
}
PARSER = dict(parts=PARTS, help="check a data set, or unpack its archive safely")
