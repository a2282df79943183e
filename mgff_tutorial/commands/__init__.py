"""What ``python -m mgff_tutorial COMMAND`` runs: arguments in, summary out; the work is done by the
modules they name.
"""

from ..support.errors import check_number


def check_numbers(args, **most):
    """Refuse options that are given and no whole number from 1 to the one named here."""
    for name, high in most.items():
        if getattr(args, name) is not None:
            check_number(f"--{name.replace('_', '-')}", getattr(args, name), 1, high, whole=True)


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
    parser.set_defaults(run=run, refuse=parser.error)
    return parser
