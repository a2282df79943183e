"""``python -m mgff_tutorial release``: notebooks for students, solutions for teachers."""


def add_release_command(subparsers):
    """Add ``release`` to the command line."""
    parser = subparsers.add_parser(
        "release",
        help="a student edition and a teacher's edition of the notebooks",
        description="Write chosen notebooks without solutions into FOLDER/student, and solutions "
        "with explanations into FOLDER/teacher. Needs a checkout of the repository. Releasing "
        "twice gives the same bytes; nothing is overwritten.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="a folder that is new or empty")
    parser.add_argument(
        "--notebooks", nargs="+", metavar="NUMBER", help="such as 05 08 (default: all)"
    )
    parser.add_argument(
        "--clear-outputs", action="store_true", help="without the stored outputs of the cells"
    )
    parser.add_argument(
        "--no-wheel",
        action="store_true",
        help="without the package itself; students then need it from elsewhere",
    )
    parser.set_defaults(run=run_release)
    return parser


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
