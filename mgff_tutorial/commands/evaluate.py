"""``python -m mgff_tutorial evaluate``: accuracy of a checkpoint, and whether it is the one its
card claims.

Under ``accelerate launch`` the processes share the images; the first one writes and prints.
"""

import json
from pathlib import Path

from ..support.errors import InputError
from .predict import add_model_arguments, cropper_options, default_checkpoint


def add_evaluate_command(subparsers):
    """Add ``evaluate`` to the command line."""
    parser = subparsers.add_parser(
        "evaluate",
        help="accuracy of a checkpoint, in one stage or two",
        description="Measure a checkpoint on a split, count every image once, and compare with "
        "the checkpoint's card. "
        "Exit code 1 if the card is not reproduced.",
    )
    parser.add_argument(
        "checkpoint_file", nargs="?", metavar="CHECKPOINT", help="the same as --checkpoint"
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--two-stage",
        action="store_true",
        help="also find, crop and classify the object, and merge "
        "(boxes found once are kept in the cache folder)",
    )
    parser.add_argument(
        "--data", help="data set, or a folder of class folders (default: the card's)"
    )
    parser.add_argument("--root", help="folder of the data set")
    parser.add_argument("--split", default="test", choices=("train", "test", "all"))
    parser.add_argument(
        "--csv",
        metavar="FILE",
        help="write the predictions, one row an image (two stages: FILE-stage1.csv ...)",
    )
    parser.add_argument(
        "--publish",
        metavar="FILE",
        help="write a copy in half precision whose card claims what is measured here (on the copy)",
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--workers", type=int, default=0, help="loader processes")
    parser.set_defaults(run=run_evaluate)
    return parser


def run_evaluate(args):
    """Evaluate; returns 0, or 1 if the card claims another count.

    Raises:
        InputError: a bad checkpoint, or a data set of other classes.
    """
    from accelerate import PartialState

    from ..datasets import open_split
    from ..evaluation.predict import load_classifier, load_cropper
    from ..evaluation.split import evaluate
    from ..support.checkpoints import read_checkpoint, save_checkpoint
    from ..support.device import pick_device

    processes = PartialState(
        cpu=pick_device(args.device).type == "cpu"
    )  # first of all: it gives each process its GPU
    for option, target in (("--csv", args.csv), ("--publish", args.publish)):
        if target and Path(target).is_dir():
            raise InputError(
                f"{option} {target} is a folder; expected the name of a file to write."
            )
    path = args.checkpoint_file or args.checkpoint or default_checkpoint()
    if args.publish:
        if processes.is_main_process:
            state, card = read_checkpoint(path)
            save_checkpoint(args.publish, state, public_card(card), half=True)
        processes.wait_for_everyone()
        path = args.publish
    classifier = load_classifier(path, args.device)
    card = classifier.card
    data = args.data or card.get("data") or "sketchbirds"
    cropper = (
        load_cropper(args.cropper, args.device, **cropper_options(args)) if args.two_stage else None
    )
    found = evaluate(
        classifier,
        open_split(data, args.root, args.split),
        cropper,
        args.batch_size,
        args.workers,
        progress=not args.quiet and processes.is_main_process,
    )
    if args.publish:
        card = {**card, "data": data, "split": args.split, **found["stage 1"].summary()}
        if cropper is not None:
            card["two_stage"] = {
                **found["merged"].summary(),
                "cropper": args.cropper,
                "rule": args.rule or "default",
                "tau": args.tau,
            }
        if processes.is_main_process:
            save_checkpoint(path, read_checkpoint(path)[0], card)
    claims = _claims(card, data, args)
    verdicts = {
        name: claims[name] == (found[name].correct, found[name].count)
        for name in found
        if name in claims
    }
    if not processes.is_main_process:
        return 0 if all(verdicts.values()) else 1
    if args.csv:
        _write(args.csv, found)
    if args.json:
        print(
            json.dumps(
                {
                    "checkpoint": str(path),
                    "data": data,
                    "split": args.split,
                    **{name: predictions.summary() for name, predictions in found.items()},
                    "reproduces_card": all(verdicts.values()) if verdicts else None,
                }
            )
        )
    else:
        print(report(path, card, data, args.split, found, claims, verdicts))
    return 0 if all(verdicts.values()) else 1


def public_card(card):
    """A card without what belongs to one machine: folders, device, claims of the unrounded
    weights.
    """
    left_out = ("format", "version", "accuracy", "correct", "count", "two_stage", "split")
    card = {key: value for key, value in card.items() if key not in left_out}
    if isinstance(card.get("recipe"), dict):
        own = ("out", "root", "cache", "device", "workers", "save_seconds", "tensorboard")
        card["recipe"] = {key: value for key, value in card["recipe"].items() if key not in own}
        if isinstance(card["recipe"].get("pretrained"), str):
            card["recipe"]["pretrained"] = Path(card["recipe"]["pretrained"]).name
    return card


def report(path, card, data, split, found, claims, verdicts):
    """The lines that ``evaluate`` prints."""
    lines = [f"{path}: {card['model']} on {data}, {split} split"]
    for name, predictions in found.items():
        claim = f"   card: {claims[name][0]}/{claims[name][1]}" if name in claims else ""
        lines.append(
            f"{name:<8} {predictions.accuracy:7.2%} "
            f"({predictions.correct}/{predictions.count}){claim}"
        )
    if verdicts:
        lines.append(f"reproduces the card: {'yes' if all(verdicts.values()) else 'no'}")
    else:
        lines.append("the card makes no claim about this")
    return "\n".join(lines)


def _claims(card, data, args):
    """(correct, count) that the card claims for this data, split and cropper, by stage."""
    if card.get("split", "test") != args.split or data != card.get("data") or "correct" not in card:
        return {}
    claims = {"stage 1": (card["correct"], card["count"])}
    two = card.get("two_stage") or {}
    asked = (args.cropper, args.rule or "default", args.tau)
    if (
        args.two_stage
        and two
        and (two.get("cropper"), two.get("rule", "default"), two.get("tau")) == asked
    ):
        claims["merged"] = (two["correct"], two["count"])
    return claims


def _write(path, found):
    path = Path(path)
    for name, predictions in found.items():
        target = (
            path
            if len(found) == 1
            else path.with_name(f"{path.stem}-{name.replace(' ', '')}{path.suffix or '.csv'}")
        )
        predictions.write_csv(target)
