"""``python -m mgff_tutorial benchmark``: how quick our models are on this machine, beside timm's
and torchvision's.

Every figure that matters is a ratio of times taken in one run: same weights, same images, versions
in turn, medians. Before anything is timed, the versions' outputs are compared. bf16 means autocast,
as in training.
"""

import sys
from itertools import product
from pathlib import Path

from ..benchmark.models import CASES
from ..support.files import atomic_file, output_path
from . import check_numbers

DTYPES = ["float32", "bf16"]


FLAGS = {
    "--models": dict(nargs="+", choices=list(CASES), default=["swin_tiny", "swin_base"]),
    "--steps": dict(nargs="+", choices=["forward", "train"], default=["forward", "train"]),
    "--dtypes": dict(nargs="+", choices=DTYPES, default=DTYPES),
    "--execution": dict(
        nargs="+",
        choices=["eager", "compiled"],
        default=["eager", "compiled"],
        help="as written, and under torch.compile, which takes minutes a model",
    ),
    "--profile": dict(
        action="store_true", help="also show where the time goes, by kind of operation"
    ),
    "--swin-only": dict(action="store_true", help="leave out MGFF and the two stages"),
    "--batch": dict(type=int, help="images in a batch (by default 8 at 224, 2 at 384)"),
    "--rounds": dict(
        type=int, default=7, help="timings of each version, of which the median counts"
    ),
    "--threads": dict(type=int, help="CPU threads (by default torch's choice)"),
    "--device": dict(default="auto", help="auto, cpu, cuda, mps"),
    "--format": dict(choices=["text", "markdown", "json"], default="text"),
    "--output": dict(type=Path, help="write the result to this file instead of the screen"),
    "--quick": dict(
        action="store_true", help="seconds, not minutes: nano, eager, 2 rounds, float32"
    ),
}


def run_benchmark(args):
    """Run the command; returns its exit code."""
    import torch

    from ..benchmark.timing import compiler_missing, environment, matmul_ceiling, measure
    from ..support.device import pick_device

    check_numbers(args, batch=4096, rounds=1000, threads=1024)
    if args.output:
        output_path(args.output, "--output")
    device = pick_device(args.device)
    if args.quick:
        args.models, args.dtypes, args.rounds, args.execution = (
            ["swin_nano"],
            ["float32"],
            2,
            ["eager"],
        )
    if args.threads:
        torch.set_num_threads(args.threads)
    if "compiled" in args.execution and (reason := compiler_missing(device)):
        print(
            f"Compiled versions are left out, torch.compile doesn't work here: {reason}",
            file=sys.stderr,
        )
        args.execution = [how for how in args.execution if how != "compiled"]
    rows, profiles = [], {} if args.profile else None
    try:
        for dtype in args.dtypes:
            ceiling = matmul_ceiling(device, dtype, repeats=2 if args.quick else 5)
            for name, how, mode in product(args.models, args.execution, args.steps):
                case = CASES[name]
                rows += measure(
                    case,
                    device,
                    mode,
                    dtype,
                    how == "compiled",
                    args.batch or case.batch,
                    args.rounds,
                    ceiling,
                    systems=not args.swin_only,
                    profiles=profiles,
                )
    finally:
        if rows:  # of a run that is stopped, what it has measured
            show(rows, profiles, environment(device), args)
    return 0


def show(rows, profiles, where, args):
    """Print or write what was measured, and say it in words."""
    from ..benchmark.report import in_words, report

    text = report(rows, where, args.format, profiles)
    if args.output:
        with atomic_file(args.output, "w") as stream:
            stream.write(text + "\n")
    else:
        print(text)
    print(in_words(rows, args.rounds), file=sys.stderr)
    if args.output:
        print(f"written: {args.output}", file=sys.stderr)


PARSER = dict(
    run=run_benchmark,
    flags=FLAGS,
    help="speed of the models on this machine",
    description=__doc__,
)
