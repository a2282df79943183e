"""``python -m mgff_tutorial ablate``: measure what each part of the system contributes.

Every experiment fills a results file (see `results`) run by run; stopped at any moment, it goes on
where it was. ``ablate --show`` prints the README's tables from these files, and ``--update
README.md`` writes them into it.
"""

import argparse
from pathlib import Path

from ..experiments.results import COLUMNS, Results, markdown_table, read_rows
from ..support.errors import InputError, check_number, unknown_name

EXPERIMENTS = {
    "fusion-cub20": "real photographs, frozen backbone: the baseline, + MGFF, + MGFF "
    "without each part",
    "two-stage-cub20": "real photographs: whole image, crop and both; crops by the ViT, "
    "annotated, central",
    "finetuned-cub20": "real photographs, whole models trained end to end: the baseline, + MGFF, "
    "in one stage and two",
    "fusion-sketchbirds": "drawn birds: the baseline, + MGFF, + MGFF without each part",
    "two-stage-sketchbirds": "drawn birds: whole image, crop and both",
    "sketchbirds": "the two before this one",
    "cost-cub20": "real photographs: parameters, FLOPs and time of each head, measured in turn",
    "cost-sketchbirds": "drawn birds: the same",
    "padding-cub20": "real photographs: the margin around the ViT's box, on training images alone",
    "padding-sketchbirds": "drawn birds: the same",
    "controlled": "drawn birds: accuracy against object size, camouflage and part size",
    "localisation": "boxes of every rule against annotated boxes; photographs with --data and "
    "--root, else drawn birds",
}
ALIASES = {"sketchbirds": ["fusion-sketchbirds", "two-stage-sketchbirds"]}
FUSION_OF = {
    "two-stage-cub20": "fusion-cub20",
    "two-stage-sketchbirds": "fusion-sketchbirds",
    "controlled": "fusion-sketchbirds",
    "padding-cub20": "fusion-cub20",
    "padding-sketchbirds": "fusion-sketchbirds",
}
LOCALISATION = (
    "data",
    "split",
    "rules",
    "input_size",
    "limit",
)  # arguments of that experiment alone
ROOTS = {"cub": "CUB_200_2011"}


def add_ablate_command(subparsers):
    """Add the parser; ``args.run(args)`` does the work and returns the exit code."""
    parser = subparsers.add_parser(
        "ablate",
        help="measure what each part of the system contributes",
        description="Run an experiment and write its results file; what the file holds already is "
        "not run again. " + " ".join(f"{name}: {text}." for name, text in EXPERIMENTS.items()),
    )
    parser.add_argument(
        "--experiment", choices=list(EXPERIMENTS), metavar="NAME", help=", ".join(EXPERIMENTS)
    )
    parser.add_argument(
        "--show",
        action="store_true",
        help="run nothing; print the README's tables from the files in --out, or with --experiment "
        "everything that its files hold",
    )
    parser.add_argument(
        "--update", type=Path, metavar="FILE", help="with --show: put the tables into this README"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=5,
        help="how many training runs of each configuration (default 5)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("data/results"),
        metavar="DIR",
        help="folder of the results files (default data/results)",
    )
    parser.add_argument(
        "--configurations",
        nargs="+",
        metavar="NAME",
        help="heads to run instead of the usual ones: baseline, mlp-control, mgff, mgff-literal, "
        "mgff-no-PART (graph, self-attention, channel-attention, granularity-0 and so on), "
        "and the steps to the paper's text: mgff-step-replace, mgff-step-norms, "
        "mgff-step-residuals",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--backbone",
        help="default tf_efficientnet_lite0 for photographs, swin_nano for drawn birds",
    )
    parser.add_argument(
        "--img-size",
        type=int,
        help="side in pixels; default 160 for photographs (224 where whole models are "
        "trained), 96 for drawn birds",
    )
    parser.add_argument(
        "--dim",
        type=int,
        help="width of MGFF's aligned maps; default 160 for photographs, else that of the last map",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="pretrained weights of the backbone; by default the embedded "
        "ones, or timm fetches them",
    )
    parser.add_argument(
        "--vit",
        help="ViT of the cropper, by name or as a checkpoint; default "
        "vit_small_patch14_dinov2, vit_nano for drawn birds",
    )
    parser.add_argument("--vit-weights", metavar="FILE", help="pretrained weights of the ViT")
    parser.add_argument(
        "--root", metavar="DIR", help="CUB-200-2011, or a part of it in the same layout"
    )
    parser.add_argument(
        "--training-images",
        type=int,
        metavar="N",
        help="drawn birds: training pictures of each species, up to 1,000 (default the "
        "embedded 30); "
        "the results file carries the number in its name",
    )
    parser.add_argument(
        "--precision", choices=["fp32", "bf16"], default="fp32", help="of the frozen backbone"
    )
    parser.add_argument(
        "--head-precision",
        choices=["fp32", "bf16"],
        default="fp32",
        help="of MGFF in training, and of the cropper's ViT",
    )
    _add_localisation_arguments(parser.add_argument_group("localisation"))
    parser.set_defaults(run=run_ablate)
    return parser


