"""The page of the explorer in a real browser: numbers, controls, keyboard, requests, widths and themes.

Needs chromium and playwright (`apt-get install chromium`, `pip install playwright`); skipped without.
"""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import pt_jax
from tests.report.cases import dataset

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if BROWSER is None:
    pytest.skip("no chromium: apt-get install chromium", allow_module_level=True)
driver = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
QUIET = ("gpu", "quic", "background-networking", "component-update", "sync")
FLAGS = ["--no-sandbox", "--no-first-run", *(f"--disable-{each}" for each in QUIET)]


# Whether all titles, labels and legends are there, and lie within their figures.
TEXTS_FIT = """() => [...document.querySelectorAll("figure")].every((figure) => {
    const around = figure.getBoundingClientRect();
    const texts = [...figure.querySelectorAll(".annotation-text, .xtitle, .ytitle, .legendtext")];
    const inside = (box) => box.left >= around.left - 1 && box.right <= around.right + 1
      && box.top >= around.top && box.bottom <= around.bottom;
    return texts.length > 3 && texts.map((one) => one.getBoundingClientRect()).every(inside);
})"""


@pytest.fixture(scope="module")
def store():
    """Three axes and a result with one more; a cell that is unclear, one that diverged, one that is not computed."""
    ds = dataset("u", "v2", "alpha", diverged=[(3, 2, 0)])
    ds["gain"][1, 1] += 3  # about 0
    ds["curve"] = ds["gain"].expand_dims({"step": [0, 10]}, -1) * xr.DataArray([1.0, 2.0], dims="step")
    ds["done"] = xr.ones_like(ds["gain"], dtype="i1")
    ds["done"][0, 0, 0] = 0
    return ds


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with driver.sync_playwright() as play:
        folder = tmp_path_factory.mktemp("profile")
        context = play.chromium.launch_persistent_context(folder, executable_path=BROWSER, args=FLAGS)
        yield context
        context.close()


