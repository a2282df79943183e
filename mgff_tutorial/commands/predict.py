"""``python -m mgff_tutorial predict``: an image or a folder, as a table or as JSON lines.

Under ``accelerate launch`` the processes take the batches in turn; the first one writes and prints
all of them.
"""

import json
import sys
from functools import partial
from pathlib import Path

from ..evaluation.log import HEADER, PredictionLog, name_key, printable, table_row
from ..evaluation.table import PredictionTable
from ..support.errors import CheckpointError, DataError, InputError
from ..support.paths import checkpoints_dir
from ..support.stopping import Stopped, command_with
from . import check_numbers

# what ``evaluate`` and ``predict`` share
MODEL_FLAGS = {
    "--checkpoint": dict(
        metavar="FILE", help="trained classifier (default: the embedded mgff_swin_nano)"
    ),
    "--cropper": dict(
        metavar="VIT",
        help="ViT that points: a model name, or the file of its weights (default: the one that "
        "the checkpoint was trained with)",
    ),
    "--rule": dict(help="how attention becomes a response map (default: the cropper's own)"),
    "--tau": dict(type=float, help="threshold of the response map (default: the rule's own)"),
    "--batch-size": dict(
        type=int, help="images a pass (default: 32; on a CPU fewer where they are large)"
    ),
    "--device": dict(default="auto", help="auto, cpu, cuda, cuda:N or mps"),
    "--quiet": dict(action="store_true", help="no progress bar"),
}
FLAGS = {
    "path": dict(help="an image, or a folder of images (with its sub-folders)"),
    **MODEL_FLAGS,
    "--one-stage": dict(action="store_true", help="classify the whole image only"),
    "--json": dict(action="store_true", help="print JSON lines instead of a table"),
    "--out": dict(
        metavar="FILE", help="write JSON lines to FILE as they come, instead of printing"
    ),
    "--resume": dict(action="store_true", help="continue FILE: images that it holds are left out"),
    "--csv": dict(metavar="FILE", help="write a table for spreadsheets to FILE as well"),
    "--save-figures": dict(
        metavar="DIR", help="write image, response, box and crop of every image to DIR"
    ),
    "--top": dict(type=int, default=3, help="species listed for each image in JSON (default: 3)"),
    "--threads": dict(type=int, default=2, help="threads that decode images (default: 2)"),
}


def default_checkpoint():
    """The classifier that travels with the package."""
    return checkpoints_dir() / "mgff_swin_nano.safetensors"


def chosen_cropper(args, card):
    """(the `ViTCropper` that the command line or else the classifier's card names, what a claim of
    the card calls it).
    """
    from ..evaluation.predict import cropper_of, load_cropper
    from ..support.checkpoints import read_metadata

    usual, file = cropper_of(card), Path(str(card.get("recipe", {}).get("cropper")))
    trained_with = str(file) if file.suffix and file.is_file() else usual["vit"]
    vit = args.cropper or trained_with
    name = read_metadata(vit).get("model", vit) if Path(vit).is_file() else vit
    # another ViT than the usual one looks at its own size and by its own rule
    same = name == usual["vit"] or args.cropper is None
    options = {"rule": args.rule or (usual["rule"] if same else None), "tau": args.tau}
    size = usual["input_size"] if same else None
    return load_cropper(vit, args.device, size, **options), {
        "cropper": usual["vit"] if same else name,
        "rule": options["rule"] or "default",
        "tau": args.tau,
    }


