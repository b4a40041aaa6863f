"""CIFAR archives: read as they are laid out, and never executed."""

import io
import pickle
import pickletools
import tarfile

import numpy as np
import pytest

from pt_jax.vision import cifar

RNG = np.random.default_rng(0)
DATA = RNG.integers(0, 256, (12, 3072), dtype=np.uint8)
LABELS = [0, 1, 2] * 4
TEN = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def batch(data=DATA, protocol=2, labels=b"labels", **more):
    return pickle.dumps({b"data": data, labels: LABELS, b"batch_label": b"x", **more}, protocol)


def folder(path, **contents):
    for name in TEN:
        (path / name).write_bytes(contents.get(name, batch()))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_folder_of_batches_is_read(tmp_path, protocol):
    data = cifar.read(folder(tmp_path, data_batch_2=batch(DATA[::-1], protocol)))
    assert data.train.images.shape == (60, 32, 32, 3) and data.test.images.shape == (12, 32, 32, 3)
    np.testing.assert_array_equal(data.train.labels, LABELS * 5)
    red = DATA[0, :1024].reshape(32, 32) / np.float32(255)
    np.testing.assert_array_equal(data.train.images[0, :, :, 0], red)
    np.testing.assert_array_equal(data.train.images[23, :, :, 0], red)
    np.testing.assert_array_equal(data.test.images[0, 1, 2], DATA[0, [34, 1058, 2082]] / np.float32(255))


def test_a_batch_that_python_2_wrote_is_read(tmp_path):
    # Its strings are bytes to python 3, as in the archives; pickletools shows that no newer opcode is in it.
    head = (
        b"\x80\x02}(U\x06labels](K\x00K\x01K\x02eU\x04datacnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00"
    )
    shape = b"\x85U\x01btR(K\x01K\x03M\x00\x0c\x86"
    kind = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    raw = DATA[:3].tobytes()
    old = head + shape + kind + b"T" + len(raw).to_bytes(4, "little") + raw + b"tbu."
    assert max(op.proto for op, *_ in pickletools.genops(old)) == 2
    data = cifar.read(folder(tmp_path, data_batch_1=old))
    np.testing.assert_array_equal(data.train.images[1, 0, 0], DATA[1, [0, 1024, 2048]] / np.float32(255))


def test_a_tar_file_of_cifar_100_is_read(tmp_path):
    path = tmp_path / "cifar-100-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("train", "test", "meta"):
            content = batch(labels=b"fine_labels", coarse_labels=[0] * 12) if name != "meta" else b"not read"
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = cifar.read(path)
    assert len(data.train.labels) == len(data.test.labels) == 12
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="no tar file, or not a whole one"):
        cifar.read(path)


class Touch:
    """Unpickled by plain pickle, this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_malicious_batch_is_refused_and_nothing_is_executed(tmp_path):
    made = tmp_path / "made"
    bad = batch(filenames=Touch(made))
    pickle.loads(bad)["filenames"].close()
    made.unlink()  # so it does what is feared
    with pytest.raises(ValueError, match=r"data_batch_3 names \S*open, which no CIFAR batch does: nothing"):
        cifar.read(folder(tmp_path, data_batch_3=bad))
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # a call
        b"cnumpy\nload\n(S'x'\ntR.",  # a call in NumPy
        b"\x80\x04\x8c\x05numpy\x8c\x0bcore.os.sys\x93.",  # a name with dots
        b"cnumpy\ndtype\n(S'O'\nK\x00K\x01tR.",  # arrays of objects
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'b'\ntR.",  # a huge array
        b"cnumpy\nndarray\n(I1000000000000\ntR.",  # the same, directly
        b"cnumpy\ndtype\n}S'__call__'\nI1\nsb.",  # attributes of a name
        b"cpt_jax.vision.cifar\nread\n(S'.'\ntR.",  # the reader itself
    ],
)
def test_no_name_but_the_known_ones_and_no_other_use_of_them(tmp_path, content):
    with pytest.raises(ValueError, match=r"names|not a whole pickle"):
        cifar.read(folder(tmp_path, test_batch=content))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (batch()[:500], "not a whole pickle"),
        (b"", "not a whole pickle"),
        (pickle.dumps([1, 2]), "holds a list"),
        (pickle.dumps({b"labels": LABELS}), "holds a NoneType that does not describe an array"),
        (batch(DATA[:, :100]), r"has data uint8 \(12, 100\)"),
        (batch(DATA.astype(np.int16)), "has data int16"),
        (batch(DATA[:3]), r"use uint8 \(12, 3072\)"),
    ],
)
def test_what_is_no_batch_is_one_clear_sentence(tmp_path, content, sentence):
    with pytest.raises(ValueError, match=sentence):
        cifar.read(folder(tmp_path, data_batch_4=content))


def test_what_is_no_archive_is_one_clear_sentence(tmp_path):
    with pytest.raises(ValueError, match="is not there: use a CIFAR archive or"):
        cifar.read(tmp_path / "none.tar.gz")
    with pytest.raises(ValueError, match="is no CIFAR archive"):
        cifar.read(tmp_path)
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(ValueError, match="is no tar file"):
        cifar.read(tmp_path / "text")
    folder(tmp_path)
    (tmp_path / "data_batch_5").unlink()
    with pytest.raises(ValueError, match="lacks the batch data_batch_5"):
        cifar.read(tmp_path)
