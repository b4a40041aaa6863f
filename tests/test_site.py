"""The site: built without a warning, whole, and of use from the disk to somebody who has never seen it."""

import html
import inspect
import pydoc
import re
import shutil
from pathlib import Path

import pytest

import pt_jax

build = pytest.importorskip("mkdocs.commands.build", reason="no mkdocs: pip install pt_jax[docs]")
from mkdocs.config import load_config  # noqa: E402 - it may not be there

ROOT = Path(__file__).parents[1]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build.build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))  # strict: a warning is an error
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path.relative_to(site).as_posix(): path.read_text() for path in site.rglob("*.html")}


def test_no_page_asks_a_network_or_leaves_an_equation_as_text(pages):
    for name, page in pages.items():
        assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=\"?(https?:)?//", page), name
        assert "arithmatex" not in page, name
    assert pages["mathematics.html"].count("<math") > 50


def test_every_public_name_has_an_anchor_and_no_table_is_left_out(pages):
    anchors = {anchor for page in pages.values() for anchor in re.findall(r'id="(pt_jax[\w.]*)"', page)}
    names = {f"pt_jax.{name}" for name in pt_jax.__all__} - {"pt_jax.plot"}  # its names have pages
    assert names | {f"pt_jax.theory.{name}" for name in pt_jax.theory.__all__} <= anchors
    for name, field in pt_jax.FIELDS.items():
        row = rf"<td><code>{name}</code></td>\s*<td><math.*?</td>\s*<td>{re.escape(field.meaning)}</td>"
        assert re.search(row, pages["api/signal_noise.html"]), name
    assert "TABLE" not in pages["api/signal_noise.html"] + pages["api/vision.html"]


def test_pages_have_the_angle_brackets_of_docstrings(pages):
    for name, page in pages.items():
        shown = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)  # without the source
        text = html.unescape(re.sub(r"<[a-z/!][^<>]*>", "", shown, flags=re.IGNORECASE))
        for anchor in re.findall(r'id="(pt_jax[\w.]*)"', page):
            written = re.findall(r"<[a-z]\w*", inspect.getdoc(pydoc.locate(anchor)) or "")
            assert all(word in text for word in written), f"{anchor} on {name} needs backticks: {written}"


def test_a_reader_finds_names_by_two_clicks_and_by_the_search(site):
    if BROWSER is None:
        pytest.skip("no chromium: apt-get install chromium")
    driver = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    asked = []
    with driver.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        page.click("nav.md-tabs a:has-text('API')")
        page.click("article a:has-text('pt_jax.Sweep')")
        assert page.url.endswith("api/sweep.html#pt_jax.Sweep")
        page.click("input.md-search__input")
        page.keyboard.type("error bars")
        page.wait_for_selector("a.md-search-result__link[href*='reading.html#a-cross-section-with-error-bars']")
        browser.close()
    assert asked and not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
