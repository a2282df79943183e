"""Nothing is executed, fetched or written that the user did not ask for: our sources, file names,
folders.
"""

import ast
import json
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from training_fakes import Colours, small_config, small_net

import mgff_tutorial
from mgff_tutorial.__main__ import main
from mgff_tutorial.evaluation.log import printable
from mgff_tutorial.models import create_model
from mgff_tutorial.support.checkpoints import save_checkpoint

ROOT = Path(mgff_tutorial.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
# Names that execute text, unpickle, start programs, or open connections.
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "os.execv",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "torch.hub.load",
    "joblib.load",
    "torch.hub.load_state_dict_from_url",
    "urlopen",
    "urllib.request.urlopen",
    "urlretrieve",
    "shutil.unpack_archive",
    "tempfile.mktemp",
    "marshal.loads",
    "shelve.open",
}
FORBIDDEN_IMPORTS = {
    "urllib.request",
    "http.client",
    "requests",
    "httpx",
    "aiohttp",
    "ftplib",
    "telnetlib",
    "smtplib",
    "socket",
    "huggingface_hub",
    "gdown",
    "wget",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "code",
}


def name_of(node):
    """``torch.load`` as text, from the tree of a call's function."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def dangers(tree):
    """(line, what) for everything in a module that runs text, unpickles, starts a program or opens
    a connection.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, f"import {alias.name}")
                for alias in node.names
                if alias.name in FORBIDDEN_IMPORTS
            )
        elif isinstance(node, ast.ImportFrom) and node.module in FORBIDDEN_IMPORTS:
            yield node.lineno, f"from {node.module} import ..."
        elif isinstance(node, ast.Call):
            name, options = name_of(node.func), {k.arg: k.value for k in node.keywords}
            said = {
                arg: value.value
                for arg, value in options.items()
                if isinstance(value, ast.Constant)
            }
            if name in FORBIDDEN_CALLS or name.startswith("subprocess."):
                yield node.lineno, f"{name}(...)"
            if name == "torch.load" and said.get("weights_only") is not True:
                yield node.lineno, "torch.load without weights_only=True"
            if said.get("allow_pickle") or said.get("shell") or said.get("trust_remote_code"):
                yield node.lineno, f"{name} with allow_pickle, shell or trust_remote_code"
            if name.endswith(".extractall"):
                yield node.lineno, f"{name}: archives are unpacked by mgff_tutorial.datasets.unpack"


@pytest.mark.parametrize(
    "line",
    [
        "eval('1')",
        "exec('1')",
        "import pickle\npickle.load(f)",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "import requests",
        "from urllib.request import urlopen",
        "np.load(p, allow_pickle=True)",
        "os.system('x')",
        "import subprocess\nsubprocess.run('x')",
        "yaml.load(f)",
        "tar.extractall(d)",
    ],
)
def test_the_search_finds_what_it_looks_for(line):
    assert list(dangers(ast.parse(line)))


# Where archives are unpacked, after every member was looked at; where a teacher has the answers of
# students run, in a process of their own (a pair of local sockets), or a wheel built; and the one
# place that asks whether the network is there, when published weights were asked for.
ALLOWED = {
    "datasets/unpack.py": {
        "file.extractall: archives are unpacked by mgff_tutorial.datasets.unpack"
    },
    "support/fetch.py": {
        "import urllib.request",
        "urllib.request.urlopen(...)",
        "from huggingface_hub import ...",
    },
    "teaching/answers.py": {"compile(...)", "eval(...)", "exec(...)"},
    "teaching/processes.py": {"import socket", "subprocess.Popen(...)"},
    "teaching/worker.py": {"import socket"},
    "teaching/release.py": {"subprocess.run(...)"},
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_our_sources_execute_and_fetch_nothing(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    allowed = ALLOWED.get(path.relative_to(ROOT).as_posix(), set())
    found = [f"line {line}: {what}" for line, what in dangers(tree) if what not in allowed]
    assert not found, found
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)], (
        "asserts vanish under python -O"
    )


def test_nothing_connects_unless_asked(monkeypatch):
    """Build, classify, crop, predict in two stages, open SketchBirds: not one socket."""

    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    from mgff_tutorial import MGFFClassifier, SketchBirds, TwoStageClassifier, ViTCropper

    model = TwoStageClassifier(
        MGFFClassifier("swin_nano", num_classes=20, img_size=32),
        ViTCropper(create_model("vit_nano")),
    )
    assert model.predict(
        SketchBirds("test")[0][0]
        if (ROOT.parent / "data/sketchbirds/images.txt").is_file()
        else torch.zeros(3, 32, 32)
    ).merged.shape == (1, 20)


