"""One way in for all formats: what lies at a path is seen, and several datasets in a folder are told apart by name."""

import numpy as np
import pytest

from pt_jax.vision import datasets
from tests.vision import test_cifar, test_idx, test_sheets
from tests.vision.test_datasets import IMAGES, LABELS, saved

GREY = test_idx.IMAGES[0] / np.float32(255)


def read_first(*how):
    return datasets.read(*how).train.images[0]


def test_an_npz_file_is_read(tmp_path):
    path = saved(tmp_path / "own.npz", IMAGES, LABELS, IMAGES, LABELS)
    for where in (path, str(path), tmp_path):
        np.testing.assert_array_equal(read_first(where), IMAGES[0].astype(np.float32))


def test_archives_are_told_apart_by_what_is_in_them(tmp_path):
    (tmp_path / "a.tar").write_bytes(test_cifar.tar())
    (tmp_path / "b.tgz").write_bytes(test_sheets.package())
    assert len(datasets.read(tmp_path / "a.tar").train.labels) == 60
    assert len(datasets.read(tmp_path / "b.tgz").train.labels) == 30
    assert len(datasets.read(tmp_path, "b.tgz").train.labels) == 30
    with pytest.raises(ValueError, match=r"holds several datasets: say in `name` one of a\.tar, b\.tgz\.$"):
        datasets.read(tmp_path)
    with pytest.raises(ValueError, match=r"holds no 'c': say in `name` one of a\.tar, b\.tgz"):
        datasets.read(tmp_path, "c")


def test_folders_of_batches_and_sheets_are_read(tmp_path):
    test_sheets.folder(tmp_path / "package")
    assert len(datasets.read(tmp_path / "package").train.labels) == 30
    (tmp_path / "cifar-10-batches-py").mkdir()
    test_cifar.folder(tmp_path / "cifar-10-batches-py")
    assert len(datasets.read(tmp_path / "cifar-10-batches-py").train.labels) == 60
    assert len(datasets.read(tmp_path, "cifar-10-batches-py").train.labels) == 60
    (tmp_path / "package" / "test_batch.png").unlink()
    with pytest.raises(ValueError, match=r"package: it lacks test_batch.png"):
        datasets.read(tmp_path, "package")


def test_mnist_is_found_in_the_folders_of_torchvision(tmp_path):
    for name in ("MNIST", "EMNIST"):
        (tmp_path / name).mkdir()
    test_idx.folder(tmp_path / "MNIST" / "raw")
    np.testing.assert_array_equal(read_first(tmp_path)[..., 0], GREY)
    (tmp_path / "MNIST" / "test").write_text("a file that is no batch of CIFAR")
    np.testing.assert_array_equal(read_first(tmp_path / "MNIST")[..., 0], GREY)
    for part in ("letters", "balanced"):
        names = [f"emnist-{part}-{name.replace('t10k', 'test')}.gz" for name in test_idx.DASHES]
        first = part == "letters"
        labels = [test_idx.content(test_idx.LABELS[order] + first) for order in (slice(None), slice(None, None, -1))]
        contents = (test_idx.GOOD[0], labels[0], test_idx.GOOD[2], labels[1])
        test_idx.folder(tmp_path / "EMNIST" / "raw", names, contents)
        np.testing.assert_array_equal(read_first(tmp_path, f"EMNIST/raw/emnist-{part}")[..., 0], GREY.T)
    with pytest.raises(
        ValueError, match="say in `name` one of EMNIST/raw/emnist-balanced, EMNIST/raw/emnist-letters, MN"
    ):
        datasets.read(tmp_path)


def test_a_set_that_lacks_a_file_is_named_where_there_is_no_whole_one(tmp_path):
    (tmp_path / test_idx.DASHES[0]).mkdir()  # as an unpacker may leave it: a file in a folder of its name
    (tmp_path / test_idx.DASHES[0] / test_idx.DASHES[0]).write_bytes(test_idx.GOOD[0])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte lacks the train labels \*-ubyte"):
        datasets.read(tmp_path)
    dots = [name.replace("-idx", ".idx") for name in test_idx.DASHES]
    np.testing.assert_array_equal(read_first(test_idx.folder(tmp_path, dots))[..., 0], GREY)


def test_names_of_strangers_are_printable_and_a_link_is_followed_once(tmp_path):
    (tmp_path / "a\n\x1b[31m.tgz").write_bytes(b"no archive")
    (tmp_path / "back").symlink_to(tmp_path)
    with pytest.raises(ValueError) as said:
        datasets.read(tmp_path)
    assert r"a\n\x1b[31m.tgz: it is no tar file" in str(said.value) and str(said.value).isprintable()
    (tmp_path / "größe.npz").write_bytes(b"")
    for name in (None, ["b"], 3):
        with pytest.raises(ValueError, match=r"say in `name` one of a\\n\\x1b\[31m\.tgz, größe\.npz\.$"):
            datasets.read(tmp_path, name)


def test_where_nothing_is_known_is_one_clear_sentence(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    for path in (tmp_path, tmp_path / "a.txt"):
        with pytest.raises(ValueError, match="holds no images that are read: use a folder of four IDX files, a CIFAR"):
            datasets.read(path)
    with pytest.raises(ValueError, match="is not there: use a folder of four IDX files"):
        datasets.read(tmp_path / "none")
    (tmp_path / "a.tar.gz").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"a.tar.gz: it is no tar file, or not a whole one"):
        datasets.read(tmp_path)
    (tmp_path / "a.tgz").mkdir()  # no file
    with pytest.raises(ValueError, match=r"a.tar.gz: it is no tar file, or not a whole one"):
        datasets.read(tmp_path)
