"""CIFAR archives: read as they are laid out, and never executed."""

import bz2
import gzip
import io
import pickle
import pickletools
import re
import tarfile

import numpy as np
import pytest

from pt_jax.inputs import archives
from pt_jax.vision import cifar
from tests.strangers import outcome

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


CIFAR_10 = [(f"cifar-10-batches-py/{name}", batch()) for name in TEN]


def member(name, content=b"", size=None, kind=tarfile.REGTYPE, link=""):
    """The bytes of a file in a tar file; `size` is what it states."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content) if size is None else size, kind, link
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def tar(*first, files=CIFAR_10):
    """The bytes of a tar file of CIFAR-10 that begins with members of one's own."""
    return b"".join([*first, *(member(*file) for file in files), bytes(1024)])


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_every_form_of_tar_file_is_read(tmp_path, form, mode):
    path, long = tmp_path / "archive", "é" * (20 if form == tarfile.USTAR_FORMAT else 120)
    with tarfile.open(path, mode, format=form) as archive:
        for name, content in ((f"cifar-10-batches-py/{long}", b"a long name"), *CIFAR_10):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1234567890.5  # which takes a header of its own
            archive.addfile(info, io.BytesIO(content))
    data = cifar.read(path)
    np.testing.assert_array_equal(data.train.labels, LABELS * 5)
    np.testing.assert_array_equal(data.test.images[0, 0, 0], DATA[0, [0, 1024, 2048]] / np.float32(255))


def test_links_and_devices_of_an_archive_are_passed_over(tmp_path, monkeypatch):
    kinds = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
    first = [member("data_batch_1", size=4096, kind=kind, link="/etc/passwd") for kind in kinds]
    (tmp_path / "own.tar").write_bytes(tar(*first))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(cifar.read("~/own.tar").train.labels) == 60


ZEROS = gzip.compress(bytes(16 * 2**20))  # 16 kB
ARCHIVES = {
    "2 GB of zeros": (ZEROS * 128, "more than 250,000,000 bytes"),
    "a batch of 2 GB": (
        gzip.compress(member("train", size=2 * 10**9)) + ZEROS * 128,
        "'train' states 2,000,000,000 bytes",
    ),
    "another file of 2 GB": (
        gzip.compress(member("x", size=2 * 10**9)) + ZEROS * 128,
        "'x' states 2,000,000,000 bytes",
    ),
    "many batches of zeros": (
        b"".join(gzip.compress(member(name, size=64 * 2**20)) + ZEROS * 4 for name in TEN),
        "more than 250,000,000 bytes",
    ),
    "a batch of an exabyte": (tar(member("train", size=2**60)), "'train' states 1,152,921,504,606,846,976 bytes"),
    "a negative size": (tar(member("train", size=-512)), "'train' states -512 bytes"),
    "a header of 100 MB": (tar(member("x", size=10**8, kind=tarfile.XHDTYPE)), "'x' ends after"),
    "a sparse file": (tar(member("train", size=10**9, kind=tarfile.GNUTYPE_SPARSE)), "states 1,000,000,000 bytes"),
    "a file that ends early": (tar(member("train", size=10**8)), r"'train' ends after .* of 100,000,000 bytes"),
    "a name on two lines": (tar(member("a\nb\x1b[31m", size=10**9)), r"'a\\nb\\x1b\[31m' states"),
    "two of one name": (tar(member(*CIFAR_10[0])), "holds two files data_batch_1: use one archive alone"),
    "half of it": (gzip.compress(tar())[:-2000], "ended before the end-of-stream marker"),
    "half of it, not packed": (tar()[:-20_000], "ends after"),
    "text behind it": (gzip.compress(tar()) + b"text", "Not a gzipped file"),
    "a wrong sum": (gzip.compress(tar())[:-8] + b"\0\0\0\0" + gzip.compress(tar())[-4:], "CRC check failed"),
    "a wrong length": (gzip.compress(tar())[:-4] + b"\0\0\0\0", "Incorrect length"),
    "a wrong sum of a header": (tar().replace(b"data_batch_2", b"data_batch_7"), "bad checksum"),
    "packed twice": (gzip.compress(gzip.compress(tar())), "is no tar file"),
    "packed by bzip2": (bz2.compress(tar()), "is no tar file"),
    "a zip file": (b"PK\x03\x04" + bytes(1000), "is no tar file"),
    "only a link": (tar(member("train", kind=tarfile.SYMTYPE, link="/etc/passwd"), files=[]), "is no CIFAR archive"),
    "nothing": (b"", "is no CIFAR archive"),
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """What is said of each hostile archive."""
    path = tmp_path_factory.mktemp("hostile")
    for i, (content, _) in enumerate(ARCHIVES.values()):
        (path / f"{i:02}").write_bytes(content)
    return outcome("pt_jax.vision.cifar", "read", path)


@pytest.mark.parametrize("number", range(len(ARCHIVES)), ids=list(ARCHIVES))
def test_a_hostile_archive_is_one_sentence(hostile, number):
    said, (_, words) = hostile.said[f"{number:02}"], list(ARCHIVES.values())[number]
    assert re.search(f"/{number:02}: it .*{words}", said) and said.isprintable() and len(said) < 400, said


def test_hostile_archives_do_nothing_and_take_little_memory(hostile):
    assert not hostile.acts and hostile.memory < (archives.LARGEST_ARCHIVE + archives.LARGEST_FILE) / 2**20


def test_every_flipped_bit_of_an_archive_is_found_or_harmless(tmp_path):
    content = gzip.compress(tar())
    path, read = tmp_path / "own.tar.gz", 0
    path.write_bytes(content)
    good = cifar.read(path)
    places = [
        *range(8 * 10),
        *range(80, 8 * len(content), 8 * len(content) // 150),
        *range(8 * (len(content) - 8), 8 * len(content)),
    ]
    for bit in places:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            found = cifar.read(path)
        except ValueError as error:
            assert "own.tar.gz: it is no tar file, or not a whole one" in str(error)
            continue
        read += 1  # the date in the header, say
        assert bit < 80
        for a, b in zip((*found.train, *found.test), (*good.train, *good.test), strict=True):
            np.testing.assert_array_equal(a, b)
    assert read


def test_labels_that_are_an_array_are_read(tmp_path):
    for kind in ("u1", ">i8", "<u4"):
        content = pickle.dumps({"data": np.asfortranarray(DATA), "labels": np.array(LABELS, kind)}, 2)
        data = cifar.read(folder(tmp_path, data_batch_1=content))
        np.testing.assert_array_equal(data.train.labels, LABELS * 5)
        np.testing.assert_array_equal(data.train.images[11, 0, 0], DATA[11, [0, 1024, 2048]] / np.float32(255))
    for labels, sentence in (
        ([[0]] * 12, "no list of whole numbers"),
        ([0.5] * 12, "no list of"),
        ([9] * 12, "labels are"),
    ):
        with pytest.raises(ValueError, match=sentence):
            cifar.read(folder(tmp_path, data_batch_1=pickle.dumps({"data": DATA, "labels": labels}, 2)))


def test_a_folder_with_two_archives_in_it_is_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folder(tmp_path / name)
    with pytest.raises(ValueError, match="it holds two files"):
        cifar.read(tmp_path)
    assert len(cifar.read(tmp_path / "one").train.labels) == 60