def _add_localisation_arguments(group):
    group.add_argument(
        "--data", help="sketchbirds (default), cub, nabirds or cars; the last three need --root"
    )
    group.add_argument("--split", choices=["train", "test"], help="default test")
    group.add_argument(
        "--rules", nargs="+", metavar="NAME", help="rules of the response map; default all"
    )
    group.add_argument(
        "--input-size",
        nargs="+",
        type=int,
        metavar="PIXELS",
        help="side of the ViT's input, one or several; default 224 for photographs, 192 for "
        "drawn birds",
    )
    group.add_argument(
        "--limit", type=int, metavar="N", help="only N images, evenly spread over the split"
    )


def run_ablate(args):
    """Run one experiment by the arguments of the command; returns 0.

    Raises:
        InputError: arguments that do not fit; a results file of another version.
    """
    if args.seeds < 1:
        raise InputError(f"--seeds must be 1 or more, got {args.seeds}.")
    if args.show:
        return _show(args)
    if args.update is not None:
        raise InputError(
            "--update belongs to --show: it writes tables of stored results, and runs nothing."
        )
    if args.experiment is None:
        raise InputError(f"--experiment is missing; accepted: {', '.join(EXPERIMENTS)}.")
    for name in LOCALISATION:
        if args.experiment != "localisation" and getattr(args, name) is not None:
            raise InputError(
                f"--{name.replace('_', '-')} belongs to --experiment localisation, not to "
                f"{args.experiment}."
            )
    if args.experiment == "localisation":
        return _localise(args)
    for experiment in ALIASES.get(args.experiment, [args.experiment]):
        _run_one(argparse.Namespace(**{**vars(args), "experiment": experiment}))
    return 0


def _show(args):
    if args.experiment is None:
        from ..experiments.summary import tables, update

        found = tables(args.out, args.seeds)
        if args.update is not None:
            update(args.update, found)
            print(f"wrote {len(found)} tables into {args.update}")
            return 0
        print("\n\n".join(found.values()))
        return 0
    names = ALIASES.get(args.experiment, [args.experiment])
    paths = [path for name in names for path in sorted(Path(args.out).glob(f"{name}*.csv"))]
    if not paths:
        raise InputError(
            f"{args.out} holds no results of {args.experiment}; run the experiment first."
        )
    for path in paths:
        print(f"{path.stem}\n\n{_table(Results(path.parent, path.stem), args)}\n")
    return 0


def _table(results, args):
    if args.experiment == "localisation":
        from ..experiments.localisation_study import localisation_table

        return localisation_table(results)
    if args.experiment.startswith("cost"):
        from ..experiments.costs import costs_table

        return costs_table(
            {results.experiment: results.rows},
            {row.configuration: row.configuration for row in results.rows},
        )
    one_split = args.experiment != "controlled" and not args.experiment.startswith("padding")
    return markdown_table(results.rows, args.seeds, split="test" if one_split else None)


