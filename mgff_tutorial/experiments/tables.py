"""Tables from stored results alone; no number of ours is typed by hand.

    python -m mgff_tutorial ablate --show              prints them
    python -m mgff_tutorial ablate --show --update     writes them into data/results/README.md

There a table stands below its mark ``<!-- results: NAME -->``, and ``<!-- end of results -->``
closes it.
"""

import re
from functools import partial
from pathlib import Path

from ..renderer.dataset import IMAGES_PER_SPLIT
from ..support.errors import DataError, InputError
from ..support.files import atomic_file
from .controlled import SMALL_SIZES, SWEEPS, USUAL
from .costs import METRIC
from .grid import grid, heads, tests
from .intervals import t_interval, wilson_interval
from .labels import (
    BASELINE,
    CONTROL,
    COSTS,
    FACTORS,
    LITERAL,
    LOCALISATION,
    MGFF,
    ONE_LOOK,
    PADDING,
    PROBED,
    REPORTED,
    SCREENED,
    SETS,
    SETTINGS,
    STEPS,
    TWO_LOOKS,
)
from .localisation import METRICS, by_run
from .padding import PADDINGS, SPLIT
from .results import Results, values_by_seed

MARK = re.compile(
    r"(<!-- results: (?P<name>[a-z-]+) -->\n).*?(?=<!-- end of results -->)", re.DOTALL
)


def tables(folder, seeds=5):
    """The tables as Markdown: dict of name -> text, one for each kind of results that the folder
    holds.

    Args:
        folder: of the results files.
        seeds: how many a row should have; one with fewer says so, one with none says "not run".

    Raises:
        InputError: the folder holds no results. DataError: a file is damaged or of another version.
    """
    folder = Path(folder)
    found = {
        "frozen-heads": frozen_heads(folder, seeds),
        "two-sets": two_sets(folder, seeds),
        "probes": probed(folder),
        "screened": screened(folder),
        "more-images": more_images(folder, seeds),
        "frozen-vit": frozen_vit(folder, seeds),
        "costs": what_heads_cost(folder),
        "controlled": one_factor(folder, seeds),
        "new-scenes": one_factor(folder, seeds, "small-birds", SMALL_SIZES),
        "small-birds": small_birds(folder, seeds),
        "fine-tuned-photographs": fine_tuned_on_photographs(folder, seeds),
        "fine-tuned": fine_tuned(folder),
        "localisation": where_is_the_bird(folder, "localisation_cub20"),
        "localisation-unseen": unseen_classes(folder),
        "localisation-drawn": where_is_the_bird(folder, "localisation_sketchbirds"),
        "vit-input-size": input_sizes(folder),
        "padding": margins(folder, seeds),
    }
    found = {name: text for name, text in found.items() if text}
    if not found:
        raise InputError(f"{folder} holds no results for the tables; run an experiment first.")
    return {**found, "reported": reported_table()}


def update(page, found):
    """Put tables into a page, between their marks; what stands elsewhere is not touched.

    Raises:
        DataError: the file cannot be read, or lacks the mark of a table.
    """
    page = Path(page)
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{page} cannot be read: {error.strerror}.") from None
    absent = sorted(set(found) - set(marked(text)))
    if absent:
        raise DataError(
            f"{page} has no mark for {', '.join(absent)}; a mark is a line <!-- results: "
            f"{absent[0]} --> and, below it, a line <!-- end of results -->."
        )
    with atomic_file(page, "w") as stream:
        stream.write(
            MARK.sub(lambda m: m[1] + found[m["name"]] + "\n" if m["name"] in found else m[0], text)
        )


def marked(text):
    """What stands between the marks of a page: dict of name -> text."""
    return {m["name"]: m[0].removeprefix(m[1]).strip() for m in MARK.finditer(text)}


# --- heads on frozen backbones ----------


