"""The renderer of SketchBirds: the same scene every time and at every size, and truth that fits the
picture.
"""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgff_tutorial.renderer import PART_CLASSES, SPECIES, Species, pretraining_species, render
from mgff_tutorial.renderer.backgrounds import BACKGROUNDS
from mgff_tutorial.renderer.bird import POSES
from mgff_tutorial.renderer.species import GENERA, PART_CODES, PART_NAMES, find_species
from mgff_tutorial.support.errors import InputError


def pixels(scene):
    return np.asarray(scene.image, dtype=np.int16)


def test_twenty_species_in_five_genera_differ_in_one_or_two_parts():
    assert len(SPECIES) == 20 and [species.index for species in SPECIES] == list(range(20))
    assert len({species.name for species in SPECIES}) == 20
    for genus in GENERA:
        members = [species for species in SPECIES if species.genus is genus]
        assert len(members) == 4
        for a, b in combinations(members, 2):
            assert len(a.differs_from(b)) in (1, 2), (a.name, b.name)


def test_every_part_decides_somewhere_and_no_deciding_code_belongs_to_one_species_alone():
    deciding = set()
    for a, b in combinations(SPECIES, 2):
        if a.genus is b.genus:
            deciding |= {(part, s.code(part)) for part in a.differs_from(b) for s in (a, b)}
    assert {part for part, _ in deciding} == set(PART_CODES)
    shared = [sum(s.code(part) == code for s in SPECIES) > 1 for part, code in deciding]
    assert np.mean(shared) > 0.7


def test_part_classes_name_every_code_once():
    assert PART_CLASSES[:4] == ["background", "body", "head", "leg"]
    assert sorted(PART_CLASSES[4:]) == sorted(
        f"{p}:{c}" for p, codes in PART_CODES.items() for c in codes
    )


def test_the_same_arguments_give_the_same_scene():
    a, b = render(3, 11, size=96), render("fork-tailed marsh pipit", 11, size=96)
    assert np.array_equal(pixels(a), pixels(b)) and np.array_equal(a.part_map, b.part_map)
    assert a.box == b.box and a.parts == b.parts and a.details == b.details
    assert not np.array_equal(pixels(a), pixels(render(3, 12, size=96)))


@pytest.mark.parametrize("seed", range(3))
def test_every_size_shows_the_same_scene(seed):
    small, large = render(seed, seed, size=96), render(seed, seed, size=288)
    shrunk = np.asarray(large.image.reduce(3), dtype=np.int16)
    assert np.abs(shrunk - pixels(small)).mean() < 4
    assert np.allclose(np.array(large.box) / 3, small.box, atol=1.5)
    for name in PART_NAMES:
        assert np.allclose(np.array(large.parts[name][:2]) / 3, small.parts[name][:2], atol=1e-6)
    assert (large.part_map[1::3, 1::3] != small.part_map).mean() < 0.03


@pytest.mark.parametrize("label, seed", [(label, 50 + label) for label in range(20)])
def test_box_and_parts_fit_the_part_map(label, seed):
    scene = render(label, seed, size=160)
    assert scene.part_map.shape == (160, 160) and scene.part_map.dtype == np.uint8
    rows, columns = np.nonzero(scene.part_map)
    assert scene.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    allowed = {
        "background",
        "body",
        "head",
        "leg",
        *(f"{part}:{code}" for part, code in SPECIES[label].codes),
    }
    assert {PART_CLASSES[value] for value in np.unique(scene.part_map)} <= allowed
    assert list(scene.parts) == PART_NAMES
    for name, (x, y, visible) in scene.parts.items():
        if visible:
            shown = PART_CLASSES[scene.part_map[int(y), int(x)]]
            assert shown != "background"
            if name in PART_CODES:
                assert shown == f"{name}:{SPECIES[label].code(name)}"


def test_the_parts_that_decide_can_be_seen_on_a_large_bird():
    for label, species in enumerate(SPECIES):
        scene = render(label, 5, size=96, scale=0.75, occluders=0, pose="perched", rotation=0)
        for part, code in species.codes:
            assert (scene.part_map == PART_CLASSES.index(f"{part}:{code}")).sum() >= 9, (
                species.name,
                part,
            )


def test_species_of_a_genus_share_scene_and_differ_at_the_part_alone():
    a, b = (render(label, 4, scale=0.7, occluders=0) for label in (16, 17))  # eye ring
    differs = np.abs(pixels(a) - pixels(b)).max(-1) > 8
    rows, columns = np.nonzero(differs)
    x, y, _ = a.parts["eye"]
    assert 0 < differs.mean() < 0.01
    assert np.hypot(columns - x, rows - y).max() < 0.1 * 256


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.8])
def test_scale_is_honoured(scale):
    for label in (0, 4, 8, 12, 16):
        x0, y0, x1, y1 = render(label, label, scale=scale, occluders=0).box
        assert abs(max(x1 - x0, y1 - y0) / 256 - scale) < 0.05 * scale + 0.02


