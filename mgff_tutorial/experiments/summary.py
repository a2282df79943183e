"""The README's tables on what each part brings, from the stored results alone; no number is typed
by hand.

    python -m mgff_tutorial ablate --show                       prints them
    python -m mgff_tutorial ablate --show --update README.md    writes them between the README's
    marks

A mark is ``<!-- results: NAME -->``, and ``<!-- end of results -->`` closes it.
"""

import re
from pathlib import Path

from ..support.errors import DataError, InputError
from ..support.files import atomic_file
from .costs import costs_table
from .drawn_tables import more_images, one_factor, small_birds
from .localisation_study import localisation_table
from .padding import PADDINGS, SPLIT
from .reported import REPORTED, reported_table
from .results import Results, values_by_seed
from .table_cells import ONE_LOOK, accuracy, command_block, gain

SETTINGS = {  # column -> (results of heads that look once, results of heads that look twice)
    "photographs: CUB-20, EfficientNet-Lite0": (
        "fusion-cub20-tf_efficientnet_lite0",
        "two-stage-cub20-tf_efficientnet_lite0",
    ),
    "drawn birds: SketchBirds, `swin_nano`": ("fusion-sketchbirds", "two-stage-sketchbirds"),
}
# row -> configuration after the head's name; the gain is over the same head's one look
TWO_LOOKS = {
    "crop alone": "whole/stage2-cropper",
    "**merged**": "whole/merged-cropper",
    "merged, annotated boxes (ceiling)": "whole/merged-truth",
    "merged, central boxes (floor)": "whole/merged-central",
    "merged, trained with crops as well": "crops/merged-cropper",
}
LOCALISATION = {  # results -> what was localised by what
    "localisation_cub20": "Photographs (20 classes of CUB-200-2011), ViT-S/14 trained without "
    "labels (DINOv2)",
    "localisation_sketchbirds": "SketchBirds, `vit_nano`",
}
COSTS = {  # column -> results of what heads cost
    "EfficientNet-Lite0 at 160": "cost-cub20-tf_efficientnet_lite0",
    "ViT-S/14 at 168": "cost-cub20-vit_small_patch14_dinov2",
    "`swin_nano` at 96": "cost-sketchbirds",
}
PADDING = {  # column -> results of margins around the box
    "photographs: CUB-20, EfficientNet-Lite0": "padding-cub20-tf_efficientnet_lite0",
    "drawn birds: SketchBirds, `swin_nano`": "padding-sketchbirds",
}
FINETUNED = {"linear head (baseline)": "swin_nano", "MGFF": "mgff_swin_nano"}
FROZEN_VIT = "fusion-cub20-vit_small_patch14_dinov2"
PHOTOGRAPHS = "finetuned-cub20-tf_efficientnet_lite0"
FINETUNED_ON_PHOTOGRAPHS = {
    "linear head (baseline)": "baseline",
    "MGFF, default": "mgff",
    "MGFF, `literal`": "mgff-literal",
}
MARK = re.compile(
    r"(<!-- results: (?P<name>[a-z-]+) -->\n).*?(?=<!-- end of results -->)", re.DOTALL
)


def tables(folder, seeds=5):
    """The README's tables as Markdown: dict of name -> text, one for each kind of results that the
    folder holds.

    Args:
        folder: of the results files.
        seeds: how many a row should have; one with fewer says so, one with none says "not run".

    Raises:
        InputError: the folder holds no results. DataError: a file is damaged or of another version.
    """
    folder = Path(folder)
    found = {
        "frozen-heads": frozen_heads(folder, seeds),
        "more-images": more_images(folder, seeds),
        "controlled": one_factor(folder, seeds),
        "small-birds": small_birds(folder, seeds),
        "frozen-vit": frozen_vit(folder, seeds),
        "costs": what_heads_cost(folder),
        "fine-tuned-photographs": fine_tuned_on_photographs(folder, seeds),
        "fine-tuned": fine_tuned(folder),
        "localisation": where_is_the_bird(folder, "localisation_cub20"),
        "localisation-drawn": where_is_the_bird(folder, "localisation_sketchbirds"),
        "vit-input-size": input_sizes(folder),
        "padding": margins(folder, seeds),
    }
    found = {name: text for name, text in found.items() if text}
    if not found:
        raise InputError(
            f"{folder} holds no results for the README's tables; run an experiment first."
        )
    return {**found, "reported": reported_table()}