def frozen_heads(folder, seeds):
    """One look, each part left out, two looks; a column for each data set."""
    files = {
        title: [row for name in names for row in Results(folder, name).rows]
        for title, names in SETTINGS.items()
    }
    lines = [(text, (name, "baseline")) for text, name in ONE_LOOK.items()] + [
        (f"two looks, {head}: {text}", (f"{name}/{look}", f"{name}/{look.split('/')[0]}/stage1"))
        for head, name in (("linear head", "baseline"), ("MGFF", "mgff"))
        for text, look in TWO_LOOKS.items()
    ]
    columns = [
        heads(rows, seeds, [(title, "{}"), ("gain", "{} - {}")]) for title, rows in files.items()
    ]
    rows = [row for rows in files.values() for row in tests(rows)]
    measured = [row for _, (name, _) in lines for row in rows if row.configuration == name]
    return grid("", lines, columns, measured)


def by_training_images(folder, name):
    """Rows of an experiment on drawn birds: dict of training images a species -> rows, those that
    are stored.
    """
    files = {IMAGES_PER_SPLIT: Results(folder, name).rows}
    for path in folder.glob(f"{name}-*.csv"):
        files[int(path.stem.rpartition("-")[2])] = Results(folder, path.stem).rows
    return {count: files[count] for count in sorted(files) if files[count]}


def more_images(folder, seeds):
    """Heads against the number of training images: a row for each number, the gain of each head
    over the linear one.
    """
    files, columns = by_training_images(folder, "fusion-sketchbirds"), [("linear head", "baseline")]
    for text in (CONTROL, MGFF, LITERAL):
        columns += [(text, ONE_LOOK[text]), ("gain", f"{ONE_LOOK[text]} - baseline")]
    lines = [(str(n), heads(rows, seeds, columns)) for n, rows in files.items()]
    cells = " | ".join(title for title, _ in columns), lambda key: key[1](())
    measured = [row for rows in files.values() for row in tests(rows) if len(files) > 1]
    return grid("training images a species", lines, [cells], measured)


def one_factor(folder, seeds, experiment="controlled", sweeps=SWEEPS):
    """Drawn birds under control: a row for each setting, a group of columns for each number of
    training images.
    """
    columns, measured = [], []
    for count, rows in by_training_images(folder, experiment).items():
        group = [
            (f"{count} images a species: linear head", "baseline/stage1"),
            ("MGFF, gain", "mgff/stage1 - baseline/stage1"),
            ("MGFF minus control", "mgff/stage1 - mlp-control/stage1"),
            ("MGFF, two looks", "mgff/merged"),
        ]
        columns.append(heads(rows, seeds, group, "{}"))
        mine = [row for row in rows if row.configuration.split("/")[0] in USUAL]
        measured += [row for row in mine if " at " not in row.metric]
    lines = [
        (FACTORS[factor].format(value), [f"{factor}={value:g}"])
        for factor, values in sweeps.items()
        for value in values
    ]
    return grid("setting", lines, columns, measured)


def small_birds(folder, seeds):
    """Each head, one look, where the birds are smallest: accuracy and distance from the complete
    MGFF.
    """
    columns, measured = [], []
    for count, rows in by_training_images(folder, "controlled").items():
        for size in SMALL_SIZES["scale"]:
            title = f"{count} images a species, {FACTORS['scale'].format(size)}"
            pair = [(title, "{}/stage1"), ("minus MGFF", "{}/stage1 - mgff/stage1")]
            columns.append(heads(rows, seeds, pair, f"scale={size}"))
            measured += [row for row in rows if row.split == f"scale={size}"]
    run = {row.configuration.split("/")[0] for row in measured}
    lines = [(text, [name]) for text, name in (ONE_LOOK | STEPS).items() if name in run]
    return grid("one look", lines, columns, measured)


def frozen_vit(folder, seeds):
    """Heads on a frozen ViT, one look: those that were run."""
    rows = Results(folder, "fusion-cub20-vit_small_patch14_dinov2").rows
    lines = [(text, [name]) for text, name in ONE_LOOK.items() if values_by_seed(rows, name)]
    columns = [heads(rows, seeds, [("one look", "{}"), ("gain", "{} - baseline")])]
    return grid("photographs: CUB-20, ViT-S/14 (DINOv2), 168 x 168", lines, columns, rows)


