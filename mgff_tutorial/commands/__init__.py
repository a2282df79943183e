"""What ``python -m mgff_tutorial COMMAND`` runs: arguments in, summary out; the work is done by the
modules they name.
"""

from ..support.errors import check_number


def check_numbers(args, **most):
    """Refuse options that are given and no whole number from 1 to the one named here."""
    for name, high in most.items():
        if getattr(args, name) is not None:
            check_number(f"--{name.replace('_', '-')}", getattr(args, name), 1, high, whole=True)


def add_command(subparsers, name, run=None, flags=None, groups=None, parts=None, **texts):
    """Add a command to the command line: the ``PARSER`` of its module, or one of its parts.

    Args:
        subparsers: of `argparse`.
        name: of the command. run: function of the parsed arguments; returns the exit code.
        flags: {flag: options of ``add_argument``}. groups: {title: flags} of those that stand apart
            in the help.
        parts: {name: the same of a command within this one}, instead of ``run`` and ``flags``.
        texts: ``help``, ``description``.
    """
    parser = subparsers.add_parser(name, **texts)
    for title, options in {None: flags or {}, **(groups or {})}.items():
        group = parser.add_argument_group(title) if title else parser
        for flag, how in options.items():
            group.add_argument(flag, **how)
    if parts is None:
        parser.set_defaults(run=run, refuse=parser.error)
    else:
        within = parser.add_subparsers(dest=f"{name}_command", required=True)
        for part, entry in parts.items():
            add_command(within, part, **entry)
