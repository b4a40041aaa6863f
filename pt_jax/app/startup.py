"""What a command sets on the machine it runs on: all cores, and a folder that keeps compiled programs."""

import contextlib
import hashlib
import os
import platform
from pathlib import Path


def set_up() -> None:
    """Use all cores, and keep compiled programs: the same command starts in a second when it is given again.

    They are in $XDG_CACHE_HOME/pt_jax or ~/.cache/pt_jax, or where JAX_COMPILATION_CACHE_DIR says, in a folder for each
    kind of CPU: machines that share a home may have other instructions. None is kept where that cannot be written.

    Raises:
        ValueError: jax does not start on the devices that it is told to use.
    """
    import jax

    from pt_jax.sweep.devices import use_all_cores

    use_all_cores()
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        about = Path("/proc/cpuinfo")
        lines = about.read_text().splitlines() if about.exists() else [f"flags {platform.machine()}"]
        flags = sorted({line for line in lines if "flags" in line or "Features" in line})
        kind = hashlib.sha256("".join(flags).encode()).hexdigest()[:8]
        with contextlib.suppress(OSError, RuntimeError):  # a user without a home, as in a container
            folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pt_jax", kind)
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                jax.config.update("jax_compilation_cache_dir", str(folder))
    try:
        jax.devices()
    except (RuntimeError, AssertionError):  # the latter where a platform is asked for and there is no such device
        asked = jax.config.jax_platforms  # type: ignore[attr-defined]
        raise ValueError(f"JAX_PLATFORMS = {asked} is not accepted: jax finds no such device, use cpu.") from None
