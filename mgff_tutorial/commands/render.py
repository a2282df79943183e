"""``python -m mgff_tutorial render``: the whole data set, one picture, or a sheet of all
species.
"""

import re
from pathlib import Path

from PIL import Image

from ..renderer import contact_sheet, render
from ..renderer.backgrounds import BACKGROUNDS
from ..renderer.bird import POSES
from ..renderer.dataset import compare_with_render, verify_sketchbirds, write_sketchbirds
from ..support.errors import InputError
from ..support.files import atomic_file, output_path
from ..support.paths import sketchbirds_dir

FLAGS = {
    "--out": dict(
        type=Path,
        metavar="PATH",
        help="folder of the data set to write or verify; with --species, the picture's file",
    ),
    "--training-images": dict(
        type=int,
        metavar="N",
        help="with --out DIR: training pictures of each species, up to 1,000 (default 30)",
    ),
    "--verify": dict(action="store_true", help="check the files against checksums.txt"),
    "--compare": dict(action="store_true", help="draw every picture again and compare pixels"),
    "--sheet": dict(type=Path, metavar="FILE", help="write a contact sheet of the 20 species"),
    "--species": dict(metavar="NAME_OR_INDEX", help="draw one picture of this species"),
    "--seed": dict(type=int, default=0, help="place, light and pose (default 0)"),
    "--size": dict(type=int, default=256, help="side in pixels (default 256)"),
    "--scale": dict(type=float, help="longer side of the bird, fraction of the picture's"),
    "--camouflage": dict(type=float, help="0 to 1: surroundings in the bird's colours"),
    "--part-scale": dict(type=float, help="0.25 to 3: size of the parts that tell species apart"),
    "--background": dict(choices=list(BACKGROUNDS)),
    "--pose": dict(choices=list(POSES)),
    "--occluders": dict(type=int, help="0 to 8 twigs and leaves in front"),
}


def run_render(args):
    """Do what the arguments ask; returns 0, or 1 if verification failed.

    Raises:
        InputError: values that do not fit together or are out of range.
    """
    options = {
        "size": args.size,
        "scale": args.scale,
        "camouflage": args.camouflage,
        "part_scale": args.part_scale,
        "background": args.background,
        "pose": args.pose,
        "occluders": args.occluders,
    }
    if args.training_images is not None and (
        args.out is None or args.species is not None or args.verify or args.compare
    ):
        raise InputError("--training-images belongs to --out DIR, which writes a data set.")
    for option, target in (("--sheet", args.sheet), ("--out", args.out)):
        if target is not None and (option == "--sheet" or args.species is not None):
            output_path(target, option)
    if args.sheet is not None:
        _save(contact_sheet(seed=args.seed, **options), args.sheet)
        print(f"a sheet of all species: {args.sheet}")
    if args.species is not None:
        if args.verify or args.compare:
            raise InputError(
                "--species draws one picture; it does not go with --verify or --compare."
            )
        if args.out is None:
            raise InputError("--species needs --out FILE.png for the picture.")
        is_index = re.fullmatch(r"-?[0-9]{1,9}", args.species)
        species = int(args.species) if is_index else args.species
        scene = render(species, args.seed, **options)
        _save(scene.image, args.out)
        x0, y0, x1, y1 = (round(v) for v in scene.box)
        print(f"{scene.species.name}, box {x0} {y0} {x1} {y1}: {args.out}")
        return 0
    if args.verify or args.compare:
        root = args.out or sketchbirds_dir()
        checks = [verify_sketchbirds(root)] if args.verify else []
        checks += [compare_with_render(root, progress=True)] if args.compare else []
        print(root, *checks, sep="\n")
        return 0 if all(check.ok for check in checks) else 1
    if args.out is not None:
        if args.out.suffix.lower() in Image.registered_extensions():
            raise InputError(
                f"--out {args.out} looks like a picture's file; the data set needs a folder, "
                f"one picture "
                "needs --species."
            )
        root = write_sketchbirds(args.out, training_images=args.training_images)
        print(f"{root}: {verify_sketchbirds(root)}")
    elif args.sheet is None:
        raise InputError(
            "Nothing to draw: give --out DIR, --species with --out FILE, --sheet FILE or --verify."
        )
    return 0


def _save(image, path):
    form = Image.registered_extensions().get(path.suffix.lower())
    if form is None:
        raise InputError(f"{path} has no ending of a picture format; use .png or .jpg.")
    try:
        with atomic_file(path) as stream:
            image.save(stream, format=form)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}.") from None


PARSER = dict(
    run=run_render,
    flags=FLAGS,
    help="draw SketchBirds: the data set, one picture, or a contact sheet",
    description="Draw birds. --out DIR writes the data set; --species draws one picture; "
    "--sheet a contact sheet; "
    "--verify checks the files of a data set.",
)
