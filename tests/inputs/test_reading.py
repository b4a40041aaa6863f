"""npz files from strangers: plain arrays come back, all else is one sentence, and memory stays bounded."""

import io
import os
import re
import struct
import warnings
import zipfile

import numpy as np
import pytest

from pt_jax.inputs import reading
from pt_jax.signal_noise.advise import load
from pt_jax.vision import datasets
from tests.strangers import outcome

MEMORY = 100  # MiB that reading all hostile files of this test may take; they state up to an exabyte
IMAGES, LABELS = np.arange(96, dtype=np.uint8).reshape(6, 4, 4), np.arange(6) % 2


def npy(array):
    """The bytes of an array in NumPy's format."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=True)
    return file.getvalue()


def header(text, data=b"", version=1):
    """The bytes of an array whose header one writes oneself."""
    size = struct.pack("<H" if version == 1 else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + b"\n" + data


def stated(shape, descr="|u1", data=bytes(96), order=False):
    """The bytes of an array that states its own shape and type."""
    return header(f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}", data)


def archive(images=None, compression=zipfile.ZIP_DEFLATED, **more):
    """The bytes of an npz file in which only the train images, and what is named, are out of the ordinary."""
    file = io.BytesIO()
    arrays = {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES, "test_labels": LABELS} | more
    with zipfile.ZipFile(file, "w", compression) as opened, warnings.catch_warnings(action="ignore"):
        for name, array in arrays.items():
            content = images if name == "train_images" and images is not None else array
            opened.writestr(f"{name}.npy", content if isinstance(content, bytes) else npy(content))
    return file.getvalue()


def patched(content, offset, value, signature=b"PK\x01\x02"):
    """The same file with other bytes in the first entry of its directory."""
    start = content.index(signature) + offset
    return content[:start] + value + content[start + len(value) :]


def longer(size):
    """A file whose first array, and the directory, state a size that the bytes do not have."""
    content = archive(stated(f"({size},)", data=b""), zipfile.ZIP_STORED)
    length = len(stated(f"({size},)", data=b"")) + size
    return patched(content, 24, struct.pack("<I", length))


def many_entries(count):
    """A file whose directory lists one entry many times."""
    content = archive()
    start = content.index(b"PK\x01\x02")
    first = content[start : content.index(b"PK\x01\x02", start + 1)]
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(first) * count, start, 0)
    return content[:start] + first * count + tail


def twice():
    """A file with two arrays of one name."""
    with warnings.catch_warnings(action="ignore"):
        file = io.BytesIO(archive())
        with zipfile.ZipFile(file, "a") as opened:
            opened.writestr("train_images.npy", npy(IMAGES))
        return file.getvalue()


HOSTILE = {
    # Sizes
    "2 GB": (longer(2 * 10**9), "more than 1 GiB"),
    "1 GiB of float32": (longer(2**28 + 1), "more than 1 GiB"),
    "bytes that are not there": (longer(10**8), r"EOF|Bad|truncated|ended|ran out"),
    "an exabyte": (archive(stated("(2**60,)")), ""),
    "a shape of an exabyte": (archive(stated(f"({2**60},)")), "not as long as its header says"),
    "a product that overflows": (archive(stated(f"({2**40}, {2**40})")), "not as long as its header says"),
    "a product that wraps to 96": (archive(stated(f"({2**64 + 96},)")), "not as long as its header says"),
    "nothing times an exabyte": (archive(stated(f"(0, {2**70})", data=b"")), ""),
    "text of no length": (archive(stated(f"({2**60},)", "<U0", b"")), "more than 1 GiB"),
    "text of 2 GB": (archive(stated("(1,)", "|S2000000000")), "not as long as its header says"),
    "a negative shape": (archive(stated("(-96,)")), "not as long as its header says"),
    "two negative sizes": (archive(stated("(-8, -12)")), "not as long as its header says"),
    "more bytes than stated": (archive(stated("(6, 4, 3)")), "not as long as its header says"),
    "a bomb behind an array": (archive(stated("(6, 4, 4)", data=bytes(16 * 2**20))), "not as long as its header says"),
    "a bomb that the directory hides": (
        patched(archive(stated("(96,)", data=bytes(64 * 2**20))), 24, struct.pack("<I", len(stated("(96,)")))),
        "Bad CRC-32",
    ),
    "a header of 4 GiB": (archive(b"\x93NUMPY\x02\x00" + b"\xff" * 4 + bytes(16 * 2**20)), "EOF"),
    "a header of zeros": (archive(header("\0" * 9000)), ""),
    "a long header": (archive(header(" " * 15_000)), "header|Header"),
    "a directory of 60,000 entries": (many_entries(60_000), "more than 1,048,576 bytes to read"),
    # Headers that are programs
    "a deep header": (archive(header("(" * 9000)), ""),
    "a header of signs": (archive(header("-" * 9000 + "1")), ""),
    "a header of sums": (archive(header("1+" * 4900 + "1")), ""),
    "a call in a header": (archive(header("__import__('os').system('true')")), ""),
    "a header that is no dictionary": (archive(header("[1, 2]")), "not a dictionary"),
    "a header without a type": (archive(header("{'shape': (6,), 'fortran_order': False}")), "correct keys"),
    # Types
    "objects": (archive(np.array([print, None])), "holds object, not numbers or text"),
    "objects in a field": (archive(np.zeros(3, [("a", "O")])), "not numbers or text"),
    "fields": (archive(np.zeros(3, "u1,f4")), "not numbers or text"),
    "complex numbers": (archive(IMAGES * 1j), "holds complex128, not numbers or text"),
    "dates": (archive(np.zeros(3, "M8[s]")), "not numbers or text"),
    "a type that is none": (archive(stated("(96,)", "nonsense")), ""),
    "characters that do not exist": (archive(stated("(24,)", ">U1", b"\x7f" * 96)), "characters that do not exist"),
    "no dimension": (archive(np.uint8(3)), r"train images have shape \(\): use"),
    "seventy dimensions": (archive(stated("(" + "1," * 70 + ")", data=b"1")), ""),
    # Archives
    "nothing": (b"", "not a zip file"),
    "no zip": (b"text", "not a zip file"),
    "an npy file": (npy(IMAGES), "not a zip file"),
    "half a zip": (archive()[:400], "not a zip file"),
    "no arrays": (b"PK\x05\x06" + bytes(18), "0 times; it holds nothing"),
    "encrypted": (patched(archive(), 8, b"\x01\x00"), "train_images is encrypted"),
    "another compression": (archive(compression=zipfile.ZIP_LZMA), "compressed in another way"),
    "bzip2": (archive(compression=zipfile.ZIP_BZIP2), "compressed in another way"),
    "an unknown compression": (patched(archive(), 10, b"\x63\x00"), "compressed in another way"),
    "two of one name": (twice(), "train_images is in it 2 times"),
    "a nested name": (
        archive(compression=zipfile.ZIP_STORED).replace(b"train_images.npy", b"data/mages_1.npy"),
        "0 times",
    ),
    "a name that climbs": (
        archive().replace(b"train_images.npy", b"../../../ab\n.npy"),
        "0 times; it holds ../../../ab",
    ),
    "a wrong sum": (patched(archive(), 16, b"\0\0\0\0"), "Bad CRC-32"),
    "a wrong magic": (archive(b"NUMPY?" + npy(IMAGES)[6:]), "magic"),
    "a version of the future": (archive(b"\x93NUMPY\x09\x00" + npy(IMAGES)[8:]), "version"),
    "an offset beyond the end": (patched(archive(), 42, b"\xff\xff\xff\x7f"), ""),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What is said of each hostile file."""
    folder = tmp_path_factory.mktemp("hostile")
    for i, (content, _) in enumerate(HOSTILE.values()):
        (folder / f"{i:02}.npz").write_bytes(content)
    return outcome("pt_jax.vision.datasets", "npz", folder)