@pytest.fixture(scope="module")
def page(browser, store, tmp_path_factory):
    """The page, opened once; what it asks for and complains of is kept."""
    path = tmp_path_factory.mktemp("page") / "explore.html"
    old = store[["gain"]].isel(u=[0, 3], drop=True)
    pt_jax.explore(store, path, lines={"criterion": store["gain"].mean("seed") - 1}, beside={"old": old})
    page = browser.new_page()
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda said: page.errors.append(said.text) if said.type == "error" else None)
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]")
    yield page
    assert page.errors == []
    assert not [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(autouse=True)
def from_the_start(page):
    """Each test begins with the gain over u and v2 at the first alpha."""
    page.set_viewport_size({"width": 1200, "height": 900})
    page.emulate_media(color_scheme="light")
    for name, value in {"first": "gain", "second": "", "x": "u", "y": "v2"}.items():
        page.select_option(f"#{name}", value)
    for name in ("u", "v2", "alpha"):
        slide(page, name, 0)


def slide(page, name, index):
    page.locator(f"#at-{name}").fill(str(index))
    settle(page)


def settle(page):
    """Wait until what was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def word(cell):
    """What is said of the gain of a cell."""
    return ("helps" if cell["mean"] > 0 else "hurts") if cell["clear"] else "unclear"


def reading(page):
    return page.inner_text("#reading")


def numbers(text):
    return [float(found) for found in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]


def saved(page, figure, form, tmp_path):
    """What a button of a figure saves."""
    with page.expect_download() as waited:
        page.click(f"#{figure} button:text-is('{form}')")
    path = tmp_path / waited.value.suggested_filename
    waited.value.save_as(path)
    return path


def centre(page, i, j, key=0):
    """Where cell (i, j) of a map of 4 x 3 cells is on the screen."""
    box = page.locator(f"#maps-{key} .nsewdrag").first.bounding_box()
    return box["x"] + (i + 0.5) / 4 * box["width"], box["y"] + (2.5 - j) / 3 * box["height"]


@pytest.mark.parametrize(("place", "words"), [((1, 1, 1), "6 seeds"), ((3, 2, 0), "diverged"), ((0, 0, 0), "not comp")])
def test_the_reading_is_the_cell_of_the_store(page, store, place, words):
    for name, index in zip(("u", "v2", "alpha"), place, strict=True):
        slide(page, name, index)
    cell = pt_jax.stats.summary(store)[dict(zip(("u", "v2", "alpha"), place, strict=True))]
    said = reading(page).splitlines()[-1]
    assert words in said
    if np.isfinite(cell["mean"]):
        np.testing.assert_allclose(numbers(said)[:3], [cell["mean"], cell["low"], cell["high"]], atol=0.051)
        assert said.endswith(word(cell))


def test_a_click_goes_to_its_cell_and_hovering_shows_it(page, store):
    page.mouse.click(*centre(page, 2, 1))
    driver.expect(page.locator("#at-u")).to_have_value("2")
    driver.expect(page.locator("#at-v2")).to_have_value("1")
    page.mouse.move(*centre(page, 3, 0))
    hovered = page.locator(".hoverlayer .hovertext", has_text="u = 1").text_content()
    cell = pt_jax.stats.summary(store).isel(u=3, v2=0, alpha=0)
    np.testing.assert_allclose(numbers(hovered)[:3], [cell["mean"], cell["low"], cell["high"]], atol=0.051)
    assert "6 seeds" in hovered and "u = 1" in hovered and "v2 = 0" in hovered


def test_a_click_on_a_section_moves_along_it(page):
    box = page.locator("#sections-u .nsewdrag").first.bounding_box()
    slide(page, "u", 1)
    page.mouse.click(box["x"] + box["width"] * 5 / 6, box["y"] + box["height"] / 2)
    driver.expect(page.locator("#at-u")).not_to_have_value("1")


def test_csv_is_what_is_shown(page, store, tmp_path):
    slide(page, "alpha", 1)
    table = pd.read_csv(saved(page, "maps-0", "CSV", tmp_path)).set_index(["u", "v2"])
    cells = pt_jax.stats.summary(store).isel(alpha=1).to_dataframe()
    for name in ("mean", "low", "high", "seeds"):
        np.testing.assert_allclose(table[name].reindex(cells.index), cells[name], rtol=1e-5, atol=1e-6)
    assert (table["alpha"] == 1).all() and (table["result"] == "gain").all()
    assert table["state"].reindex(cells.index).tolist() == [word(cell) for _, cell in cells.iterrows()]
    section = pd.read_csv(saved(page, "sections-v2", "CSV", tmp_path))
    assert sorted(set(section["result"])) == ["error", "error_scratch", "gain"] and len(section) == 9


@pytest.mark.parametrize(("form", "start"), [("PNG", b"\x89PNG"), ("SVG", b"<svg")])
def test_pictures(page, form, start, tmp_path):
    picture = saved(page, "maps-0", form, tmp_path).read_bytes()
    assert picture.startswith(start) and len(picture) > 5000


def test_two_maps_share_axes_and_cell(page):
    page.select_option("#second", "error")
    settle(page)
    page.mouse.click(*centre(page, 1, 2, key=1))
    driver.expect(page.locator("#at-u")).to_have_value("1")
    settle(page)
    assert page.locator("#maps figure").count() == 2
    assert [line.split(":")[0] for line in reading(page).splitlines() if ":" in line] == ["gain", "error"]
    page.select_option("#second", "")
    settle(page)
    assert page.locator("#maps figure").count() == 1


def test_another_dataset_follows_to_its_nearest_cell(page, store):
    page.select_option("#second", "gain in old")
    page.mouse.click(*centre(page, 2, 1))
    driver.expect(page.locator("#at-u")).to_have_value("2")
    settle(page)
    cell = pt_jax.stats.summary(store).isel(u=3, v2=1, alpha=0)  # u = 2/3 is nearer to 1 than to 0
    (said,) = (line for line in reading(page).splitlines() if line.startswith("gain in old:"))
    assert said.endswith(word(cell))
    np.testing.assert_allclose(numbers(said)[:3], [cell["mean"], cell["low"], cell["high"]], atol=0.051)
    assert "old, at the nearest values" in page.locator("#maps-1 .annotation-text").text_content().replace("\n", " ")


def test_axes_change_places_and_own_dimensions_have_a_slider(page):
    page.select_option("#x", "v2")
    assert page.input_value("#y") == "u"
    settle(page)
    assert [one.get_attribute("id") for one in page.locator("#sections figure").all()] == ["sections-v2", "sections-u"]
    page.select_option("#first", "curve")
    page.select_option("#y", "step")
    settle(page)
    assert page.locator("#sliders input").count() == 4 and "step (up)" in page.inner_text("#maps-0-about")
    page.select_option("#second", "gain")  # which has no steps
    assert page.input_value("#y") != "step" and page.locator("#maps figure").count() == 2


def test_what_is_chosen_is_kept_when_the_page_is_loaded_again(page):
    page.select_option("#second", "error")
    page.select_option("#x", "alpha")
    slide(page, "u", 2)
    before = reading(page)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert reading(page) == before and page.input_value("#x") == "alpha" and page.locator("#maps figure").count() == 2
    for bad in ("#%7B", "#%7B%22first%22:%22no%22,%22x%22:3,%22place%22:%7B%22u%22:99,%22v2%22:%22length%22%7D%7D"):
        page.evaluate(f"history.replaceState(null, '', '{bad}')")
        page.reload()
        page.wait_for_selector("body[data-ready]")
        assert page.input_value("#first") == "gain" and page.input_value("#at-u") == "1"


def test_colours_and_marks(page):
    """Colours stay when a slider moves; unclear and diverged cells, zero line and theory are in the legend."""
    limits = "[0, 1].map((end) => document.querySelector('#maps-0-chart').data[0][['zmin', 'zmax'][end]])"
    before = page.evaluate(limits)
    legend = page.locator("#maps-0 .legendtext").all_text_contents()
    assert {"not computed", "diverged", "unclear: 95% interval includes 0", "gain 0", "criterion"} == set(legend)
    slide(page, "alpha", 1)
    assert page.evaluate(limits) == before and before[0] == -before[1]


def test_everything_works_by_keyboard(page):
    page.focus("#first")
    seen = []
    for _ in range(30):
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid" or page.evaluate("document.activeElement === document.body")
        page.keyboard.press("Tab")
    for name in ("first", "second", "x", "y", "at-u", "at-v2", "at-alpha", "CSV", "PNG", "SVG"):
        assert name in seen
    page.focus("#at-u")
    page.keyboard.press("ArrowRight")
    settle(page)
    assert "u = 0.333333" in reading(page)
    page.focus("#first")
    page.keyboard.press("ArrowDown")
    settle(page)
    assert reading(page).splitlines()[-1].startswith("error:")
    assert page.evaluate("document.activeElement.id") == "first"


def test_a_screen_reader_is_told(page):
    bare = "() => [...document.querySelectorAll('select, input')].filter((one) => !one.labels.length).length"
    assert page.evaluate(bare) == 0
    before = page.inner_text("#maps-0-about")
    assert re.match(r"Map of gain over u \(across\) and v2 \(up\) at alpha = 0. Clearly above 0 in \d+% of", before)
    assert "diverged: 1 of 12 cells" in before and "not computed: 1 of 12 cells" in before
    assert page.get_attribute("#maps-0-chart", "aria-labelledby") == "maps-0-about"
    slide(page, "alpha", 1)
    assert "alpha = 1" in page.inner_text("#maps-0-about") and "diverged" not in page.inner_text("#maps-0-about")
    assert page.get_attribute("#at-alpha", "aria-valuetext") == "1"
    assert page.get_attribute("#reading", "role") == "status"


@pytest.mark.parametrize("width", [360, pytest.param(800, marks=pytest.mark.long), 1400])
@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.long), "dark"])
def test_nothing_is_wider_than_the_window(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.select_option("#second", "error")
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for _ in range(100):  # plotly makes room for labels in steps; the page lets nobody wait in it, by its policy
        if page.evaluate(TEXTS_FIT):
            break
        page.wait_for_timeout(100)
    assert page.evaluate(TEXTS_FIT)
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (sum(numbers(paper)) > sum(numbers(ink))) == (scheme == "light")
    chart = page.evaluate("document.querySelector('#maps-0-chart').layout.paper_bgcolor")
    assert chart == ("#ffffff" if scheme == "light" else "#16181c")


def test_one_axis_is_a_curve_and_the_lines_of_the_cell_are_copied(browser, tmp_path):
    from tests.app.worlds import sweep

    ds = pt_jax.run(sweep({"x": [0.0, 1.0, 2.0]}), report=None)
    page = browser.new_page()
    page.goto(pt_jax.explore(ds, tmp_path / "curve.html").as_uri())
    page.wait_for_selector("body[data-ready]")
    assert page.locator("#maps figure").count() == 0 and page.locator("#sections figure").count() == 1
    slide(page, "x", 2)
    assert "[Place(x=2, y=0, z=3)]" in page.inner_text("#again-python")
    page.click("#copy-python")
    page.locator("#again").filter(has_text=re.compile("copied|selected")).wait_for()
    page.close()
