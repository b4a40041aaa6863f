"""How long somebody waits for a page of the explorer: the size and opening of a large one, and maps of theory.

    python benchmarks/explorer.py [--repeats 5]

A page of 100,000 cells with three results is opened in Debian's chromium, until its first map is drawn; it needs
playwright and is left out without. A map of theory is 11 x 11, then 41 x 41 points, the latter the whole time from the
question on. Printed: medians, by the clock, and for theory of all cores; the first time, which compiles, is apart.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

import pt_jax
from pt_jax.app import predicting, startup

DIMS = ("seed", "alpha", "u", "v2")
SIZES = (4, 10, 100, 100)
RESULTS = ("gain", "error", "error_scratch")
DRAWN = ".heatmaplayer image"


def large(path: Path) -> Path:
    """Write a page of 100,000 cells of noise."""
    rng = np.random.default_rng(0)
    results = {name: (DIMS, rng.normal(size=SIZES).astype("f4")) for name in RESULTS}
    axes = {name: np.linspace(0, 1, size) for name, size in zip(DIMS[1:], SIZES[1:], strict=True)}
    return pt_jax.explore(xr.Dataset(results, axes | {"seed": np.arange(SIZES[0])}), path)


def opened(path: Path, repeats: int) -> float:
    """Return the seconds until the first map of a page is on the screen, the median."""
    from playwright.sync_api import sync_playwright

    taken = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(repeats + 1):
            page = browser.new_page()
            start = time.perf_counter()
            page.goto(path.as_uri())
            page.wait_for_selector(DRAWN, state="attached")
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            taken.append(time.perf_counter() - start)
            page.close()
    return statistics.median(taken[1:])


def predicted(maps: predicting.Maps) -> tuple[float, float, float]:
    """Return the seconds until the coarse and the fine map, and the core time of both."""
    start, core, seconds = time.perf_counter(), time.process_time(), []
    for told in maps.predict(predicting.FIRST._asdict()):
        if "about" in told:
            seconds.append(time.perf_counter() - start)
    coarse, fine = seconds
    return coarse, fine, time.process_time() - core


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    startup.set_up()
    with tempfile.TemporaryDirectory() as folder:
        path = large(Path(folder) / "large.html")
        print(f"a page of 100,000 cells and three results: {path.stat().st_size / 1e6:.1f} MB")
        try:
            print(f"  on the screen after {opened(path, repeats):.2f} s")
        except ImportError:
            print("  opening it needs playwright: pip install playwright")
        maps = predicting.Maps(Path(folder))
        first = predicted(maps)
        times = zip(*(predicted(maps) for _ in range(repeats)), strict=True)
        coarse, fine, core = map(statistics.median, times)
        print(f"a map of theory: 11 x 11 after {coarse:.2f} s, 41 x 41 after {fine:.2f} s ({core:.1f} s of all cores)")
        print(f"  the first time after {first[1]:.1f} s, compilation included")


if __name__ == "__main__":
    main()