def _localise(args):
    """The experiment ``localisation``; returns 0."""
    from ..datasets import open_dataset
    from ..experiments.localisation_study import localise
    from ..experiments.studies import open_vit
    from ..response import RULES
    from ..support.device import pick_device

    for name in ("configurations", "backbone", "img_size", "dim", "weights", "training_images"):
        if getattr(args, name) is not None:
            raise InputError(
                f"--{name.replace('_', '-')} does not apply to localisation, which trains no head."
            )
    for size in args.input_size or ():
        check_number("--input-size", size, 1, whole=True)
    if args.limit is not None:
        check_number("--limit", args.limit, 1, whole=True)
    data = args.data or "sketchbirds"
    dataset = open_dataset(data, args.root, args.split or "test")
    drawn = data == "sketchbirds"
    default = "vit_nano" if drawn else "vit_small_patch14_dinov2"
    vit, sizes, device = (
        args.vit or default,
        args.input_size or [192 if drawn else 224],
        pick_device(args.device),
    )
    label = data if drawn else f"{data}{len(dataset.classes)}"
    results = Results(
        args.out, f"localisation_{label}" + ("" if vit == default else f"-{Path(vit).stem}")
    )
    localise(
        dataset,
        lambda size: open_vit(vit, size, args.vit_weights).to(device),
        results,
        list(dict.fromkeys(args.rules or RULES)),
        list(dict.fromkeys(sizes)),
        _localisation_command(args),
        args.limit,
        _say,
        progress=True,
    )
    print(_table(results, args))
    return 0


def _localisation_command(args):
    """As `command_of`: what a reader would type."""
    words = ["python -m mgff_tutorial ablate --experiment localisation"]
    words += [f"--data {args.data} --root {ROOTS.get(args.data, args.data)}"] if args.root else []
    words += [f"--vit {Path(args.vit).name}"] if args.vit else []
    for name in ("input_size", "rules"):
        if getattr(args, name):
            words.append(f"--{name.replace('_', '-')} {' '.join(map(str, getattr(args, name)))}")
    words += [
        f"--{name} {getattr(args, name)}"
        for name in ("split", "limit")
        if getattr(args, name) is not None
    ]
    return " ".join(words)


def _run_one(args):
    from ..experiments.studies import Study

    experiment, usual, known = _experiment(args.experiment)
    names, settings = chosen(args.configurations, usual, known), settings_of(args)
    unusual = [
        name for name in names if name not in usual
    ]  # these are run only where the command names them
    command, results = (
        command_of(args, settings, unusual),
        Results(args.out, experiment_name(args, settings)),
    )
    before, seeds = len(results.rows), range(args.seeds)
    _say_skipped(results, seeds, names)
    if args.experiment in FUSION_OF:
        _copy_tuning(results, args, settings)
    experiment(Study(settings), results, seeds, names, command, _say)
    print(f"{len(results.rows) - before} new rows in {results.path}")
    print(_table(results, args))


def _experiment(name):
    """(function of an experiment, configurations that it runs unless told otherwise, all that it
    can run).
    """
    from ..experiments.ablation import TWO_STAGE, fusion, two_stage
    from ..experiments.studies import CONFIGURATIONS, HEADS

    if name == "controlled":
        from ..experiments.controlled import controlled

        return controlled, ("baseline", "mlp-control", "mgff"), HEADS
    if name.startswith("padding"):
        from ..experiments.padding import padding

        return padding, TWO_STAGE[:1], HEADS
    if name.startswith("cost"):
        from ..experiments.costs import costs

        return costs, CONFIGURATIONS, HEADS
    if name == "finetuned-cub20":
        from ..experiments import finetuning

        return finetuning.finetuned, finetuning.USUAL, finetuning.CONFIGURATIONS
    if name.startswith("two-stage"):
        return two_stage, TWO_STAGE, HEADS
    return fusion, CONFIGURATIONS, HEADS


