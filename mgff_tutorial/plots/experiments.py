"""Figures of results: bars with intervals, curves with bands, confusion by genus, failures, and a
lucky choice.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from .style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    draw_band,
    frame,
    panels,
    show_image,
)

COLOURS = {"baseline": GREY, "mgff": BLUE, "literal": ORANGE, "control": PURPLE, "part": GREEN}


def draw_ablation(tables, baseline="baseline"):
    """Horizontal bars, one panel a data set: mean accuracy, and the 95 % interval over seeds as a
    whisker.

    Args:
        tables: dict title -> dict configuration -> `Estimate` (from `summarise`).
        baseline: the configuration that the dashed line marks.
    """
    rows = max(len(table) for table in tables.values())
    figure, axes = plt.subplots(
        1,
        len(tables),
        figsize=(5.2 * len(tables), 0.36 * rows + 1.3),
        layout="constrained",
        squeeze=False,
    )
    for ax, (title, table) in zip(axes[0], tables.items()):
        names = list(table)
        means = [100 * table[name].mean for name in names]
        sns.barplot(
            x=means,
            y=names,
            hue=names,
            palette=[_colour(name) for name in names],
            legend=False,
            ax=ax,
            orient="h",
            width=0.7,
        )
        for place, name in enumerate(names):
            ax.plot(
                [100 * table[name].low, 100 * table[name].high],
                [place, place],
                color="black",
                linewidth=1.6,
            )
            ax.text(
                1.0,
                place,
                f"{means[place]:.1f}",
                transform=ax.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=9.5,
            )  # a column at the edge, where neither whiskers nor the dashed line reach
        ax.axvline(100 * table[baseline].mean, color="black", linestyle="--", linewidth=0.8)
        lows, highs = [100 * e.low for e in table.values()], [100 * e.high for e in table.values()]
        span = max(highs) - min(lows)
        ax.set(
            title=title,
            xlabel="accuracy on test images, %",
            ylabel="",
            xlim=(min(lows) - 0.15 * span, max(highs) + 0.22 * span),
        )
    return figure


def _colour(name):
    if name == "baseline":
        return COLOURS["baseline"]
    if "control" in name:
        return COLOURS["control"]
    if "literal" in name:
        return COLOURS["literal"]
    return COLOURS["part"] if "-no-" in name or "without" in name else COLOURS["mgff"]


def draw_sources(tables, baseline="stage1"):
    """Points with intervals for both looks: whole image, crop, merged, for each source of
    crops.

    Args:
        tables: dict title -> dict name -> `Estimate`; names are ``stage1``, ``stage2-<source>``,
            ``merged-<source>``.
    """
    figure, axes = plt.subplots(
        1, len(tables), figsize=(5.0 * len(tables), 3.6), layout="constrained", squeeze=False
    )
    order = {"central": "central box", "cropper": "ViT cropper", "truth": "annotated box"}
    for ax, (title, table) in zip(axes[0], tables.items()):
        first = table[baseline]
        ax.axhspan(100 * first.low, 100 * first.high, color=GREY, alpha=0.25, linewidth=0)
        ax.axhline(100 * first.mean, color=GREY, linewidth=1.4, label="one look alone")
        for offset, stage, colour in ((-0.1, "stage2", ORANGE), (0.1, "merged", BLUE)):
            found = [table[f"{stage}-{source}"] for source in order]
            means = np.array([100 * e.mean for e in found])
            error = np.array([[100 * (e.mean - e.low), 100 * (e.high - e.mean)] for e in found]).T
            ax.errorbar(
                np.arange(3) + offset,
                means,
                error,
                fmt="o",
                capsize=4,
                color=colour,
                label={"stage2": "the crop alone", "merged": "both, merged"}[stage],
            )
        ax.set_xticks(range(3), order.values())
        ax.set(title=title, ylabel="accuracy on test images, %", xlim=(-0.5, 2.5))
        ax.legend(frameon=False, fontsize=9)
    return figure


def draw_curves(curves, labels, ylabel="accuracy, %"):
    """Accuracy (or a difference) against one factor a panel, with the 95 % interval over seeds as a
    band.

    Args:
        curves: dict factor -> dict configuration -> (values, list of `Estimate`).
        labels: dict configuration -> (text, colour).
        ylabel: what the estimates are, in per cent or points.
    """
    figure, axes = plt.subplots(
        1,
        len(curves),
        figsize=(4.1 * len(curves), 3.5),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    names = {
        "scale": "size of the bird (share of the picture)",
        "camouflage": "camouflage (0: none, 1: full)",
        "part_scale": "size of the deciding parts (1: natural)",
        "training_images": "training pictures of each species",
    }
    for ax, (factor, lines) in zip(axes[0], curves.items()):
        for configuration, (values, found) in lines.items():
            text, colour = labels[configuration]
            draw_band(ax, values, found, colour, text, unit=100)
        ax.set(xlabel=names.get(factor, factor))
        if factor == "training_images":  # three times as many is one step, wherever one starts
            ax.set_xscale("log")
            ax.set_xticks(values, values)
            ax.minorticks_off()
        ax.grid(axis="y", alpha=0.3)
        if (
            min(e.low for _, found in lines.values() for e in found) < 0
        ):  # differences: on which side of nothing?
            ax.axhline(0, color="black", linestyle="--", linewidth=0.8)
    axes[0][0].set_ylabel(ylabel)
    axes[0][0].legend(frameon=False, fontsize=9)
    return figure


def draw_confusion(confusion, classes, genus):
    """Confusion matrix in per cent of each row, with a frame around each genus.

    Args:
        confusion: (K, K) counts, row = truth, columns = prediction; classes of one genus stand
            together.
        classes: K names. genus: genus of each class.
    """
    share = 100 * confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    figure, ax = plt.subplots(figsize=(8.6, 7.2), layout="constrained")
    text = np.where(share >= 3, np.round(share).astype(int).astype(str), "")
    sns.heatmap(
        share,
        cmap="Blues",
        vmin=0,
        vmax=100,
        annot=text,
        fmt="",
        annot_kws={"fontsize": 7},
        square=True,
        xticklabels=classes,
        yticklabels=classes,
        cbar_kws={"label": "% of the species", "shrink": 0.7},
        ax=ax,
    )
    for one in dict.fromkeys(genus):
        members = [i for i, g in enumerate(genus) if g == one]
        frame(ax, members[0], members[0], len(members), len(members))
    ax.set(xlabel="predicted", ylabel="true species")
    ax.tick_params(labelsize=8)
    return figure


def draw_failures(cases):
    """A gallery of errors, a row each: the picture with the crop's box, the crop that stage 2 saw,
    and the answers.

    To the left of each row stands what the second look did: both wrong, rescued, or spoiled.

    Args:
        cases: list of dicts: ``image`` and ``crop`` (PIL), ``box`` (xyxy pixels of ``image``),
            ``truth``, ``stage1``, ``stage2`` and ``merged`` (names).
    """
    figure, axes = panels(3 * len(cases), 3, size=(2.5, 1.95))
    looks = {"whole image": "stage1", "crop": "stage2", "merged": "merged"}
    kinds = {
        (False, False): "both wrong",
        (False, True): "rescued",
        (True, False): "spoiled",
        (True, True): "right",
    }
    for case, picture, crop, answers in zip(cases, axes[0::3], axes[1::3], axes[2::3]):
        show_image(picture, case["image"], box=case["box"])
        picture.set_ylabel(
            kinds[case["stage1"] == case["truth"], case["merged"] == case["truth"]], fontsize=10
        )
        show_image(crop, case["crop"])
        for ax in (picture, crop):
            ax.images[-1].set_interpolation("antialiased")
        answers.axis("off")
        said = [("true species", case["truth"], "black")]
        said += [
            (look, case[key], "black" if case[key] == case["truth"] else RED)
            for look, key in looks.items()
        ]
        for line, (who, name, colour) in enumerate(said):
            top = 0.97 - 0.25 * line
            answers.text(0, top, f"{who}:", va="top", fontsize=9, color="dimgrey")
            answers.text(0, top - 0.1, name, va="top", fontsize=10.5, color=colour)
    return figure


def draw_lucky_choice(best, single, truth):
    """Histograms of the accuracy of one model and of the best of several equal ones, with the truth
    as a line.
    """
    figure, ax = plt.subplots(figsize=(6.2, 3.0), layout="constrained")
    step = np.diff(np.unique(single)).min()  # one image; bins of three whole images leave no comb
    bins = (
        np.arange(
            min(single.min(), best.min()) - step / 2,
            max(single.max(), best.max()) + 3 * step,
            3 * step,
        )
        * 100
    )
    sns.histplot(100 * single, bins=bins, color=GREY, stat="probability", label="one model", ax=ax)
    sns.histplot(
        100 * best, bins=bins, color=ORANGE, stat="probability", label="the best of eight", ax=ax
    )
    ax.axvline(
        100 * truth, color="black", linestyle="--", linewidth=1, label="what all of them are worth"
    )
    ax.set(xlabel="accuracy on the test images, %", ylabel="share of repetitions")
    ax.legend(frameon=False)
    return figure