def test_options_change_what_they_name_and_nothing_else():
    plain = render(0, 9, size=96, occluders=0, camouflage=0)
    hidden = render(0, 9, size=96, occluders=0, camouflage=1)
    assert np.array_equal(plain.part_map, hidden.part_map)
    assert np.abs(pixels(plain) - pixels(hidden)).mean() > 3
    with_leaves = render(0, 9, size=96, occluders=8, camouflage=0)
    assert (with_leaves.part_map > 0).sum() < (plain.part_map > 0).sum()
    kept = with_leaves.part_map > 0
    assert np.array_equal(with_leaves.part_map[kept], plain.part_map[kept])
    left = render(0, 9, size=96, flip=not plain.details["flip"], rotation=0)
    right = render(0, 9, size=96, flip=plain.details["flip"], rotation=0)
    facing = [s.parts["beak"][0] - s.parts["tail"][0] for s in (left, right)]
    assert facing[0] * facing[1] < 0
    moved = render(0, 9, size=96, centre=(0.3, 0.6), scale=0.3, occluders=0)
    x0, y0, x1, y1 = moved.box
    assert np.allclose([(x0 + x1) / 192, (y0 + y1) / 192], [0.3, 0.6], atol=0.02)


def test_camouflage_brings_the_surroundings_nearer_to_the_birds_colours():
    gaps = []
    for camouflage in (0.0, 1.0):
        distance = []
        for seed in range(8):
            scene = render(8, seed, size=64, camouflage=camouflage)
            bird = pixels(scene)[scene.part_map > 0].mean(0)
            distance.append(np.linalg.norm(pixels(scene)[scene.part_map == 0].mean(0) - bird))
        gaps.append(np.mean(distance))
    assert gaps[1] < 0.8 * gaps[0]


@pytest.mark.parametrize(
    "label, part", [(0, "wing"), (10, "wing"), (16, "eye"), (1, "crown"), (5, "beak")]
)
def test_part_scale_changes_the_parts_and_not_the_size_of_the_bird(label, part):
    scenes = [
        render(label, 2, scale=0.6, occluders=0, pose="perched", part_scale=p)
        for p in (0.5, 1.0, 2.0)
    ]
    assert len({scene.details["unit"] for scene in scenes}) == 1
    if part == "wing":  # the bars are painted, the part map shows the whole wing
        pale = [
            (
                np.asarray(s.image).min(-1)[
                    s.part_map == PART_CLASSES.index(f"wing:{s.species.code('wing')}")
                ]
                > 170
            ).sum()
            for s in scenes
        ]
    else:
        pale = [
            (s.part_map == PART_CLASSES.index(f"{part}:{s.species.code(part)}")).sum()
            for s in scenes
        ]
    assert pale[0] < pale[1] < pale[2]


@pytest.mark.parametrize("background, pose", list(product(BACKGROUNDS, POSES))[::5])
def test_backgrounds_and_poses(background, pose):
    scene = render(7, 1, size=64, background=background, pose=pose)
    assert scene.details["background"] == background and scene.details["pose"] == pose
    assert scene.image.size == (64, 64) and scene.image.mode == "RGB"
    assert (scene.part_map > 0).mean() > 0.01


def test_pretraining_species_are_others():
    species = pretraining_species(100, seed=0)
    assert len(species) == 100 and [s.index for s in species] == list(range(100))
    assert not {s.codes for s in species} & {s.codes for s in SPECIES}
    assert not {s.genus.palette for s in species} & {genus.palette for genus in GENERA}
    assert len({(s.genus.name, s.codes) for s in species}) == 100
    assert species == pretraining_species(100, seed=0) != pretraining_species(100, seed=1)
    assert species[:8] == pretraining_species(8, seed=0)
    for part, codes in PART_CODES.items():
        counts = [sum(s.code(part) == code for s in species) for code in codes]
        assert min(counts) > 100 / len(codes) / 2.5
    assert isinstance(species[5], Species) and (render(species[5], 0, size=48).part_map > 0).any()


@pytest.mark.parametrize(
    "options, word",
    [
        ({"species": 20}, "0 to 19"),
        ({"species": "Marsh Pippit"}, "Unknown species"),
        ({"species": 1.5}, "species"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"size": 8}, "size"),
        ({"size": "96"}, "size"),
        ({"scale": 0}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"camouflage": 1.2}, "camouflage"),
        ({"part_scale": 9}, "part_scale"),
        ({"background": "sea"}, "background"),
        ({"pose": "flying"}, "pose"),
        ({"flip": 1}, "flip"),
        ({"rotation": 400}, "rotation"),
        ({"centre": 0.5}, "centre"),
        ({"centre": (0.5, 2)}, "centre"),
        ({"occluders": 9}, "occluders"),
    ],
)
def test_bad_options_are_named(options, word):
    with pytest.raises(InputError, match=word):
        render(**{"species": 0, "seed": 0, "size": 32, **options})


@settings(max_examples=25, deadline=None)
@given(st.one_of(st.integers(), st.text(max_size=8), st.none(), st.floats(), st.booleans()))
def test_a_species_is_found_or_refused_in_one_sentence(value):
    try:
        assert find_species(value) in SPECIES
    except InputError as error:
        assert "species" in str(error) and "\n" not in str(error).replace(repr(value), "")


@pytest.mark.parametrize("count", [0, -3, 2.5, True])
def test_bad_count_of_pretraining_species(count):
    with pytest.raises(InputError, match="count"):
        pretraining_species(count)
