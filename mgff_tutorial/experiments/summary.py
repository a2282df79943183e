"""The one table of the README: what each part of the system brings, from the stored results alone."""

from .results import paired_difference, stored_results, summarise

SETTINGS = {  # title -> (results of the heads, results of the two looks, head that looks twice)
    "photographs (20 classes of CUB)": ("fusion-cub20-tf_efficientnet_lite0", "two-stage-cub20-tf_efficientnet_lite0",
                                        "baseline"),
    "drawn birds (SketchBirds)": ("fusion-sketchbirds", "two-stage-sketchbirds", "mgff"),
}
HEADS = {  # what the table says -> configuration
    "MGFF (default)": "mgff",
    "MGFF, the paper's text to the letter": "mgff-literal",
    "as many parameters without MGFF": "mlp-control",
}
LOOKS = {  # what the table says -> (configuration, compared with)
    "second look: crop by the ViT": ("merged-cropper", "stage1"),
    "second look: central box (floor)": ("merged-central", "stage1"),
    "second look: annotated box (ceiling)": ("merged-truth", "stage1"),
}


def what_each_part_brings(seeds=5, training="crops"):
    """Markdown: a row for each part and data set, its accuracy, the paired difference, and the command of the row.

    Args:
        seeds: how many every row must have.
        training: of the rows on the second look, see `ablation.two_stage`.

    Raises:
        InputError: seeds are missing. DataError: results are missing.
    """
    lines = ["| data | part | accuracy, % | gain, points | command |", "|---|---|---|---|---|"]
    for title, (heads, looks, head) in SETTINGS.items():
        rows = stored_results(heads).rows
        lines.append(_line(rows, title, "plain baseline", "baseline", None, seeds))
        lines += [_line(rows, title, f"+ {text}", name, "baseline", seeds) for text, name in HEADS.items()]
        rows = stored_results(looks).rows
        for text, (name, reference) in LOOKS.items():
            names = [f"{head}/{training}/{one}" for one in (name, reference)]
            lines.append(_line(rows, title, f"{head} + {text}", *names, seeds))
    return "\n".join(lines)


def _line(rows, title, text, name, reference, seeds):
    estimate = summarise(rows, seeds, configurations=[name])[name]
    gain = ""
    if reference is not None:
        d = paired_difference(rows, name, reference)
        gain = f"{100 * d.mean:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})"
    command = next(row.command for row in rows if row.configuration == name and row.split == "test")
    return f"| {title} | {text} | {estimate} | {gain} | `{command}` |"
