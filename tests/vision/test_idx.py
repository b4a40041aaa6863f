"""IDX files: read as MNIST and its relatives are laid out; what is damaged is one sentence."""

import gzip
import os
import re
import struct

import numpy as np
import pytest

from pt_jax.vision import idx
from tests.strangers import outcome

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (8, 5, 4), dtype=np.uint8), np.arange(8, dtype=np.uint8) % 4
DASHES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def content(array, *shape, kind=8):
    """The bytes of an IDX file; `shape` is what it states."""
    shape = shape or array.shape
    return bytes((0, 0, kind, len(shape))) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


GOOD = (content(IMAGES), content(LABELS), content(IMAGES[::-1]), content(LABELS[::-1]))


def folder(path, names=DASHES, contents=GOOD):
    path.mkdir(exist_ok=True)
    for name, each in zip(names, contents, strict=True):
        (path / name).write_bytes(gzip.compress(each) if name.endswith(".gz") else each)
    return path


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dot", [False, True])
def test_a_folder_of_four_files_is_read(tmp_path, ending, dot):
    names = [(name.replace("-idx", ".idx") if dot else name) + ending for name in DASHES]
    data = idx.read(folder(tmp_path / "own", names))
    assert data.train.images.shape == (8, 5, 4, 1) and data.train.images.dtype == np.float32
    np.testing.assert_array_equal(data.train.images[..., 0], IMAGES / np.float32(255))
    np.testing.assert_array_equal(data.test.images[..., 0], IMAGES[::-1] / np.float32(255))
    np.testing.assert_array_equal(data.train.labels, LABELS)
    np.testing.assert_array_equal(data.test.labels, LABELS[::-1])


def test_packed_files_beside_unpacked_ones_are_left_alone(tmp_path):
    folder(tmp_path, [f"{name}.gz" for name in DASHES], [b"", b"", b"", b""])
    np.testing.assert_array_equal(idx.read(folder(tmp_path)).train.labels, LABELS)


@pytest.mark.parametrize(("prefix", "first"), [("emnist-letters-", 1), ("emnist-balanced-", 0)])
def test_images_of_emnist_are_transposed_and_its_letters_begin_at_0(tmp_path, prefix, first):
    names = [prefix + name.replace("t10k", "test") for name in DASHES]
    stored = (content(IMAGES), content(LABELS + first), content(IMAGES), content(LABELS + first))
    folder(folder(tmp_path), names, stored)  # beside MNIST
    data = idx.read(tmp_path, prefix)
    np.testing.assert_array_equal(data.train.images[..., 0], IMAGES.transpose(0, 2, 1) / np.float32(255))
    np.testing.assert_array_equal(data.test.labels, LABELS)
    np.testing.assert_array_equal(idx.read(tmp_path).train.images[..., 0], IMAGES / np.float32(255))


