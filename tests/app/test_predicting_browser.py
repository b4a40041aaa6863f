"""The page of theory alone in a real browser; skipped without one, as `tests/report/test_explore_browser.py`."""

import json
import threading
from urllib.parse import quote

from pt_jax.app import serve as serving
from pt_jax.app.serve import serve
from pt_jax.report.explorer.page import page as made
from tests.app.test_predicting import maps  # noqa: F401 - a fixture
from tests.report.cases import dataset
from tests.report.test_explore_browser import browser, driver  # noqa: F401 - a fixture


def test_the_controls(maps, browser):  # noqa: F811 - the fixtures
    simulated = iter([[{"error": "no room"}], []])
    server = serve(maps.pages, answers=maps.answers | {"/simulate": lambda _: next(simulated)})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page, errors = browser.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.goto(f"http://127.0.0.1:{server.server_port}")

    def predicted(words):
        page.locator("body[data-predicted=yes]").wait_for()
        driver.expect(page.locator("#reading")).to_contain_text(words)

    def enter(name, text):
        page.locator(f"#value-field-{name}").fill(text)
        page.locator(f"#value-field-{name}").press("Enter")

    predicted("gain: 0.5")  # u = v2 = 2, alpha = 0.5
    assert page.get_attribute("#at-u", "max") == "40" and "predicted in" in page.inner_text("#told")
    page.locator("#at-u").fill("21")
    page.locator("#field-alpha").fill("100")
    predicted("u = 2.1, v2 = 2")  # which the coarse map has not
    driver.expect(page.locator("#reading")).to_contain_text("gain: 1.1")
    assert [page.locator(f"#x [value={name}]").inner_text() for name in ("d", "angle")] == [
        "d: dimension of a patch",
        "angle: angle between the two task signals [degrees]",
    ]
    page.locator("#field-n1").fill("190")
    assert page.input_value("#value-field-n1") == "200"
    enter("n1", "123")
    assert page.input_value("#field-n1") == "113" and page.get_attribute("#field-n1", "aria-valuetext") == "123"
    enter("n1", "5000")  # beyond the slider
    predicted("gain: 1.1")
    assert page.input_value("#field-n1") == "290" and page.evaluate("asked.fields.n1") == 5000
    enter("sigma1", "-1")
    driver.expect(page.locator("#told")).to_contain_text("sigma1 = -1 is not accepted")
    enter("sigma1", "2")
    enter("n1", "")
    assert page.input_value("#value-field-n1") == "5000"
    page.get_by_role("spinbutton", name="steps1: upstream gradient steps").fill("7")
    page.keyboard.press("Enter")
    assert page.evaluate("[asked.fields.steps1, asked.fields.sigma1]") == [7, 2]
    page.select_option("#x", "alpha")
    predicted("alpha = 0.5, v2 = 2")
    assert page.locator("#field-u").count() == 1 and page.locator("#field-alpha").count() == 0
    page.locator("#end-v2-1").fill("2")
    page.locator("#end-v2-1").press("Enter")
    predicted("v2 = 2")
    page.locator("#end-v2-1").fill("")
    page.locator("#end-v2-1").blur()
    assert page.input_value("#end-v2-1") == "2"
    page.locator("#at-alpha").fill("3")
    predicted("alpha = 0.15, v2 = 2")
    before = page.inner_text("#reading")
    page.reload()
    predicted(before.splitlines()[0])
    assert json.loads(page.evaluate("JSON.stringify(asked.ends.v2)")) == [0, 2]
    page.click("#simulate")
    driver.expect(page.locator("#told")).to_have_text("no room")
    page.click("#simulate")
    driver.expect(page.locator("#told")).to_contain_text("The answer broke off")
    page.locator("#end-v2-1").fill("-2")
    page.locator("#end-v2-1").blur()
    driver.expect(page.locator("#told")).to_contain_text("v2 from 0 to -2 is not accepted")
    page.select_option("#x", "d")  # which is asked for in vain
    page.locator("#at-alpha").fill("4")
    driver.expect(page.locator("#reading")).to_contain_text("alpha = 0.2")
    bare = "() => [...document.querySelectorAll('select, input')].filter((one) => !one.labels.length && !one.ariaLabel)"
    assert page.evaluate(f"({bare})().length") == 0
    for width in (360, 1200, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        for _ in range(100):  # plotly follows
            if page.evaluate("document.documentElement.scrollWidth") <= width:
                break
            page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    fields = {"m": 10, "d": "x"}
    for wrong in (5, {"asked": {"x": "no", "y": "u", "ends": {"u": 5}, "fields": fields}, "at": {"u": "x", "d": 3}}):
        page.goto("about:blank")
        page.goto(f"http://127.0.0.1:{server.server_port}#{quote(json.dumps(wrong))}")
        predicted("u = 2, v2 = 2")
    assert page.input_value("#value-field-m") == "10" and page.input_value("#value-field-d") == "2000"
    assert errors == []
    page.close()
    server.shutdown()
    server.server_close()


def test_what_is_chosen_is_kept_when_a_live_page_is_loaded_again(browser, monkeypatch):  # noqa: F811
    monkeypatch.setattr(serving, "_EVERY", 2)
    served, asked = {"note": "0 of 4 <trajectories>", "back": f"/?#{quote(json.dumps({'at': {'u': 0}}))}"}, []
    text = made(dataset("u", "v2"), ["gain"], served=served)
    server = serve({"/": lambda: (text, not asked.append(1) and len(asked) < 3)})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}")
    page.wait_for_selector("body[data-ready]")
    page.locator("#at-u").fill("3")
    driver.expect(page.locator("#reading")).to_contain_text("u = 1, v2 = 0.5")
    for _ in range(200):
        if len(asked) == 3:
            break
        page.wait_for_timeout(100)
    page.wait_for_selector("body[data-ready]")
    driver.expect(page.locator("#reading")).to_contain_text("u = 1, v2 = 0.5")
    assert len(asked) == 3
    driver.expect(page.locator("#note")).to_have_text("0 of 4 <trajectories> Back to the prediction")
    page.click("#note a")
    driver.expect(page.locator("#reading")).to_contain_text("u = 0.333333, v2 = 0.5")
    page.close()
    server.shutdown()
    server.server_close()
