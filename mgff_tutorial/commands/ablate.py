"""``python -m mgff_tutorial ablate``: measure what each part of the system contributes.

Every experiment fills a results file (see `experiments.results`) run by run; stopped at any moment,
it goes on where it was. ``ablate --show`` prints the tables of data/results/README.md from these
files, and ``--update`` writes them into it.
"""

import logging
import sys
from contextlib import contextmanager
from pathlib import Path

from ..experiments.registry import EXPERIMENTS, parts_of, run, run_localisation, settings_of
from ..support.errors import InputError
from ..support.stopping import Stopped
from . import check_numbers

PRECISION = {"choices": ["fp32", "bf16"], "default": "fp32"}
OPTIONS = {  # option -> how it is parsed
    "experiment": {"choices": list(EXPERIMENTS), "metavar": "NAME", "help": ", ".join(EXPERIMENTS)},
    "show": {
        "action": "store_true",
        "help": "run nothing; print the tables from the files in --out, or with --experiment "
        "everything that its files hold",
    },
    "claims": {
        "action": "store_true",
        "help": "run nothing; print what the texts claim, computed from the files in --out",
    },
    "plan": {
        "action": "store_true",
        "help": "run nothing; print what the experiment would still run, and how many CPU hours "
        "that takes",
    },
    "update": {
        "nargs": "?",
        "const": "",
        "metavar": "FILE",
        "help": "with --show: put the tables into this page, by default README.md in --out",
    },
    "seeds": {
        "type": int,
        "default": 5,
        "help": "how many training runs of each configuration (default 5)",
    },
    "out": {
        "type": Path,
        "default": Path("data/results"),
        "metavar": "DIR",
        "help": "folder of the results files (default data/results)",
    },
    "configurations": {
        "nargs": "+",
        "metavar": "NAME",
        "help": "heads to run instead of the usual ones: baseline, mlp-control, mgff, "
        "mgff-literal, mgff-no-PART (graph, self-attention, channel-attention, granularity-0 and "
        "so on), and the steps to the paper's text: mgff-step-replace, mgff-step-norms, "
        "mgff-step-residuals",
    },
}
STUDY = {  # those that make the settings of a study
    "backbone": {
        "help": "default tf_efficientnet_lite0 for photographs, swin_nano for drawn birds"
    },
    "img-size": {
        "type": int,
        "help": "side in pixels; default 160 for photographs (224 where whole models are "
        "trained), 96 for drawn birds",
    },
    "dim": {
        "type": int,
        "help": "width of MGFF's aligned maps; default 160 for photographs, else that of the last "
        "map",
    },
    "weights": {
        "metavar": "FILE",
        "help": "pretrained weights of the backbone; by default the embedded ones, or timm fetches "
        "them",
    },
    "training-images": {
        "type": int,
        "metavar": "N",
        "help": "drawn birds: training pictures of each species, up to 1,000 (default the embedded "
        "30); the results file carries the number in its name",
    },
    "precision": {**PRECISION, "help": "of the frozen backbone"},
    "head-precision": {**PRECISION, "help": "of MGFF in training, and of the cropper's ViT"},
    "vit": {
        "help": "ViT of the cropper, by name or as a checkpoint; default vit_small_patch14_dinov2, "
        "vit_nano for drawn birds"
    },
    "vit-weights": {"metavar": "FILE", "help": "pretrained weights of the ViT"},
    "root": {"metavar": "DIR", "help": "CUB-200-2011, or a part of it in the same layout"},
    "device": {"default": "auto"},
}
LOCALISATION = {  # those of that experiment alone
    "data": {"help": "sketchbirds (default), cub, nabirds or cars; the last three need --root"},
    "split": {"choices": ["train", "test"], "help": "default test"},
    "rules": {"nargs": "+", "metavar": "NAME", "help": "rules of the response map; default all"},
    "input-size": {
        "nargs": "+",
        "type": int,
        "metavar": "PIXELS",
        "help": "side of the ViT's input, one or several; default 224 for photographs, 192 for "
        "drawn birds",
    },
    "limit": {
        "type": int,
        "metavar": "N",
        "help": "only N images, evenly spread over the split",
    },
}
HEADS_ALONE = ("configurations", "backbone", "img-size", "dim", "weights", "training-images")


