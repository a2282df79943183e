"""A wheel, unpacked away from the checkout, does a course project: tests/coursework.py, in another
folder.

The three training steps of the default run become a whole epoch, the copied data set a freshly
drawn one, and the notebooks that read stored results run alone in an empty folder, with
``MGFF_WHEEL=full`` (some minutes).
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mgff_tutorial

ROOT = Path(__file__).resolve().parent.parent
FULL = os.environ.get("MGFF_WHEEL") == "full"
CHECKPOINTS = [
    ROOT / "data" / "checkpoints" / f"{name}.safetensors" for name in ("vit_nano", "mgff_swin_nano")
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that a wheel of this checkout was unpacked into, as an installer does."""
    if importlib.util.find_spec("hatchling") is None or not (ROOT / "pyproject.toml").is_file():
        pytest.skip("needs a checkout and hatchling: pip install hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_package_recipes_checkpoints_and_results_and_nothing_else(site):
    assert {path.name.partition("-")[0] for path in site.iterdir()} == {"mgff_tutorial"}
    package = site / "mgff_tutorial"
    kinds = (".py", ".typed", ".yaml")
    sources = {
        path.relative_to(ROOT)
        for path in (ROOT / "mgff_tutorial").rglob("*")
        if path.suffix in kinds
    }
    assert Path("mgff_tutorial/py.typed") in sources
    carried = {path for path in package.rglob("*") if path.suffix in kinds}
    assert {
        path.relative_to(site) for path in carried if package / "_data" not in path.parents
    } == sources
    kept = {
        path.name
        for path in (ROOT / "data" / "checkpoints").iterdir()
        if path.suffix == ".safetensors"
    }
    assert {path.name for path in (package / "_data" / "checkpoints").glob("*.safetensors")} == kept
    results = {path.name for path in (ROOT / "data" / "results").iterdir()}
    assert {path.name for path in (package / "_data" / "results").iterdir()} == results
    assert not [
        path for path in package.rglob("*") if path.suffix in (".pyc", ".tmp", ".jpg", ".pth")
    ]
    assert sum(path.stat().st_size for path in package.rglob("*") if path.is_file()) < 60e6
    (metadata,) = site.glob("*.dist-info/METADATA")
    text = metadata.read_text()
    assert "Requires-Dist: torch>=" in text and "Requires-Dist: pytest" not in text
    assert f"\nVersion: {mgff_tutorial.__version__}\n" in text


def python(site, folder, *arguments):
    """Run Python in ``folder`` with the unpacked wheel before everything else."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "MGFF_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TQDM_DISABLE": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.skipif(
    not all(map(Path.is_file, CHECKPOINTS)),
    reason="needs vit_nano and mgff_swin_nano in data/checkpoints",
)
def test_coursework_in_another_folder(site, tmp_path):
    if not FULL:  # else it is drawn there, and verified
        shutil.copytree(ROOT / "data" / "sketchbirds", tmp_path / "cache" / "sketchbirds")
    shutil.copy(ROOT / "tests" / "coursework.py", tmp_path / "project.py")
    done = python(site, tmp_path, "project.py", *([] if FULL else ["3"]))
    assert done.returncode == 0, done.stderr
    assert "trained (20, 20), finite True" in done.stdout
    assert (
        int(done.stdout.rpartition("embedded ")[2].split()[0]) >= 14
    )  # of 20; in data/checkpoints: 90 % and more
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "project.py"}
    if FULL:
        drawn = (tmp_path / "cache" / "sketchbirds" / "checksums.txt").read_text()
        assert drawn == (ROOT / "data" / "sketchbirds" / "checksums.txt").read_text()


def test_the_package_in_the_wheel_is_the_one_that_runs(site, tmp_path):
    """... and finds its data where a wheel has them, stored results too; the first picture is drawn
    without the checkout.
    """
    script = (
        "import mgff_tutorial.support.paths as p, mgff_tutorial as m; print(p.PACKAGE, "
        "p.checkpoints_dir(), p.results_dir(), p.sketchbirds_dir());"
        "print(m.render(3, 1, size=32).image.size);"
        "from mgff_tutorial.experiments.results import stored_results; r = "
        "stored_results('controlled'); print(len(r.rows), len(r.predictions['labels/scale=0.2']))"
    )
    done = python(site, tmp_path, "-c", script)
    package = site / "mgff_tutorial"
    rows = (ROOT / "data" / "results" / "controlled.csv").read_text().count("\n") - 1
    assert done.stdout.splitlines() == [
        f"{package} {package / '_data' / 'checkpoints'} {package / '_data' / 'results'} "
        f"{tmp_path / 'cache' / 'sketchbirds'}",
        "(32, 32)",
        f"{rows} 200",
    ], done.stderr


@pytest.mark.skipif(not FULL, reason="takes some minutes: MGFF_WHEEL=full runs it")
@pytest.mark.parametrize("name", ["11_cropper", "15_experiments"])
def test_notebooks_run_from_an_empty_folder(site, tmp_path, name):
    shutil.copytree(ROOT / "data" / "sketchbirds", tmp_path / "cache" / "sketchbirds")
    folder = tmp_path / "empty"
    folder.mkdir()
    shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = python(site, tmp_path, "-m", "pytest", "-q", "--nbval", str(folder))
    assert done.returncode == 0, done.stdout
