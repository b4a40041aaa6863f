"""The versions of a script: one for each of the images that it can be run on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from pt_jax.app.study import Script


class Version(NamedTuple):
    """A script on some images.

    Attributes:
        name: of its figure and store.
        images: such as "cifar10 32x32", "" where the script knows none.
        default: the images that the script takes by default.
    """

    name: str
    images: str
    default: str

    def store(self, flags: "Script") -> Path:
        """Return the folder of its stores."""
        return flags.store.expanduser() / (self.name + "-quick" if flags.quick else self.name)

    def path(self, flags: "Script") -> Path:
        """Return the path of its figure and numbers, without a suffix."""
        return (flags.out or (self.store(flags) if flags.quick else Path("figures"))).expanduser() / self.name

    def said(self, table: "pd.DataFrame") -> "pd.DataFrame":
        """Return numbers that say which images they are of."""
        return table.assign(images=self.images) if self.images else table


def versions(name: str, flags: "Script", images: Sequence[str]) -> list[Version]:
    """Return what a command asks for: the images named, without a name the first, or to draw again all that are drawn.

    Raises:
        ValueError: images that the script does not know.
    """
    first = images[0] if images else ""
    default = Version(name, first, first)
    others = [Version(f"{name}_{each.split()[0]}", each, first) for each in images[1:]]
    known = {one.images.split()[0]: one for one in (default, *others) if images}
    if flags.images is None:
        drawn = [one for one in known.values() if flags.redraw and Path(f"{one.path(flags)}.csv").exists()]
        return drawn or [default]
    if flags.images not in known:
        use = f"one of {', '.join(known)}" if known else "this script without it"
        raise ValueError(f"--images = {flags.images} is not accepted: use {use}.")
    return [known[flags.images]]