def update(readme, found):
    """Put tables into the README, between their marks; what stands elsewhere is not touched.

    Raises:
        DataError: the file cannot be read, or lacks the mark of a table.
    """
    readme = Path(readme)
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{readme} cannot be read: {error.strerror}.") from None
    absent = sorted(set(found) - set(marked(text)))
    if absent:
        raise DataError(
            f"{readme} has no mark for {', '.join(absent)}; a mark is a line <!-- results: "
            f"{absent[0]} --> "
            "and, below it, a line <!-- end of results -->."
        )
    with atomic_file(readme, "w") as stream:
        stream.write(
            MARK.sub(
                lambda m: (
                    m[1] + found.get(m["name"], "").rstrip() + "\n" if m["name"] in found else m[0]
                ),
                text,
            )
        )


def marked(text):
    """What stands between the marks of a README: dict of name -> text."""
    return {m["name"]: m[0].removeprefix(m[1]).strip() for m in MARK.finditer(text)}


def frozen_heads(folder, seeds):
    """Heads on frozen backbones: one look, each part left out, two looks; a column for each data
    set.
    """
    files = {title: [Results(folder, name) for name in names] for title, names in SETTINGS.items()}
    if not any(results.rows for pair in files.values() for results in pair):
        return ""
    header = "".join(f" {title} | gain |" for title in files)
    lines, commands = [f"| |{header}", "|---|" + "---|---|" * len(files)], []
    rows = [(text, 0, name, "baseline") for text, name in ONE_LOOK.items()]
    rows += [
        (f"two looks, {head}: {text}", 1, f"{name}/{rest}", f"{name}/{rest.split('/')[0]}/stage1")
        for head, name in (("linear head", "baseline"), ("MGFF", "mgff"))
        for text, rest in TWO_LOOKS.items()
    ]
    for text, which, name, reference in rows:
        cells = []
        for pair in files.values():
            cells += [
                accuracy(pair[which].rows, name, seeds),
                gain(pair[which].rows, name, reference),
            ]
            commands += [
                row.command
                for row in pair[which].rows
                if (row.configuration, row.split) == (name, "test")
            ]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n\n" + command_block(commands)


def frozen_vit(folder, seeds):
    """Heads on a frozen ViT, one look: those that were run."""
    rows = Results(folder, FROZEN_VIT).rows
    if not rows:
        return ""
    lines = [
        "| photographs: CUB-20, ViT-S/14 (DINOv2), 168 x 168 | one look | gain |",
        "|---|---|---|",
    ]
    lines += [
        f"| {text} | {accuracy(rows, name, seeds)} | {gain(rows, name, 'baseline')} |"
        for text, name in ONE_LOOK.items()
        if values_by_seed(rows, name)
    ]
    return "\n".join(lines) + "\n\n" + command_block([row.command for row in rows])


def what_heads_cost(folder):
    """Parameters, FLOPs and time of each head, a group of columns for each backbone."""
    columns = {title: Results(folder, name).rows for title, name in COSTS.items()}
    if not any(columns.values()):
        return ""
    commands = [row.command for rows in columns.values() for row in rows]
    return costs_table(columns, ONE_LOOK) + "\n\n" + command_block(commands)


def fine_tuned(folder):
    """Whole models trained end to end on SketchBirds: one look, the crop alone, both merged."""
    rows = Results(folder, "finetuned-sketchbirds").rows
    if not rows:
        return ""
    seeds = len({row.seed for row in rows})
    header = "| `swin_nano`, 96 x 96 | one look | crop alone | merged | merged minus one look |"
    lines = [header, "|---|---|---|---|---|"]
    for text, name in FINETUNED.items():
        cells = [
            accuracy(rows, f"{name}/{stage}", seeds) for stage in ("stage1", "stage2", "merged")
        ]
        lines.append(
            f"| {text} | {' | '.join(cells)} | {gain(rows, f'{name}/merged', f'{name}/stage1')} |"
        )
    first = min(row.seed for row in rows)
    note = f"# seed {first}; the other seeds likewise" if seeds > 1 else None
    return (
        "\n".join(lines)
        + "\n\n"
        + command_block([row.command for row in rows if row.seed == first], note)
    )