def two_sets(folder, seeds):
    """One look and two on a better backbone: a line for each head and look, columns for the classes
    on which everything was chosen and for those on which nothing was.
    """
    files = {
        title: Results(folder, f"looks-{name}-tf_efficientnet_lite2").rows
        for name, title in SETS.items()
    }
    lines = [
        (f"{head}: {text}", (name, look, against))
        for head, name in ((BASELINE, "baseline"), (CONTROL, "mlp-control"), (MGFF, "mgff"))
        if any(values_by_seed(rows, f"{name}/stage1") for rows in files.values())
        for text, look, against in (
            ("one look", "stage1", "baseline/stage1"),
            ("crop alone", "stage2-cropper", f"{name}/stage1"),
            ("central crop alone", "stage2-central", f"{name}/stage1"),
            ("annotated box alone", "stage2-truth", f"{name}/stage1"),
            ("merged", "merged-cropper", f"{name}/stage1"),
            ("merged, central crops", "merged-central", f"{name}/stage1"),
            ("merged, annotated boxes", "merged-truth", f"{name}/stage1"),
        )
    ]
    columns = [
        heads(rows, seeds, [(title, "{0}/{1}"), ("gain", "{0}/{1} - {2}")])
        for title, rows in files.items()
    ]
    measured = [row for rows in files.values() for row in tests(rows)]
    return grid("EfficientNet-Lite2, frozen, 260 x 260", lines, columns, measured)


def probed(folder):
    """A linear layer on each granularity alone, for both sets of classes."""
    files = {
        title: Results(folder, f"probes-{name}-tf_efficientnet_lite2").rows
        for name, title in SETS.items()
    }
    lines = [(text, [name]) for text, name in PROBED.items()]
    rows = [row for rows in files.values() for row in tests(rows)]
    seeds = len({row.seed for row in rows})
    columns = [heads(rows, seeds, [(title, "{}")]) for title, rows in files.items()]
    return grid("a linear layer on", lines, columns, rows)


def screened(folder):
    """What the field adds, at its better rate, on validation images alone."""
    rows = Results(folder, "granularities-cub20-tf_efficientnet_lite0").rows
    trial = re.compile("accuracy at .*,epochs=12")
    rows = [r for r in rows if r.split == "validation" and trial.fullmatch(r.metric)]
    found = {
        text: [row.value for row in rows if row.configuration == name]
        for text, name in SCREENED.items()
    }
    lines = [(text, values) for text, values in found.items() if values]
    cells = lambda values: f"{100 * max(values):.1f} | {len(values)}"
    new = [row for row in rows if "granularities" in row.command]
    columns = [("accuracy on 180 validation images, % | rates tried", cells)]
    return grid("EfficientNet-Lite0, frozen, 160 x 160", lines, columns, new)


def what_heads_cost(folder):
    """Parameters, FLOPs and time of each head, a group of columns for each backbone."""
    files = {title: Results(folder, name).rows for title, name in COSTS.items()}
    return costs_table(files, ONE_LOOK, [row for rows in files.values() for row in rows])


def costs_table(files, labels, measured=None):
    """Parameters, FLOPs and time relative to the linear head's, whose own stands beside it.

    Args:
        files: title (of a backbone) -> rows of its results file.
        labels: what the table calls a configuration -> its name; those without a row in any file
            are left out.
    """

    def cells(rows, name):
        for row in rows:
            if row.configuration == name:
                own = f" ({1000 * row.seconds:.1f} ms)" if name == "baseline" else ""
                return f"{row.params / 1e6:.3f} M | {row.flops / 1e9:.3f} G | {row.value:.2f}{own}"
        return "not run |  | "

    run = {row.configuration for rows in files.values() for row in rows}
    titles = "{}: trained parameters | FLOPs an image | time"
    columns = [(titles.format(name), partial(cells, rows)) for name, rows in files.items()]
    return grid("", [line for line in labels.items() if line[1] in run], columns, measured)


