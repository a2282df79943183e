"""``python -m mgff_tutorial release``: notebooks for students, solutions for teachers."""

FLAGS = {
    "folder": dict(metavar="FOLDER", help="a folder that is new or empty"),
    "--notebooks": dict(nargs="+", metavar="NUMBER", help="such as 05 08 (default: all)"),
    "--clear-outputs": dict(action="store_true", help="without the stored outputs of the cells"),
    "--no-wheel": dict(
        action="store_true",
        help="without the package itself; students then need it from elsewhere",
    ),
}


def run_release(args):
    """Release; returns 0."""
    from ..teaching.release import release

    files = release(
        args.folder, args.notebooks, outputs=not args.clear_outputs, wheel=not args.no_wheel
    )
    for path in files:
        print(path)
    print(f"{len(files)} files in {args.folder}.")
    return 0


PARSER = dict(
    run=run_release,
    flags=FLAGS,
    help="a student edition and a teacher's edition of the notebooks",
    description="Write chosen notebooks without solutions into FOLDER/student, and solutions "
    "with explanations into FOLDER/teacher. Needs a checkout of the repository. Releasing "
    "twice gives the same bytes; nothing is overwritten.",
)