def run_ablate(args):
    """Run one experiment by the arguments of the command; returns 0.

    Raises:
        InputError: arguments that do not fit; a results file of another version.
    """
    check_numbers(args, seeds=1000, img_size=4096, dim=8192)
    if args.show:
        return _show(args)
    if args.claims:
        from ..experiments.claims import claims_table

        print(claims_table(args.out))
        return 0
    if args.update is not None:
        raise InputError(
            "--update belongs to --show: it writes tables of stored results, and runs nothing."
        )
    if args.experiment is None:
        raise InputError(f"--experiment is missing; accepted: {', '.join(EXPERIMENTS)}.")
    given, boxes = vars(args), args.experiment == "localisation"
    for name in HEADS_ALONE if boxes else LOCALISATION:
        if given[name.replace("-", "_")] is not None:
            why = (
                "does not apply to localisation, which trains no head"
                if boxes
                else f"belongs to --experiment localisation, not to {args.experiment}"
            )
            raise InputError(f"--{name} {why}.")
    from ..experiments.tables import results_table

    if args.plan and (boxes or args.experiment.startswith("cost")):
        raise InputError(f"--plan is for experiments that train; not for {args.experiment}.")
    with _reported():
        if boxes:
            print(results_table(run_localisation(given, args.out, args.device), args.seeds))
            return 0
        study = {name.replace("-", "_"): given[name.replace("-", "_")] for name in STUDY}
        for name in parts_of(args.experiment):
            settings = settings_of(name, study)
            if args.plan:
                from ..experiments.plan import plan, plan_table

                work = plan(name, settings, args.seeds, args.out, args.configurations)
                print(f"{name}\n\n{plan_table(work)}\n")
                continue
            results = run(name, settings, args.seeds, args.out, args.configurations)
            print(results_table(results, args.seeds))
    return 0


@contextmanager
def _reported():
    """What the experiments log, printed line by line; and how to go on after Ctrl-C."""
    logger, handler = (
        logging.getLogger("mgff_tutorial.experiments"),
        logging.StreamHandler(sys.stdout),
    )
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    except KeyboardInterrupt as stop:
        text = "stopped; finished rows are kept, and the same command goes on after them."
        raise Stopped(text, getattr(stop, "code", 130)) from stop
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _show(args):
    from ..experiments.results import Results
    from ..experiments.tables import results_table, tables, update

    if args.experiment is None:
        found = tables(args.out, args.seeds)
        if args.update is None:
            print("\n\n".join(found.values()))
            return 0
        page = Path(args.update) if args.update else args.out / "README.md"
        update(page, found)
        print(f"wrote {len(found)} tables into {page}")
        return 0
    paths = [
        path for name in parts_of(args.experiment) for path in sorted(args.out.glob(f"{name}*.csv"))
    ]
    if not paths:
        raise InputError(
            f"{args.out} holds no results of {args.experiment}; run the experiment first."
        )
    for path in paths:
        table = results_table(Results(path.parent, path.stem), args.seeds)
        print(f"{path.stem}\n\n{table}\n")
    return 0


ABOUT = " ".join(f"{name}: {one.text}." for name, one in EXPERIMENTS.items())
PARSER = dict(
    run=run_ablate,
    flags={f"--{name}": how for name, how in (OPTIONS | STUDY).items()},
    groups={"localisation": {f"--{name}": how for name, how in LOCALISATION.items()}},
    help="measure what each part of the system contributes",
    description="Run an experiment and write its results file; what the file holds already is "
    f"not run again. {ABOUT}",
)
