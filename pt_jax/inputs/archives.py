"""Tar files from strangers, and the folders that were in them: plain files of known names, within a stated size.

Nothing is unpacked onto the disk. Links, devices and long names are passed over. An archive is read to its end, where
the checksum of its bytes is. This file imports no jax.
"""

import gzip
import tarfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pt_jax.inputs.reading import Bounded, located

LARGEST_FILE = 160 * 10**6  # bytes; the largest file, the training batch of CIFAR-100, has 155 million
LARGEST_ARCHIVE = 250 * 10**6  # bytes, unpacked; CIFAR-10 and CIFAR-100 have 187 million
_PIECE = 2**20

Made = TypeVar("Made")


def read(path: Any, names: Collection[str], make: Callable[[dict[str, bytes]], Made], use: str) -> Made:
    """Return what is made of the files of some names in a tar file, gzipped or not, or below a folder.

    Args:
        path: of the tar file or the folder; `~` is the user's home.
        names: of the files, without folders.
        make: from the bytes by name; it may take them out one by one, to spare memory.
        use: what to give instead, for the sentence.

    Raises:
        ValueError: no tar file or not a whole one, more than `LARGEST_ARCHIVE` bytes, two files of one name, or what
            `make` refuses; the sentence names the path.
    """
    found, files = located(path, use), {}
    try:
        for name, content in _in_folder(found, names) if found.is_dir() else _in_archive(found, names):
            if name in files:
                raise ValueError(f"it holds two files {name}: use one archive alone.")
            files[name] = content
        return make(files)
    except ValueError as error:
        raise ValueError(f"{found}: {error}") from None


def _in_folder(folder: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the files of these names."""
    left = LARGEST_ARCHIVE
    for file in folder.rglob("*"):
        try:
            if file.name in names and file.is_file():
                with file.open("rb") as opened:
                    content = _content(opened, file.name, file.stat().st_size, left)
                left -= len(content)
                yield file.name, content
        except (OSError, ValueError) as error:
            raise ValueError(f"{file.name} cannot be read: {error}.") from None


def _in_archive(path: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the files of these names, then read the rest: the checksum is at the end."""
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            unpacked = Bounded(gzip.GzipFile(fileobj=file) if packed else file, LARGEST_ARCHIVE)
            yield from _members(unpacked, names)
            while unpacked.read(_PIECE):
                pass
    except Exception as error:  # tarfile, gzip and zlib have many for what a damaged file can be
        raise ValueError(
            f"it is no tar file, or not a whole one: use it as it is downloaded ({str(error)[:200]})."
        ) from None


def _members(archive: Bounded, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the plain files of these names."""
    while (header := archive.read(tarfile.BLOCKSIZE)).strip(b"\0"):
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        name = member.name.rpartition("/")[2]
        size = 0 if member.issym() or member.islnk() or member.isdev() or member.isdir() else member.size
        content = b""
        if name in names and member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
            content = _content(archive, name, size)
            yield name, content
        padded = -size % tarfile.BLOCKSIZE
        _content(archive, name, size - len(content) + padded)


def _content(file: Any, name: str, size: int, most: int = LARGEST_FILE) -> bytes:
    if not 0 <= size <= min(most, LARGEST_FILE):
        raise ValueError(f"{name[:80]!r} states {size:,} bytes, and at most {min(most, LARGEST_FILE):,} are read")
    content = file.read(size)
    if len(content) < size:
        raise ValueError(f"{name[:80]!r} ends after {len(content):,} of {size:,} bytes")
    return content