def margins(folder, seeds):
    """The linear head on crops of several margins, on the training images, by cross-validation."""

    def boxes(rows, key):
        values = {r.metric: r.value for r in rows if r.configuration == "padding={:g}".format(*key)}
        numbers = [values.get(metric) for metric in ("mean IoU", "parts kept")]
        return " | ".join("not run" if n is None else f"{n:.3f}" for n in numbers)

    columns, measured = [], []
    head = "baseline/padding={:g}"
    looks = [("crop alone", f"{head}/stage2"), ("merged", f"{head}/merged")]
    for title, name in PADDING.items():
        rows = [row for row in Results(folder, name).rows if row.split == SPLIT]
        columns.append((f"{title}: mean IoU | parts inside", partial(boxes, rows)))
        columns.append(heads(rows, seeds, looks, SPLIT))
        measured += rows
    return grid("padding", [(f"{100 * p:g} %", [p]) for p in PADDINGS], columns, measured)


# --- whole models, boxes, and what others report ----------


def fine_tuned(folder):
    """Whole models trained end to end on SketchBirds: one look, the crop alone, both merged."""
    rows = Results(folder, "finetuned-sketchbirds").rows
    seeds = sorted({row.seed for row in rows})
    looks = [
        ("one look", "{}/stage1"),
        ("crop alone", "{}/stage2"),
        ("merged", "{}/merged"),
        ("merged minus one look", "{0}/merged - {0}/stage1"),
    ]
    lines = [(BASELINE, ["swin_nano"]), ("MGFF", ["mgff_swin_nano"])]
    note = f"# seed {seeds[0]}; the other seeds likewise" if len(seeds) > 1 else None
    measured = [row for row in rows if row.seed == seeds[0]]
    columns = [heads(rows, len(seeds), looks)]
    return grid("`swin_nano`, 96 x 96", lines, columns, measured, note)


def fine_tuned_on_photographs(folder, seeds):
    """Whole models trained end to end on CUB-20: one look, the crop alone, both merged, ceiling and
    floor.

    Below them what papers report for the whole data set, marked as such.
    """
    rows = Results(folder, "finetuned-cub20-tf_efficientnet_lite0").rows
    columns = [
        ("one look", "{}/stage1"),
        ("minus the linear head", "{}/stage1 - baseline/stage1"),
        ("crop alone", "{}/stage2-cropper"),
        ("merged", "{}/merged-cropper"),
        ("merged minus one look", "{0}/merged-cropper - {0}/stage1"),
        ("merged, annotated boxes", "{}/merged-truth"),
        ("merged, central boxes", "{}/merged-central"),
    ]
    titles, cells = heads(rows, seeds, columns)
    lines = [(text, [ONE_LOOK[text]]) for text in (BASELINE, MGFF, LITERAL)]
    for method, backbone, number, _ in REPORTED:  # the paper's is that of its two stages
        place = 3 if method == REPORTED[0][0] else 0
        reported = [f"{number} (reported)" if i == place else "" for i in range(len(columns))]
        lines.append((f"*{method}, {backbone}, all 200 species*", reported))
    columns = [(titles, lambda key: " | ".join(key) if len(key) > 1 else cells(key))]
    return grid("EfficientNet-Lite0, 224 x 224", lines, columns, rows)


def reported_table():
    """What papers report, every number marked as reported."""
    lines = [
        (method, " | ".join([of, *(f"{n} (reported)" if n else "-" for n in numbers)]))
        for method, of, *numbers in REPORTED
    ]
    return grid("method", lines, [("backbone | CUB-200-2011, % | NABirds, %", str)])


def where_is_the_bird(folder, experiment):
    """Every rule at the input size that most rules were scored at, on the test split."""
    results = Results(folder, experiment)
    sizes = [run.partition("@")[2] for run, split in by_run(results.rows) if split == "test"]
    usual = max(filter(None, sizes), key=sizes.count, default=None)
    table = localisation_table(results, "test", lambda rule, size: size in ("", usual))
    return f"{LOCALISATION[experiment]}:\n\n{table}" if usual else ""


