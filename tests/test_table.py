"""The table of predictions that spreadsheets open."""

import csv
import json

import pytest

from mgff_tutorial.evaluation.table import PredictionTable
from mgff_tutorial.support.errors import InputError

RECORD = {
    "image": "a,b.jpg",
    "species": "001.Black_footed_Albatross",
    "probability": 0.5,
    "confidence": 0.75,
    "familiar": False,
    "stage1": {"species": "002.Laysan_Albatross", "probability": 0.4},
    "stage2": {"species": "001.Black_footed_Albatross", "probability": 0.9},
    "box": [1.0, 2.0, 3.5, 4.0],
    "whole_image": False,
}


def rows(path):
    with open(path, encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_row_says_what_the_record_says(tmp_path):
    table = PredictionTable(tmp_path / "p.csv")
    table.write([RECORD, {"image": "=cmd()", "error": "cut off"}])
    table.close()
    first, second = rows(tmp_path / "p.csv")
    assert first["image"] == "a,b.jpg" and first["species"] == "Black footed Albatross"
    assert first["confidence"] == "0.75" and first["familiar"] == "no"
    assert first["first_look"] == "Laysan Albatross" and first["right"] == "3.5"
    assert second["image"] == "'=cmd()" and second["problem"] == "cut off"


def test_a_continued_table_begins_with_what_was_there(tmp_path):
    (tmp_path / "p.jsonl").write_text(json.dumps(RECORD) + "\n")
    (tmp_path / "p.csv").write_text("half a table")
    table = PredictionTable(tmp_path / "p.csv", tmp_path / "p.jsonl")
    table.write([{"image": "c.jpg", "species": "x", "probability": 0.1}])
    table.close()
    assert [row["image"] for row in rows(tmp_path / "p.csv")] == ["a,b.jpg", "c.jpg"]
    with pytest.raises(InputError, match="exists"):
        PredictionTable(tmp_path / "p.csv")
