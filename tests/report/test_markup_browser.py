"""Names with markup, long names and the looks of many results on a page; skipped without a browser."""

import pt_jax
from tests.report.cases import dataset
from tests.report.test_explore_browser import browser, driver, settle  # noqa: F401 - a fixture


def test_names_are_text_and_fit_and_looks_differ(browser, tmp_path):  # noqa: F811 - the fixture
    ds = dataset("u", "alpha").assign_coords(alpha=["<b>a</b>", "c" * 80])
    also = {"lines": {"<i>G</i>": ds["gain"].mean("seed") - 1}, "beside": {"<u>o</u>": ds}}
    page = browser.new_page()
    page.goto(pt_jax.explore(ds, tmp_path / "page.html", **also).as_uri())
    page.wait_for_selector("body[data-ready]")
    page.select_option("#second", "gain in <u>o</u>")
    settle(page)
    legend = page.locator(".legendtext").all_text_contents()
    assert {"<i>G</i>", "gain in <u>o</u> 0"} <= set(legend)
    drawn = page.evaluate("document.querySelector('#sections-alpha-chart').data")
    looks = [(one["line"]["color"], one["line"]["dash"], one["marker"]["symbol"]) for one in drawn]
    assert all(len(set(kind)) == 4 for kind in zip(*looks, strict=True))  # error, error_scratch and both gains
    hovered = page.evaluate("document.querySelector('#sections-alpha-chart').data[0].text[0]")
    assert hovered.startswith("alpha = &lt;b>a&lt;/b><br>")
    page.locator("#at-alpha").fill("1")
    page.set_viewport_size({"width": 360, "height": 800})
    driver.expect(page.locator("#value-alpha")).to_have_text("c" * 80)
    for _ in range(100):  # plotly follows
        if page.evaluate("document.documentElement.scrollWidth") <= 360:
            break
        page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()