def unseen_classes(folder):
    """Photographs of classes on which no rule was chosen, both splits."""
    results = Results(folder, "localisation_cub15")
    table = localisation_table(results, commands=True)
    text = f"15 other classes of CUB-200-2011, on which nothing was chosen:\n\n{table}"
    return text if results.rows else ""


def input_sizes(folder):
    """The default rule against the side of the ViT's input, on photographs."""
    results = Results(folder, "localisation_cub20")
    table = localisation_table(results, "test", lambda rule, size: rule == "attended_object", True)
    several = table.count("| attended_object |") > 1
    return f"The default rule against the side of the ViT's input:\n\n{table}" if several else ""


def localisation_table(
    results, split=None, keep=lambda rule, size: True, by_size=False, commands=False
):
    """Scores of rules with 95 % intervals over the images (t for means, Wilson for shares).

    Args:
        results: `Results` of the experiment ``localisation``. split: one split, or None for all.
        commands: whether they stand below all splits too, as below one.
        keep: function of a rule and its input size (text, empty for baselines): whether it gets a
            row. by_size: in the order of input sizes.
    """

    def cell(row):
        if row is None:
            return ""
        iou = results.predictions.get(f"{row.configuration}/{row.split}/iou")
        found = wilson_interval(round(row.value * row.n), row.n)
        if row.metric == "mean IoU":
            found = None if iou is None else t_interval(iou)
        return f"{row.value:.3f}" + (f" ({found.low:.2f} to {found.high:.2f})" if found else "")

    def cells(rows):
        name, images = next((row.configuration, row.n) for row in rows.values())
        shown = [cell(rows.get(metric)) for metric in list(METRICS)[:3]]
        return " | ".join([name.partition("@")[2], str(images), *shown])

    runs = [
        (*name.partition("@")[::2], where, rows)
        for (name, where), rows in by_run(results.rows).items()
        if split in (None, where) and keep(*name.partition("@")[::2])
    ]
    runs = sorted(runs, key=lambda run: int(run[1] or 0) if by_size else 0)
    lines = [(rule if split else f"{rule}, {where}", rows) for rule, _, where, rows in runs]
    kept = [row for *_, rows in runs for row in rows.values()]
    measured = [row for row in results.rows if row in kept] if split or commands else None
    columns = [(" | ".join(["ViT's input", "images", *list(METRICS)[:3]]), cells)]
    return grid("rule", lines, columns, measured)


def results_table(results, seeds):
    """A table of all that a results file holds but the trials: boxes, costs, or the accuracy in per
    cent with the difference from the baseline, parameters, FLOPs and time.

    Args:
        results: `Results`. seeds: how many were asked for; fewer are shown as "(3 of 5 seeds)".
    """
    rows = [row for row in results.rows if " at " not in row.metric]  # without the trials
    metrics, first = {row.metric for row in rows}, {row.key[::2]: row for row in reversed(rows)}
    if "mean IoU" in metrics and "accuracy" not in metrics:
        return localisation_table(results)
    if METRIC in metrics:
        names = [row.configuration for row in rows]
        return costs_table({results.experiment: rows}, dict(zip(names, names)))

    def cost(key):
        row = first[key]
        return f"{row.params / 1e6:.2f} M | {row.flops / 1e9:.2f} G | {1000 * row.seconds:.1f}"

    splits = list(dict.fromkeys(row.split for row in rows))
    runs = dict.fromkeys(row.key[::2] for row in rows if row.metric == "accuracy")
    lines = [
        (name if splits == ["test"] else f"{name}, {split}", (name, split))
        for name, split in sorted(runs, key=lambda run: splits.index(run[1]))
    ]
    columns = [("accuracy, %", "{}"), ("minus the baseline", "{} - baseline")]
    costs = ("trained parameters | FLOPs an image | ms an image", cost)
    return grid("configuration", lines, [heads(rows, seeds, columns, "{1}"), costs])