def settings_of(args):
    """`StudySettings` from the arguments, with the defaults of photographs or of drawn birds."""
    from ..experiments.studies import StudySettings
    from ..renderer.dataset import IMAGES_PER_SPLIT

    photographs = args.experiment.endswith("cub20")
    if photographs and args.root is None:
        raise InputError("--root is missing: the folder with CUB-200-2011 (see data/README.md).")
    if not photographs and args.root is not None:
        raise InputError(f"--root is for photographs; {args.experiment} draws its own birds.")
    if args.training_images is not None:
        if photographs:
            raise InputError(
                f"--training-images is for drawn birds; {args.experiment} takes the photographs "
                f"that are there."
            )
        check_number("--training-images", args.training_images, 10, 1000, whole=True)
    backbone = args.backbone or ("tf_efficientnet_lite0" if photographs else "swin_nano")
    side = (224 if args.experiment.startswith("finetuned") else 160) if photographs else 96
    return StudySettings(
        data=args.root or "sketchbirds",
        training_images=args.training_images or IMAGES_PER_SPLIT,
        backbone=backbone,
        img_size=args.img_size or side,
        dim=args.dim or (160 if photographs else None),
        weights=args.weights,
        vit=args.vit or ("vit_small_patch14_dinov2" if photographs else "vit_nano"),
        vit_size=224 if photographs else 192,
        vit_weights=args.vit_weights,
        precision=args.precision,
        head_precision=args.head_precision,
        device=args.device,
    )


def experiment_name(args, settings):
    """The name of the results file: one for each backbone, or number of drawn training pictures,
    that was chosen.
    """
    if args.experiment.endswith("cub20"):
        return f"{args.experiment}-{settings.backbone}"
    return (
        f"{args.experiment}-{settings.training_images}"
        if settings.has_other_size
        else args.experiment
    )


def command_of(args, settings, configurations=()):
    """The command as a reader would type it, without the folders of this machine."""
    words = [
        "python -m mgff_tutorial ablate",
        "--experiment",
        args.experiment,
        "--seeds",
        str(args.seeds),
    ]
    if args.experiment.endswith("cub20"):
        words += [
            "--root CUB_200_2011",
            "--backbone",
            settings.backbone,
            "--img-size",
            str(settings.img_size),
            "--dim",
            str(settings.dim),
        ]
    words += [f"--training-images {settings.training_images}"] if settings.has_other_size else []
    words += ["--precision bf16"] if args.precision == "bf16" else []
    words += ["--head-precision bf16"] if args.head_precision == "bf16" else []
    words += ["--configurations", *configurations] if configurations else []
    return " ".join(words)


def chosen(configurations, usual, known):
    """The configurations to run, the usual ones by default; an unknown one is an `InputError`."""
    for name in configurations or ():
        if name not in known:
            raise unknown_name("configuration", name, known)
    return list(configurations or usual)


def _copy_tuning(results, args, settings):
    """Copy the validation rows of the fusion experiment with the same backbone, so that nothing is
    tuned twice.
    """
    fusion = experiment_name(argparse.Namespace(experiment=FUSION_OF[args.experiment]), settings)
    path = args.out / f"{fusion}.csv"
    known = {row.key for row in results.rows}
    rows = [
        row
        for row in (read_rows(path) if path.exists() else [])
        if row.split == "validation" and row.key not in known
    ]
    columns = [name for name in COLUMNS if name not in ("experiment", "version")]
    if rows:
        results.add([{name: getattr(row, name) for name in columns} for row in rows])


def _say_skipped(results, seeds, names):
    """One line on the finished runs of the heads in ``names``; those of the two stages count by
    their head.
    """
    done = sorted(
        {
            (row.configuration, row.seed)
            for row in results.rows
            if row.split == "test"
            and row.seed in seeds
            and row.configuration.split("/")[0] in names
        }
    )
    if done:
        heads = sorted({name.split("/")[0] for name, _ in done})
        _say(
            f"{results.path}: skipping {len(done)} finished runs of "
            f"{len({name for name, _ in done})} configurations "
            f"({', '.join(heads)})."
        )


def _say(text):
    print(text, flush=True)