def images_a_pass(args, classifier):
    """``--batch-size``; without it 32, but on a CPU no more than 8 of 224 x 224: more are no
    quicker there, and 32 of them take a gigabyte.
    """
    from ..evaluation.predict import input_side

    if args.batch_size is not None:
        return args.batch_size
    if next(classifier.parameters()).device.type != "cpu":
        return 32
    return max(1, min(32, 8 * 224**2 // input_side(classifier) ** 2))


def look_twice(args, card):
    """The cropper, or None with one line about it where its weights cannot be had and nobody has
    named one.
    """
    if args.one_stage:
        return None
    try:
        return chosen_cropper(args, card)[0]
    except CheckpointError as error:
        if args.cropper:
            raise
        say(f"note: one look only, at whole images: {error}")
        return None


def about_confidence(predictor, card):
    """One line on how far the printed confidence can be believed; None where nothing is known."""
    look = "two looks" if predictor.two_stage else "one look"
    found = (card.get("calibration") or {}).get(look) or {}
    if not {"temperature", "error", "error_before", "count"} <= found.keys():
        return None
    return (
        f"conf. is calibrated (temperature {found['temperature']:.2f}): on {found['count']:,} test "
        f"images it was off by {found['error']:.1%} on average, {found['error_before']:.1%} before."
    )


def run_predict(args):
    """Predict; returns 0, or 1 if a file had to be skipped.

    Raises:
        InputError: no image, a bad checkpoint, or an output file that exists.
    """
    from ..evaluation.figure import save_figure
    from ..evaluation.predict import Predictor, find_images, load_classifier, predict_files
    from ..evaluation.split import Team

    _check(args)
    team = Team(args.device)
    classifier = load_classifier(args.checkpoint or default_checkpoint(), args.device)
    if team.is_first and not args.checkpoint:
        say(
            "note: no --checkpoint, so the tutorial's own classifier answers; it knows "
            f"{len(classifier.card['classes'])} drawn species, and no photograph."
        )
    predictor = Predictor(classifier, look_twice(args, classifier.card), args.top)
    together = images_a_pass(args, classifier)
    if Path(args.path).is_dir():
        predictor.optimise(together)
    log, finished = None, set()
    each = partial(save_figure, args.save_figures) if args.save_figures else None
    if args.out:
        two_stage = predictor.two_stage is not None
        log = team.first(lambda: PredictionLog(args.out, args.resume, predictor.classes, two_stage))
        finished = team.same(log and log.done)
    files = (file for file in find_images(args.path) if name_key(file[0]) not in finished)
    share = team.share(files, together)
    batches = team.together(predict_files(predictor, share, together, args.threads, each))
    if not team.is_first:
        for _ in batches:
            pass
        return 0
    output = Output(args, log)
    output.take(batches)
    return output.summarise(about_confidence(predictor, classifier.card))


def _check(args):
    """Refuse, before anything is loaded, arguments that do not fit, and a folder without images."""
    from ..datasets.folder import unread_hint
    from ..evaluation.predict import find_images

    figures = args.save_figures
    if figures and Path(figures).resolve().is_relative_to(Path(args.path).resolve()):
        raise InputError(
            f"--save-figures {figures} lies in the folder that is predicted, so the figures would "
            "be predicted too; choose another folder."
        )
    if args.save_figures and Path(args.save_figures).is_file():
        raise InputError(f"--save-figures {args.save_figures} is a file; expected a folder.")
    if args.resume and not args.out:
        raise InputError("--resume continues the file of --out; name it.")
    check_numbers(args, batch_size=4096, threads=1024, top=100_000)
    if next(iter(find_images(args.path)), None) is None:
        raise DataError(f"{args.path} holds {unread_hint(args.path) or 'no image'}.")


class Output:
    """Where the records of a run go, and how many there were.

    Args:
        args: of the command. log: the `PredictionLog` of ``--out``, or None.
    """

    def __init__(self, args, log):
        self.args, self.log, self.table = args, log, None
        if args.csv:
            self.table = PredictionTable(args.csv, args.out if args.resume else None)
        self.done = self.skipped = self.strange = 0
        if not args.json and log is None:
            print(HEADER)

    def take(self, batches):
        """Write all batches of records, as they come."""
        from tqdm.auto import tqdm

        quiet = self.args.quiet or self.log is None
        try:
            with tqdm(unit=" images", desc="predicting", disable=quiet, file=sys.stderr) as bar:
                for records in batches:
                    self._write(records)
                    bar.update(len(records))
        except KeyboardInterrupt as stop:
            text = f"stopped: {self.done:,} images predicted"
            if self.log is not None:
                text += f", all in {self.args.out}. Continue with: {command_with('--resume')}"
            raise Stopped(text, getattr(stop, "code", 130)) from None
        finally:
            if self.log is not None:
                self.log.close()
        if self.table is not None:
            self.table.close()

    def _write(self, records):
        if self.log is not None:
            self.log.write(records)
        elif self.args.json:
            print("\n".join(json.dumps(record, allow_nan=False) for record in records), flush=True)
        else:
            print("\n".join(map(table_row, records)), flush=True)
        if self.table is not None:
            self.table.write(records)
        broken = [record["error"] for record in records if "error" in record]
        for error in broken:
            say(f"skipped: {printable(error)}")
        self.done += len(records) - len(broken)
        self.skipped += len(broken)
        self.strange += sum(record.get("familiar") is False for record in records)

    def summarise(self, confidence):
        """Say what was done, and how far it can be believed; returns the command's exit code."""
        args, log = self.args, self.log
        before = f" ({log.skipped:,} of them skipped)" if log and log.skipped else ""
        earlier = f", {len(log.done):,} from before{before}" if log and log.done else ""
        say(f"{self.done:,} images predicted{earlier}, {self.skipped:,} skipped.")
        for target in filter(None, (args.out, args.csv, args.save_figures)):
            say(f"written: {target}")
        if self.strange:
            mark = "" if args.json or log else " (marked ?)"
            say(
                f"{self.strange:,} of them are not like anything the classifier was trained on"
                f"{mark}: do not believe their names."
            )
        if self.done and confidence:
            say(confidence)
        if not self.done and self.skipped and not earlier:
            return 2
        return 1 if self.skipped or before else 0


def say(text):
    """A line for people, beside what programs read."""
    print(text, file=sys.stderr)


PARSER = dict(
    run=run_predict,
    flags=FLAGS,
    help="species of an image or of a folder of images",
    description="Name what is on photographs with a classifier that you have trained: predict "
    "FOLDER --checkpoint runs/mine/best.safetensors. Images are looked at twice, and a folder "
    "is streamed: results are written as they come, broken files are reported and skipped, "
    "and --resume continues a run that was stopped. In the table, a star marks a stage that "
    "alone would have named another species. Without --checkpoint, the classifier of the "
    "tutorial answers, which knows 20 drawn species and no photograph.",
)
