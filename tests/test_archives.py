"""Unpacking: what is inside arrives, what would leave the folder is refused, and a refusal writes
nothing.
"""

import io
import os
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgff_tutorial.datasets.unpack import unpack
from mgff_tutorial.support.errors import DataError

FILES = {
    "birds/images.txt": b"1 a.jpg\n",
    "birds/images/a.jpg": bytes(range(256)) * 3,
    "readme": b"",
}


def make_tar(path, files=FILES, mode="w:gz", extra=()):
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o4777  # set-uid must not survive
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info)
    return path


def make_zip(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def refuses(archive, folder, *words, **options):
    """The error names the archive, and the folder and its neighbours are as before."""
    before = sorted(str(p) for p in folder.parent.rglob("*") if p != folder)
    with pytest.raises(DataError) as failure:
        unpack(archive, folder, **options)
    for word in words:
        assert word in str(failure.value)
    assert sorted(str(p) for p in folder.parent.rglob("*") if p != folder) == before


def check_unpacked(folder):
    for name, data in FILES.items():
        assert (folder / name).read_bytes() == data
        assert not os.stat(folder / name).st_mode & 0o7000
    assert not list(folder.glob(".unpack*"))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar(tmp_path, mode):
    made = unpack(make_tar(tmp_path / "x.tgz", mode=mode), tmp_path / "out")
    check_unpacked(tmp_path / "out")
    assert [path.name for path in made] == ["birds", "readme"]


def test_zip(tmp_path):
    unpack(make_zip(tmp_path / "x.bin"), tmp_path / "out")  # told by content, not by name
    check_unpacked(tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["../x", "/tmp/x", "a/../../x", "..\\x", "\\x", "C:/x", "C:\\x", "a/..\\..\\x"]
)
@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_paths_that_leave(tmp_path, make, name):
    archive = make(tmp_path / "x", {**FILES, name: b"evil"})
    refuses(archive, tmp_path / "out", "outside", str(archive))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices(tmp_path, kind):
    info = tarfile.TarInfo("birds/link")
    info.type, info.linkname = kind, "/etc"
    refuses(
        make_tar(tmp_path / "x", extra=[info]),
        tmp_path / "out",
        "birds/link",
        "only files and folders",
    )


def test_link_in_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    refuses(tmp_path / "x", tmp_path / "out", "link")


def test_too_large(tmp_path):
    archive = make_zip(tmp_path / "x", {"zeros": bytes(5_000_000)})
    assert archive.stat().st_size < 50_000
    refuses(archive, tmp_path / "out", "more than 1,000,000 bytes", max_bytes=1_000_000)


def test_nothing_is_replaced(tmp_path):
    (tmp_path / "out" / "birds").mkdir(parents=True)
    (tmp_path / "out" / "birds" / "images.txt").write_text("mine")
    refuses(make_tar(tmp_path / "x"), tmp_path / "out", "there already")
    assert (tmp_path / "out" / "birds" / "images.txt").read_text() == "mine"


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_truncated_at_every_tenth_byte(tmp_path, make):
    whole = make(tmp_path / "x").read_bytes()
    for cut in range(0, len(whole), 10):
        (tmp_path / "x").write_bytes(whole[:cut])
        refuses(tmp_path / "x", tmp_path / "out", str(tmp_path / "x"))


def test_uncompressed_tar_cut_at_a_header(tmp_path):
    """tarfile alone would take what is left for the whole."""
    whole = make_tar(tmp_path / "x", mode="w").read_bytes()
    for cut in (512, 1024, 1100, 2048, 2560):
        (tmp_path / "x").write_bytes(whole[:cut])
        refuses(tmp_path / "x", tmp_path / "out", str(tmp_path / "x"))
    (tmp_path / "x").write_bytes(whole[:1024] + b"?" * 512 + whole[1536:])
    refuses(tmp_path / "x", tmp_path / "out", "damaged")


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from([make_tar, make_zip]))
def test_flipped_bytes(tmp_path_factory, data, make):
    folder = tmp_path_factory.mktemp("flip")
    raw = bytearray(make(folder / "x").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "x").write_bytes(bytes(raw))
    try:
        unpack(folder / "x", folder / "out")
    except DataError as error:
        assert "x" in str(error)
        assert not (folder / "out").exists() or not list((folder / "out").iterdir())


def test_not_an_archive(tmp_path):
    refuses(tmp_path / "none", tmp_path / "out", "does not exist")
    refuses(tmp_path, tmp_path / "out", "not a file")
    (tmp_path / "x.zip").write_text("<html>404</html>")
    refuses(tmp_path / "x.zip", tmp_path / "out", "neither")
    refuses(make_zip(tmp_path / "x.zip", {}), tmp_path / "out", "no files")