def fine_tuned_on_photographs(folder, seeds):
    """Whole models trained end to end on CUB-20: one look, the crop alone, both merged, ceiling and
    floor.

    Below them what papers report for the whole data set, marked as such.
    """
    rows = Results(folder, PHOTOGRAPHS).rows
    if not rows:
        return ""
    stages = ("stage1", "stage2-cropper", "merged-cropper", "merged-truth", "merged-central")
    lines = [
        "| EfficientNet-Lite0, 224 x 224 | one look | minus the linear head | crop alone | merged "
        "| merged minus one "
        "look | merged, annotated boxes | merged, central boxes |",
        "|" + 8 * "---|",
    ]
    for text, name in FINETUNED_ON_PHOTOGRAPHS.items():
        one, crop, merged, ceiling, floor = (
            accuracy(rows, f"{name}/{stage}", seeds) for stage in stages
        )
        over = gain(rows, f"{name}/stage1", "baseline/stage1")
        second = gain(rows, f"{name}/merged-cropper", f"{name}/stage1")
        lines.append(
            f"| {text} | {one} | {over} | {crop} | {merged} | {second} | {ceiling} | {floor} |"
        )
    for (
        method,
        backbone,
        accuracy_on_cub,
        _,
    ) in REPORTED:  # the paper's number is that of its two stages
        one, merged = ("", accuracy_on_cub) if method == REPORTED[0][0] else (accuracy_on_cub, "")
        cells = " | ".join(
            f"{number} (reported)" if number else "" for number in (one, "", "", merged)
        )
        lines.append(f"| *{method}, {backbone}, all 200 species* | {cells} |  |  |  |")
    return "\n".join(lines) + "\n\n" + command_block([row.command for row in rows])


def where_is_the_bird(folder, experiment):
    """Every rule at the input size that most rules were scored at, on the test split."""
    results = Results(folder, experiment)
    sizes = [row.configuration.partition("@")[2] for row in results.rows if row.split == "test"]
    sizes = [size for size in sizes if size]
    if not sizes:
        return ""
    usual = max(sizes, key=sizes.count)
    table = localisation_table(
        results, "test", lambda score: str(score.input_size or usual) == usual
    )
    block = command_block(_commands_of(results, lambda size: size in ("", usual)))
    return f"{LOCALISATION[experiment]}:\n\n{table}\n\n{block}"


def input_sizes(folder):
    """The default rule against the side of the ViT's input, on photographs."""
    results = Results(folder, "localisation_cub20")
    names = {
        row.configuration
        for row in results.rows
        if row.split == "test" and row.configuration.startswith("attended_object@")
    }
    if len(names) < 2:
        return ""
    table = localisation_table(
        results,
        "test",
        lambda score: score.rule == "attended_object",
        lambda score: score.input_size,
    )
    block = command_block(_commands_of(results, lambda size: size != "", "attended_object"))
    return "The default rule against the side of the ViT's input:\n\n" + table + "\n\n" + block


def margins(folder, seeds):
    """The linear head on crops of several margins, on the training images, by cross-validation."""
    columns = {title: Results(folder, name).rows for title, name in PADDING.items()}
    if not any(columns.values()):
        return ""
    header = "".join(
        f" {title}: mean IoU | parts inside | crop alone | merged |" for title in columns
    )
    lines = [f"| padding |{header}", "|---|" + "---|---|---|---|" * len(columns)]
    for p in PADDINGS:
        cells = []
        for rows in columns.values():
            for metric in ("mean IoU", "parts kept"):
                values = values_by_seed(rows, f"padding={p:g}", metric, SPLIT)
                cells.append(f"{values[0]:.3f}" if values else "not run")
            cells += [
                accuracy(rows, f"baseline/padding={p:g}/{look}", seeds, SPLIT)
                for look in ("stage2", "merged")
            ]
        lines.append(f"| {100 * p:g} % | {' | '.join(cells)} |")
    return (
        "\n".join(lines)
        + "\n\n"
        + command_block(
            [row.command for rows in columns.values() for row in rows if row.split == SPLIT]
        )
    )


def _commands_of(results, wanted, rule=None):
    """Commands of the test rows whose input size (a text, empty for baselines) is wanted."""
    out = []
    for row in results.rows:
        name, _, size = row.configuration.partition("@")
        if row.split == "test" and wanted(size) and (rule is None or name == rule):
            out.append(row.command)
    return out