def test_hostile_names_are_data(tmp_path, capsys, monkeypatch):
    """File names that are options, patterns, commands, formats, escape codes, no UTF-8 or 255 bytes
    long.
    """
    folder, out = tmp_path / "birds", tmp_path / "figures"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    picture = Colours(1, size=24).image(0)
    names = [
        "--help.png",
        "-rf.png",
        "*.png",
        "[a-z]?.png",
        "$(touch pwned).png",
        "`touch pwned`.png",
        "; touch pwned;.png",
        "%s%n.png",
        "{0.__class__}.png",
        "<img src=x>.png",
        "a\nb.png",
        "\x1b[2Jclear.png",
        "..png.png",
        " .png",
        "$x^$.png",
        "\u202egnp.png",
        "\udcff\udcfe.png",
        "Zaunko\u0308nig.png",
        "x" * 251 + ".png",
        "CON.png",
        "~.png",
        "a|b.png",
    ]
    made = []
    for name in names:
        try:
            picture.save(folder / "t.png")
            os.rename(folder / "t.png", os.path.join(folder, name))
            made.append(name)
        except (OSError, UnicodeError):  # this file system knows no such name
            (folder / "t.png").unlink(missing_ok=True)
    assert len(made) > 10
    torch.manual_seed(0)
    classes = ["$a_{", "%d", "<b>"]
    save_checkpoint(
        "m.safetensors",
        create_model("mgff_swin_nano", num_classes=3, img_size=32),
        {
            "model": "mgff_swin_nano",
            "kwargs": {"img_size": 32},
            "classes": classes,
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "img_size": 32,
            "resize": 32,
        },
    )
    arguments = [
        "predict",
        str(folder),
        "--checkpoint",
        "m.safetensors",
        "--one-stage",
        "--device",
        "cpu",
        "--quiet",
    ]
    before = {path.name for path in tmp_path.iterdir()}
    assert main([*arguments, "--json"]) == 0
    shown = [json.loads(line)["image"] for line in capsys.readouterr().out.splitlines()]
    assert sorted(shown) == sorted(name for name in made if not name.startswith("."))
    assert main(arguments) == 0  # the table
    table = capsys.readouterr().out
    assert "\x1b" not in table and len(table.splitlines()) == 1 + len(shown)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a font that lacks a letter
        assert main([*arguments, "--save-figures", str(out)]) == 0
    assert len([path for path in out.iterdir() if path.suffix == ".png"]) == len(shown)
    assert {path.name for path in tmp_path.iterdir()} == before | {"figures"}, (
        "something was written elsewhere"
    )
    assert printable("a\x1b[31m\n\u202e") == r"a\x1b[31m\n\u202e"


def snapshot(*folders):
    return {
        path: path.stat().st_mtime_ns
        for folder in folders
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts and path.is_file()
    }


def test_a_run_writes_into_its_folder_alone(tmp_path, monkeypatch):
    """Training, evaluation files and curves: the run folder; not the home folder, not here, not the
    package.
    """
    from mgff_tutorial.training import train

    home, here, run = tmp_path / "home", tmp_path / "here", tmp_path / "run"
    for folder in (home, here):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.chdir(here)
    before = snapshot(ROOT)
    train(small_config(run, epochs=1), Colours(), Colours(13, seed=5), small_net(), progress=False)
    assert list(run.iterdir()) and not list(here.iterdir())
    assert not [
        path for path in home.rglob("*") if path.is_file() and "matplotlib" not in str(path)
    ]
    assert snapshot(ROOT) == before


def test_reading_a_data_set_writes_nothing(tmp_path):
    from trees import cub_tree

    from mgff_tutorial.datasets import CUB200

    root = cub_tree(tmp_path / "CUB_200_2011")
    before = snapshot(tmp_path)
    data = CUB200(root)
    assert len([data[i] for i in range(len(data))]) == 6
    assert main(["data", "check", "cub", "--root", str(root)]) in (0, 1)
    assert snapshot(tmp_path) == before


def test_importing_writes_and_prints_nothing(tmp_path):
    """Not even a cache folder."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT.parent),
    }
    environment.pop("MGFF_CACHE", None)
    done = subprocess.run(
        [sys.executable, "-c", "import mgff_tutorial, mgff_tutorial.mgff, mgff_tutorial.datasets"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == done.stderr == "" and not [
        path for path in tmp_path.rglob("*") if path.is_file()
    ]
