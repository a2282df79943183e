"""``python -m mgff_tutorial evaluate``: accuracy of a checkpoint, and whether it is the one its
card claims.

Under ``accelerate launch`` the processes share the images; the first one writes and prints.
"""

import json
import tempfile
from pathlib import Path

from ..support.errors import InputError, check_number
from ..support.files import output_path
from .predict import MODEL_FLAGS, chosen_cropper, default_checkpoint, images_a_pass

FLAGS = {
    "checkpoint_file": dict(nargs="?", metavar="CHECKPOINT", help="the same as --checkpoint"),
    **MODEL_FLAGS,
    "--two-stage": dict(
        action="store_true",
        help="also find, crop and classify the object, and merge "
        "(boxes found once are kept in the cache folder)",
    ),
    "--data": dict(help="data set, or a folder of class folders (default: the card's)"),
    "--root": dict(help="folder of the data set"),
    "--split": dict(default="test", choices=("train", "test", "all")),
    "--csv": dict(
        metavar="FILE",
        help="write the predictions, one row an image (two stages: FILE-stage1.csv ...)",
    ),
    "--publish": dict(
        metavar="FILE",
        help="write a copy in half precision whose card claims what is measured here (on the copy)",
    ),
    "--json": dict(action="store_true", help="print the numbers as JSON"),
    "--workers": dict(type=int, default=0, help="loader processes"),
}


def run_evaluate(args):
    """Evaluate; returns 0, or 1 if the card claims another count.

    Raises:
        InputError: a bad checkpoint, or a data set of other classes.
    """
    from ..datasets import open_split
    from ..evaluation.predict import load_classifier
    from ..evaluation.split import Team, claims, evaluate, public_card
    from ..support.checkpoints import read_checkpoint, save_checkpoint

    team = Team(args.device)  # first of all: it gives each process its GPU
    path = args.checkpoint_file or args.checkpoint or default_checkpoint()
    check_number("--workers", args.workers, 0, 1024, whole=True)
    _check_outputs(path, args.csv, args.publish)
    two_stage = None
    with tempfile.TemporaryDirectory() as folder:
        measured = path
        if args.publish:  # what is measured is the copy; it takes its place only at the end
            state, card = read_checkpoint(path)
            measured = Path(folder) / "copy.safetensors"
            save_checkpoint(measured, state, public_card(card), half=True)
        classifier = load_classifier(measured, args.device)
        state = read_checkpoint(measured)[0] if args.publish else None
    card, cropper = classifier.card, None
    data = args.data or card.get("data") or "sketchbirds"
    if args.two_stage:
        cropper, two_stage = chosen_cropper(args, card)
    found = evaluate(
        classifier,
        open_split(data, args.root, args.split),
        cropper,
        images_a_pass(args, classifier),
        args.workers,
        progress=not args.quiet and team.is_first,
    )
    if args.publish:
        card = {**card, "data": data, "split": args.split, **found["stage 1"].summary()}
        if two_stage:
            card["two_stage"] = {**found["merged"].summary(), **two_stage}
        path = args.publish
        team.first(lambda: save_checkpoint(path, state, card))
    claimed = claims(card, data, args.split, two_stage)
    verdicts = {
        name: claim == (found[name].correct, found[name].count) for name, claim in claimed.items()
    }
    if team.is_first:
        if args.csv:
            _write(args.csv, found)
        if args.json:
            record = {
                "checkpoint": str(path),
                "data": data,
                "split": args.split,
                **{name: predictions.summary() for name, predictions in found.items()},
                "reproduces_card": all(verdicts.values()) if verdicts else None,
            }
            print(json.dumps(record))
        else:
            print(report(path, card, data, args.split, found, claimed, verdicts))
    return 0 if all(verdicts.values()) else 1


def _check_outputs(checkpoint, csv, publish):
    """Refuse, before anything is measured, what could not or must not be written."""
    from ..support.checkpoints import read_metadata

    for option, target in (("--csv", csv), ("--publish", publish)):
        if target is None:
            continue
        if Path(target).is_dir():
            raise InputError(
                f"{option} {target} is a folder; expected the name of a file to write."
            )
        there = output_path(target, option)
        if there == Path(checkpoint).resolve():
            raise InputError(f"{option} {target} is the checkpoint itself; choose another file.")
        if option == "--publish" and there.exists() and not read_metadata(there):
            raise InputError(f"{option} {target} is no checkpoint; choose another file.")
    if csv and publish and output_path(csv) == output_path(publish):
        raise InputError("--csv and --publish name the same file.")


def report(path, card, data, split, found, claims, verdicts):
    """The lines that ``evaluate`` prints."""
    claimed = {name: f"   card: {right}/{count}" for name, (right, count) in claims.items()}
    lines = [
        f"{name:<8} {p.accuracy:7.2%} ({p.correct}/{p.count}){claimed.get(name, '')}"
        for name, p in found.items()
    ]
    verdict = f"reproduces the card: {'yes' if all(verdicts.values()) else 'no'}"
    verdict = verdict if verdicts else "the card makes no claim about this"
    return "\n".join([f"{path}: {card['model']} on {data}, {split} split", *lines, verdict])


def _write(path, found):
    path = Path(path)
    for name, predictions in found.items():
        target = (
            path
            if len(found) == 1
            else path.with_name(f"{path.stem}-{name.replace(' ', '')}{path.suffix or '.csv'}")
        )
        predictions.write_csv(target)


PARSER = dict(
    run=run_evaluate,
    flags=FLAGS,
    help="accuracy of a checkpoint, in one stage or two",
    description="Measure a checkpoint on a split, count every image once, and compare with "
    "the checkpoint's card. "
    "Exit code 1 if the card is not reproduced.",
)
