"""Files from strangers: where they are, and npz files, read within a stated size and without executing anything.

A compressed file can unpack to a thousand times its size, and its own directory can lie about that. So every size that
a file states is checked before memory is taken, and no more is unpacked than was stated. This file imports no jax.
"""

import io
import math
import sys
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 2**30  # bytes of all arrays that are asked for, where each number counts at least four: it becomes a float32
_DIRECTORY = 2**20  # bytes that the directory of an npz may take: some 20,000 arrays
_HEADER = 2**14  # bytes that the header of an array may take; NumPy reads headers up to 10,000


def located(path: Any, use: str) -> Path:
    """Return the path of a file or folder that a user named, with `~` as their home.

    Args:
        path: what the user gave.
        use: what to give instead, for the sentence.

    Raises:
        ValueError: nothing is there.
    """
    try:
        found = Path(path).expanduser()
        there = found.exists()
    except (TypeError, ValueError, RuntimeError, OSError):  # no path, a null byte, no such user, a name too long
        raise ValueError(f"path = {str(path)[:200]!r} is not accepted: use {use}.") from None
    if not there:
        raise ValueError(f"{found} is not there: use {use}.")
    return found


def printable(text: str) -> str:
    """Return a text with what a terminal would act upon, or cannot show, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error: Exception) -> str:
    """Return what a library says of a damaged file: its first line, printable and of a bounded length."""
    return (printable(str(error).partition("\n")[0][:200]) or type(error).__name__).rstrip(".")


class Bounded:
    """A file of which only so much is handed out, for a reader that asks for as much as the file tells it to.

    Attributes:
        limit: bytes that may be read, from first to last.
    """

    def __init__(self, file: Any, limit: int):
        """Read nothing yet."""
        self.limit = limit
        self._file, self._taken = file, 0
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, or all that follow.

        Raises:
            ValueError: the limit is passed.
        """
        left = self.limit - self._taken
        found = self._file.read(left + 1 if size < 0 else min(size, left + 1))
        self._taken += len(found)
        if self._taken > self.limit:
            raise ValueError(f"it takes more than {self.limit:,} bytes to read")
        return found


def npz(path: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return arrays of an npz file: numbers, truth values or text. What else is in the file is left alone.

    Args:
        path: of the file; `~` is the user's home.
        names: of the arrays.

    Raises:
        ValueError: no such file, no plain array of one of the names, or more bytes than `LARGEST`.
    """
    use = f"an npz file with the plain arrays {', '.join(names)}"
    found = located(path, use)
    try:
        if not found.is_file():
            raise ValueError("it is no file")
        # NumPy and Python warn of headers that older versions wrote; what is wrong with them is an error.
        with found.open("rb") as file, warnings.catch_warnings(action="ignore"):
            return _arrays(file, names)
    except Exception as error:  # zipfile, zlib and NumPy have many for what a damaged or encrypted file can be
        raise ValueError(f"{found} is not accepted: use {use} ({reason(error)}).") from None


def _arrays(file: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    bounded = Bounded(file, _DIRECTORY)
    with zipfile.ZipFile(bounded) as archive:
        bounded.limit = 2 * LARGEST  # what is packed takes little more than what is unpacked, which is bounded below
        members = {name: _member(archive, name) for name in names}
        if sum(_needed(archive, member) for member in members.values()) > LARGEST:
            raise ValueError(f"they take more than {LARGEST / 2**30:g} GiB: read them with NumPy, in parts")
        found = {}
        for name, member in members.items():
            with archive.open(member) as content:
                found[name] = np.lib.format.read_array(content, allow_pickle=False)
            if found[name].dtype.kind == "U" and not _is_text(found[name]):
                raise ValueError(f"{name} holds text with characters that do not exist")
        return found


def _is_text(array: np.ndarray) -> bool:
    """Return whether Python can make strings of an array: NumPy tries it without asking."""
    return bool((np.frombuffer(array.tobytes(), f"{array.dtype.byteorder}u4") <= sys.maxunicode).all())


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return what the directory says of an array."""
    found = [member for member in archive.infolist() if member.filename == f"{name}.npy"]
    if len(found) != 1:
        held = ", ".join(member.filename[:40] for member in archive.infolist()[:5])
        raise ValueError(f"{name} is in it {len(found)} times; it holds {held or 'nothing'}")
    if found[0].flag_bits & 1:
        raise ValueError(f"{name} is encrypted")
    if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others can ask for any memory
        raise ValueError(f"{name} is compressed in another way than NumPy does it")
    return found[0]


def _needed(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Return the bytes that an array takes, after its header has been checked."""
    with archive.open(member) as content:
        head = io.BytesIO(content.read(_HEADER))
    version = np.lib.format.read_magic(head)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{member.filename} has a header of version {version}")
    shape, _, dtype = readers[version](head)
    if dtype.kind not in "biufUS":
        raise ValueError(f"{member.filename} holds {str(dtype)[:80]}, not numbers or text")
    count = math.prod(shape)
    if min(shape, default=0) < 0 or member.file_size != head.tell() + count * dtype.itemsize:
        raise ValueError(f"{member.filename} is not as long as its header says")
    return count * max(dtype.itemsize, 4)
