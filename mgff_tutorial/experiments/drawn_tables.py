"""The README's tables of heads on drawn birds: more training images, one factor at a time, the
smallest birds.
"""

from ..renderer.dataset import IMAGES_PER_SPLIT
from .controlled import SWEEPS
from .results import Results, values_by_seed
from .table_cells import ONE_LOOK, STEPS, accuracy, command_block, gain

SMALL = ("scale=0.2", "scale=0.3")  # settings of the controlled experiment in which MGFF gains most
FACTORS = {
    "scale": "bird {} of the picture",
    "camouflage": "camouflage {}",
    "part_scale": "deciding parts {} times natural",
}


def by_training_images(folder, name):
    """Results of an experiment on drawn birds: dict of training images a species -> `Results`,
    those that are stored.
    """
    files = {IMAGES_PER_SPLIT: Results(folder, name)}
    for path in folder.glob(f"{name}-*.csv"):
        files[int(path.stem.rpartition("-")[2])] = Results(folder, path.stem)
    return {count: files[count] for count in sorted(files) if files[count].rows}


def more_images(folder, seeds):
    """Heads against the number of training images: a row for each number, the gain of each head
    over the linear one.
    """
    files = by_training_images(folder, "fusion-sketchbirds")
    if len(files) < 2:
        return ""
    heads = [
        item for item in ONE_LOOK.items() if item[1] in ("mlp-control", "mgff", "mgff-literal")
    ]
    header = "".join(f" {text} | gain |" for text, _ in heads)
    lines, commands = (
        [
            f"| training images a species | linear head |{header}",
            "|---|---|" + "---|---|" * len(heads),
        ],
        [],
    )
    for count, results in files.items():
        cells = [accuracy(results.rows, "baseline", seeds)]
        for _, name in heads:
            cells += [accuracy(results.rows, name, seeds), gain(results.rows, name, "baseline")]
        lines.append(f"| {count} | {' | '.join(cells)} |")
        commands += [row.command for row in results.rows if row.split == "test"]
    return "\n".join(lines) + "\n\n" + command_block(commands)


def one_factor(folder, seeds):
    """Drawn birds under control: a row for each setting, a group of columns for each number of
    training images.
    """
    files = by_training_images(folder, "controlled")
    if not files:
        return ""
    header = "".join(
        f" {count} images a species: linear head | MGFF, gain | MGFF minus control | MGFF, "
        f"two looks |"
        for count in files
    )
    lines = [f"| setting |{header}", "|---|" + 4 * "---|" * len(files)]
    for factor, values in SWEEPS.items():
        for value in values:
            split, cells = f"{factor}={value:g}", []
            for results in files.values():
                cells += [
                    accuracy(results.rows, "baseline/stage1", seeds, split),
                    gain(results.rows, "mgff/stage1", "baseline/stage1", split),
                    gain(results.rows, "mgff/stage1", "mlp-control/stage1", split),
                    accuracy(results.rows, "mgff/merged", seeds, split),
                ]
            lines.append(f"| {FACTORS[factor].format(value)} | {' | '.join(cells)} |")
    heads = {
        f"{name}/{look}"
        for name in ("baseline", "mlp-control", "mgff")
        for look in ("stage1", "merged")
    }
    return (
        "\n".join(lines)
        + "\n\n"
        + command_block(
            [
                row.command
                for results in files.values()
                for row in results.rows
                if row.configuration in heads and row.split != "validation"
            ]
        )
    )


def small_birds(folder, seeds):
    """Each head, one look, where the birds are smallest: accuracy and distance from the complete
    MGFF.
    """
    columns = [
        (count, results.rows, split)
        for count, results in by_training_images(folder, "controlled").items()
        for split in SMALL
    ]
    found = [
        item
        for item in (ONE_LOOK | STEPS).items()
        if any(values_by_seed(rows, f"{item[1]}/stage1", split=split) for _, rows, split in columns)
    ]
    if not found:
        return ""
    header = "".join(
        f" {count} images a species, {FACTORS['scale'].format(split.partition('=')[2])} | "
        f"minus MGFF |"
        for count, _, split in columns
    )
    lines = [f"| one look |{header}", "|---|" + "---|---|" * len(columns)]
    for text, name in found:
        cells = []
        for _, rows, split in columns:
            cells += [
                accuracy(rows, f"{name}/stage1", seeds, split),
                gain(rows, f"{name}/stage1", "mgff/stage1", split),
            ]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return (
        "\n".join(lines)
        + "\n\n"
        + command_block(
            [row.command for _, rows, split in columns for row in rows if row.split == split]
        )
    )
