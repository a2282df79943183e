"""What ``python -m mgff_tutorial COMMAND`` runs: arguments in, summary out; the work is done by the
modules they name.
"""