@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=list(HOSTILE))
def test_a_hostile_file_is_one_sentence(read, number):
    said, (_, words) = read.said[f"{number:02}.npz"], list(HOSTILE.values())[number]
    assert re.search(rf"{number:02}\.npz(: | is not accepted: use an npz file with .*){words}", said)
    assert said.isprintable() and len(said) < 600, said


def test_hostile_files_do_nothing_and_take_little_memory(read):
    assert not read.acts and read.memory < MEMORY


def test_advise_reads_in_the_same_way(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    x, y = np.asfortranarray(np.arange(12.0).reshape(6, 2)), np.array(list("ababab"))
    np.savez_compressed(tmp_path / "own.npz", x=x, y=y, other=np.array([print]))
    sample = load("~/own.npz")
    np.testing.assert_array_equal(sample.x, x)
    np.testing.assert_array_equal(sample.y, y)
    with pytest.raises(ValueError, match=r"none\.npz is not there: use an npz file with the plain arrays x, y"):
        load("~/none.npz")
    np.savez(tmp_path / "bad.npz", x=np.array([print]), y=y)
    with pytest.raises(
        ValueError, match=r"bad\.npz is not accepted: .* x, y \(x\.npy holds object, not numbers or text\)"
    ):
        load(str(tmp_path / "bad.npz"))


@pytest.mark.parametrize("path", [None, 3, b"x.npz", io.BytesIO(), "a\0b", "~nobody-at-all/x.npz", "x" * 5000])
def test_what_is_no_path_is_one_sentence(path):
    with pytest.raises(ValueError, match=r"is not (accepted|there): use an npz file with the plain arrays x\.$"):
        reading.npz(path, ["x"])


def test_what_is_no_file_is_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")  # opening it would wait for ever
    for path in (tmp_path, tmp_path / "pipe.npz"):
        with pytest.raises(ValueError, match=r"is not accepted: use .* \(it is no file\)"):
            reading.npz(path, ["x"])


def test_every_flipped_bit_is_found_or_harmless(tmp_path):
    content = archive()
    path, found = tmp_path / "own.npz", []
    path.write_bytes(content)
    good = datasets.npz(path)
    for bit in range(0, 8 * len(content), 29):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            found.append(datasets.npz(path))
        except ValueError as error:
            assert "own.npz is not accepted" in str(error)
    assert found  # a date, say
    for data in found:
        np.testing.assert_array_equal(data.train.images, good.train.images)
        np.testing.assert_array_equal(data.test.labels, good.test.labels)