BOMB = gzip.compress(bytes(2**24)) * 64  # 1 MB that unpacks to 1 GiB
MOST = 2**28  # pixels: 1 GiB of float32
HOSTILE = {  # what takes the place of the train images, and what is said of it
    "nothing": (b"", "begins with , not with 00000803"),
    "half a header": (GOOD[0][:9], "begins with 00000803, not with"),
    "half of it": (GOOD[0][:-80], "states 160 bytes and has 80"),
    "half of it, packed": (gzip.compress(GOOD[0])[:-60], "end-of-stream marker"),
    "one byte more": (GOOD[0] + b"\0", "states 160 bytes and has more"),
    "one byte less": (GOOD[0][:-1], "states 160 bytes and has 159"),
    "text behind it": (gzip.compress(GOOD[0]) + b"text", "Not a gzipped file"),
    "a wrong sum": (gzip.compress(GOOD[0])[:-8] + bytes(4) + gzip.compress(GOOD[0])[-4:], "CRC check failed"),
    "damaged deflate": (gzip.compress(GOOD[0])[:12] + b"\xff" * 20 + gzip.compress(GOOD[0])[32:], "Error -3"),
    "labels": (GOOD[1], "begins with 00000801, not with 00000803"),
    "real numbers": (content(IMAGES.astype(">f4"), *IMAGES.shape, kind=13), "begins with 00000d03"),
    "colours": (content(IMAGES, 2, 4, 5, 4), "begins with 00000804"),
    "little-endian": (b"\0\0\x08\x03" + struct.pack("<3I", 8, 5, 4) + IMAGES.tobytes(), "more than 1 GiB"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), "begins with 89504e47"),
    "a shape of an octillion": (content(IMAGES, *[2**32 - 1] * 3), "more than 1 GiB"),
    "a shape that wraps to 0": (content(IMAGES, 2**31, 2**31, 4), "more than 1 GiB"),
    "just too much": (content(IMAGES, MOST + 1, 1, 1), "268,435,457 numbers: as float32 they take more than 1 GiB"),
    "bytes that are not there": (content(IMAGES, MOST, 1, 1), "states 268,435,456 bytes and has 160"),
    "too much with the test": (gzip.compress(content(IMAGES[:0], MOST, 1, 1)) + BOMB[: len(BOMB) // 4], "than 1 GiB"),
    "a bomb": (gzip.compress(content(IMAGES)) + BOMB, "states 160 bytes and has more"),
    "a shape without numbers": (content(IMAGES[:0], 2**32 - 1, 0, 2**32 - 1), "no whole IDX file of this kind"),
    "a bomb of a bomb": (gzip.compress(BOMB), "begins with 1f8b0800"),
    "no images": (content(IMAGES[:0], 0, 5, 4), r"train images have shape \(0, 5, 4, 1\)"),
    "no pixels": (content(IMAGES[:0], 8, 0, 4), r"train images have shape \(8, 0, 4, 1\)"),
    "fewer images": (content(IMAGES[:6]), r"train labels have shape \(8,\): use \(6,\)"),
    "a bomb of labels": (GOOD[0], "1,073,742,144 numbers: as float32 they take more than 1 GiB"),
    "a bomb of labels, images without pixels": (content(IMAGES[:0], MOST, 0, 4), "1,073,741,824 numbers"),
    "another size": (content(IMAGES[:, :4]), r"test images have shape \(5, 4, 1\), but \(4, 4, 1\)"),
}


LABEL_BOMB = gzip.compress(content(LABELS[:0], MOST)) + BOMB[: len(BOMB) // 4]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """What is said of each hostile file."""
    path = tmp_path_factory.mktemp("hostile")
    for i, (name, (each, _)) in enumerate(HOSTILE.items()):
        contents = (each, LABEL_BOMB) * 2 if "bomb of labels" in name else (each, *GOOD[1:])
        folder(path / f"{i:02}", contents=contents)
    return outcome("pt_jax.vision.idx", "read", path)


@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=list(HOSTILE))
def test_a_hostile_file_is_one_sentence(hostile, number):
    said, (_, words) = hostile.said[f"{number:02}"], list(HOSTILE.values())[number]
    assert re.search(f"/{number:02}.*{words}", said) and said.isprintable() and len(said) < 400, said


def test_hostile_files_do_nothing_and_take_little_memory(hostile):
    assert not hostile.acts and hostile.memory < 2 * MOST / 2**20 + 50  # the bytes that are stated, and a copy


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (LABELS * 2, r"labels are \[0, 2, 4, 6\] in training"),
        (LABELS + 1, r"labels are \[1, 2, 3, 4\] in training"),
        (LABELS[:3], r"train labels have shape \(3,\): use \(8,\)"),
    ],
)
def test_labels_that_do_not_fit_are_one_clear_sentence(tmp_path, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        idx.read(folder(tmp_path, contents=(GOOD[0], content(labels), *GOOD[2:])))
    names = [f"emnist-letters-{name}" for name in DASHES]
    with pytest.raises(ValueError, match=r"train labels have int64 values \[-1, 0, 1\]"):
        idx.read(folder(tmp_path, names), "emnist-letters-")


@pytest.mark.parametrize("missing", range(4))
def test_a_missing_file_is_named(tmp_path, missing):
    what = ("train images", "train labels", "test images", "test labels")[missing]
    (folder(tmp_path) / DASHES[missing]).unlink()
    for make in (lambda path: None, os.mkdir, os.mkfifo):  # no file is no file
        make(tmp_path / DASHES[missing])
        with pytest.raises(ValueError, match=rf"lacks the {what} \*-ubyte: use a folder with all four"):
            idx.read(tmp_path)
        if (tmp_path / DASHES[missing]).is_dir():
            os.rmdir(tmp_path / DASHES[missing])
    with pytest.raises(ValueError, match="is not there: use a folder with four IDX files"):
        idx.read(tmp_path / "none")


def test_every_flipped_bit_of_a_packed_file_is_found_or_harmless(tmp_path):
    packed, read = gzip.compress(GOOD[0]), 0
    path = folder(tmp_path, [f"{name}.gz" for name in DASHES]) / f"{DASHES[0]}.gz"
    for bit in (*range(80), *range(80, 8 * len(packed), 7)):
        flipped = bytearray(packed)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            data = idx.read(tmp_path)
        except ValueError as error:
            assert f"{path} is no whole IDX file" in str(error)
            continue
        read += 1  # the date in the header, say
        np.testing.assert_array_equal(data.train.images[..., 0], IMAGES / np.float32(255))
    assert 0 < read < 80
