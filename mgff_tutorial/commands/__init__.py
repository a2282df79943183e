"""What ``python -m mgff_tutorial COMMAND`` runs: arguments in, summary out; the work is done by the
modules they name.
"""


def add_command(subparsers, name, run, flags, **texts):
    """Add a command to the command line.

    Args:
        subparsers: of `argparse`.
        name: of the command. run: function of the parsed arguments; returns the exit code.
        flags: {flag: options of ``add_argument``}. texts: ``help``, ``description``.
    """
    parser = subparsers.add_parser(name, **texts)
    for flag, options in flags.items():
        parser.add_argument(flag, **options)
    parser.set_defaults(run=run)
    return parser
