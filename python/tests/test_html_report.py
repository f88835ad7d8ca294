"""The page of a table as a browser shows it."""

import re

import numpy as np
import pytest
from selenium.webdriver import ActionChains, Keys

from browser import Browser, chromium
from caffe_acu.reproduce.report.page import html_report
from report_pages import curve, dots, full, nothing_run, shape

HOSTILE = (
    """</script><script>window.hacked = 1</script><img src="http://127.0.0.1:1/x" onerror="window.hacked = 2">"'&"""
)
CURVES = """return Object.fromEntries([...document.querySelectorAll(`#${arguments[0]} .curve`)].map((path) =>
  [path.dataset.row, { dash: getComputedStyle(path).strokeDasharray, colour: getComputedStyle(path).stroke,
    points: path.getAttribute("d") }]))"""
TICKS = """return [...document.querySelectorAll(`#${arguments[0]} .${arguments[1]}-tick`)].map((tick) =>
  [Number(tick.textContent.replaceAll(",", "")), Number(tick.getAttribute(arguments[1]))])"""
ROUNDING = 5.1e-4  # pixels of an image: how finely the page holds positions


@pytest.fixture(scope="module")
def window():
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(window, tmp_path):
    yield window
    assert window.messages() == []
    # Nothing but the pages themselves.
    assert {address.partition(":")[0] for address in window.requests()} <= {"file", "data"}


def show(browser: Browser, tmp_path, data) -> None:
    browser.open(html_report(data), tmp_path / "page.html")


def assert_at(browser: Browser, layer, moment: int) -> None:
    wanted = np.stack([layer["x"][moment], layer["y"][moment]], axis=-1)
    found = dots(browser, layer["layer"], layer["x"][moment])
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def places(browser: Browser, chart: str, axis: str):
    """Value -> place on the screen, by two of the axis's own ticks."""
    (first, start), *_, (last, end) = browser.run(TICKS, chart, axis)
    offset = 4 if axis == "y" else 0  # a letter's base line is below its middle
    return lambda value: start + (np.asarray(value) - first) / (last - first) * (end - start) - offset


def drawn(points: str) -> np.ndarray:
    return np.array(re.findall(r"[-\d.]+", points), dtype=float).reshape(-1, 2)


def test_the_slider_moves_the_synapses_of_all_layers(browser, tmp_path):
    data = full()
    show(browser, tmp_path, data)
    layers = [layer for layer in data["shapes"] if (layer["row"], layer["seed"]) == ("ResNet/ACU", 1)]
    assert len(browser.all(".layer")) == len(layers) == 3
    for layer in layers:
        assert_at(browser, layer, -1)  # a page opens with what was learned
    for moment in (0, 5, 20):
        browser.set("#moment", moment, "input")
        for layer in layers:
            assert_at(browser, layer, moment)
        assert f"iteration {layers[0]['iterations'][moment]:,}" in browser.one("#iteration").text
    assert browser.one("#iteration").text.endswith("after the warm-up (1,600)")
    moved = np.hypot(
        np.subtract(layers[0]["x"][20], layers[0]["x"][0]), np.subtract(layers[0]["y"][20], layers[0]["y"][0])
    )
    free = np.delete(moved, 4)
    said = f"moved {free.mean():.2f} px on average, {free.max():.2f} at most"
    assert browser.one(".layer .moved").text == said


def test_sets_that_are_not_quite_evenly_spread_are_told_in_short(browser, tmp_path):
    numbers = np.linspace(0, 255, 32).round().astype(int).tolist()
    show(browser, tmp_path, nothing_run(shapes=[shape("ACU", "stage1_conv", sets=32, of=256, set_numbers=numbers)]))
    assert "32 of 256 sets\nsets 0, 8, 16, … 255\n" in browser.one(".layer").text
    assert browser.one(".layer h3").text == "stage1_conv"


def test_each_of_twelve_networks_has_a_colour_of_its_own(browser, tmp_path):
    """As many as Table 3 of the grouped paper has."""
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        show(browser, tmp_path, nothing_run(curves=[curve(f"net {n}", "base") for n in range(12)]))
        assert len({drawn["colour"] for drawn in browser.run(CURVES, "loss").values()}) == 12
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_slider_obeys_the_keyboard(browser, tmp_path):
    data = full()
    show(browser, tmp_path, data)
    browser.one("#moment").send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert_at(browser, data["shapes"][0], 2)
    assert browser.one("#iteration").text == "iteration 400, warm-up until 1,600"
    assert browser.one("#moment").get_attribute("aria-valuetext") == browser.one("#iteration").text


def test_playing_moves_on_until_it_is_paused(browser, tmp_path):
    show(browser, tmp_path, full())
    browser.one("#play").click()
    wait = """const done = arguments[0];
      const between = (value) => value >= 2 && value < 32;
      const look = () => between(document.getElementById("moment").value) ? done() : requestAnimationFrame(look);
      look();"""
    browser.driver.execute_async_script(wait)  # from the end it begins again
    browser.one("#play").click()
    stopped = browser.one("#moment").get_attribute("value")
    frames = (
        "const done = arguments[0]; let n = 0; const f = () => (++n > 60 ? done() : requestAnimationFrame(f)); f();"
    )
    browser.driver.execute_async_script(frames)
    assert browser.one("#moment").get_attribute("value") == stopped
    assert int(stopped) < 32 and browser.one("#play").text == "▶ Play"


def test_a_run_is_chosen_and_its_many_sets_set_apart(browser, tmp_path):
    data = full()
    show(browser, tmp_path, data)
    runs = [option.text for option in browser.all("#run option")]
    assert runs == ["ResNet/ACU, seed 1", "ResNet/ACU, seed 2", "x1d/ACU, seed 3"]
    browser.set("#run", 2, "change")
    many, few = data["shapes"][-2:]
    browser.set("#moment", 20, "input")
    assert_at(browser, many, 20)
    assert_at(browser, few, 20)
    card = browser.one(f'[data-layer="{many["layer"]}"]')
    assert "3×3, 9 synapses, 32 of 512 sets\nsets 0, 16, 32, … 496" in card.text
    colours = "return [...document.querySelectorAll(arguments[0])].map((set) => getComputedStyle(set).color)"
    assert len(set(browser.run(colours, f'[data-layer="{many["layer"]}"] g.set'))) == 32
    assert [name.text for name in browser.all(".key > span")] == ["● set 0", "● set 1", "● set 2", "● set 3"]
    assert browser.run(colours, ".key .set") == browser.run(colours, f'[data-layer="{few["layer"]}"] g.set')
    card.find_element("css selector", "button").click()
    names = [name.text for name in browser.all(".apart figcaption")]
    assert names == [f"set {16 * number}" for number in range(32)]
    assert_at(browser, many, 20)
    browser.set("#moment", 3, "input")
    assert_at(browser, many, 3)


def test_rings_are_where_synapses_started_and_lines_end_where_they_are(browser, tmp_path):
    layer = shape("ACU", "conv", moments=5)
    show(browser, tmp_path, nothing_run(shapes=[layer]))
    script = (
        "return [...document.querySelectorAll('.ring')].map((ring) => [ring.cx.baseVal.value, ring.cy.baseVal.value])"
    )
    rings = np.array(browser.run(script))
    np.testing.assert_allclose(rings, np.stack([layer["x"][0][0], layer["y"][0][0]], axis=-1), atol=ROUNDING)
    ways = browser.one(".way").get_attribute("d").split("M")[1:]
    assert len(ways) == 9
    ends = np.array([drawn(way)[-1] for way in ways])
    np.testing.assert_allclose(ends, np.stack([layer["x"][-1][0], layer["y"][-1][0]], axis=-1), atol=ROUNDING)
    assert browser.one("rect.synapse").get_attribute("data-synapse") == "4"


def test_a_long_movement_says_how_much_of_it_is_shown(browser, tmp_path):
    show(browser, tmp_path, nothing_run(shapes=[shape("ACU", "conv", moments=33)]))
    assert browser.one("#thinned").text == ""
    long = shape("ACU", "conv", moments=641)
    show(browser, tmp_path, nothing_run(shapes=[long]))
    assert browser.one("#thinned").text == "The slider stops at 201 of 641 records."
    assert_at(browser, long, -1)


def test_base_is_dashed_and_acu_solid_each_in_its_colour(browser, tmp_path):
    show(browser, tmp_path, full())
    for chart in ("loss", "error"):
        curves = browser.run(CURVES, chart)
        dashed = {row for row, curve in curves.items() if curve["dash"] != "none"}
        assert (set(curves), dashed) == ({"ResNet/Base", "ResNet/ACU", "x1d/ACU"}, {"ResNet/Base"})
        assert len({curve["colour"] for curve in curves.values()}) == 3
    swatches = browser.run(
        "return [...document.querySelectorAll('#legend line')].map((l) => l.getAttribute('stroke-dasharray'))"
    )
    assert [bool(swatch) for swatch in swatches] == [True, False, False]


def test_a_curve_is_the_mean_of_its_seeds_with_their_range(browser, tmp_path):
    seeds = [curve("ACU", "acu", seed, records=30) for seed in (1, 2, 3)]
    show(browser, tmp_path, nothing_run(curves=seeds))
    errors = np.array([seed["test"]["error"] for seed in seeds])
    x, y = places(browser, "error", "x"), places(browser, "error", "y")
    iterations = seeds[0]["test"]["iteration"]
    found = drawn(browser.run(CURVES, "error")["ACU"]["points"])
    np.testing.assert_allclose(found, np.stack([x(iterations), y(errors.mean(0))], axis=-1), atol=0.05)
    band = drawn(browser.one("#error .band").get_attribute("d"))
    np.testing.assert_allclose(band[: len(iterations), 1], y(errors.max(0)), atol=0.05)
    np.testing.assert_allclose(band[len(iterations) :][::-1, 1], y(errors.min(0)), atol=0.05)
    assert "3 seeds" in browser.one("#legend").text


def test_the_end_of_the_warm_up_is_marked(browser, tmp_path):
    show(browser, tmp_path, full())
    for chart in ("loss", "error"):
        (line,) = browser.all(f"#{chart} .warmup-line")
        assert float(line.get_attribute("x1")) == pytest.approx(float(places(browser, chart, "x")(1600)), abs=0.01)
        assert line.get_attribute("x1") == line.get_attribute("x2")
        assert "warm-up ends at 1,600" in browser.one(f"#{chart}").text
    assert browser.one("#warmup").is_displayed()
    for button in browser.all("#legend button")[1:]:
        button.click()
    assert not browser.all(".warmup-line")  # the base has none


def test_drops_of_the_rate_are_marked(browser, tmp_path):
    falls = curve("ACU", "acu") | {"rate_drops": [(3200, 0.01), (4800, 0.001)]}
    show(browser, tmp_path, nothing_run(curves=[falls, curve("Base", "base", 2)]))
    for chart in ("loss", "error"):
        lines = [float(line.get_attribute("x1")) for line in browser.all(f"#{chart} .drop-line")]
        assert lines == pytest.approx(places(browser, chart, "x")([3200, 4800]), abs=0.01)
        assert "rate 0.01" in browser.one(f"#{chart}").text and "rate 0.001" in browser.one(f"#{chart}").text
    browser.set("#range", 0.75, "change")
    assert len(browser.all("#loss .drop-line")) == 1


@pytest.mark.parametrize("width", [360, 1400])
def test_words_at_marks_do_not_overlap(browser, tmp_path, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        falls = curve("ACU", "acu", warmup=1000) | {"rate_drops": [(3200, 0.01), (4800, 0.001)]}
        show(browser, tmp_path, nothing_run(curves=[falls]))
        script = """return [...document.querySelectorAll("#loss line + text")].filter((text) => /warm|rate/.test(
          text.textContent)).map((text) => text.getBBox()).map((box) => [box.x, box.x + box.width, box.y])"""
        boxes = sorted(browser.run(script))
        assert len(boxes) == 3 and boxes[-1][1] <= browser.run("return document.querySelector('#loss svg').clientWidth")
        for (_, end, y), (begin, _, other) in zip(boxes, boxes[1:], strict=False):
            assert end < begin or y != other
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_legend_hides_a_row_and_shows_it_again(browser, tmp_path):
    show(browser, tmp_path, full())
    button = browser.all("#legend button")[1]
    for pressed in ("false", "true"):
        button.click()
        assert button.get_attribute("aria-pressed") == pressed
        for chart in ("loss", "error"):
            assert ("ResNet/ACU" in browser.run(CURVES, chart)) == (pressed == "true")


def test_pointing_at_a_curve_tells_its_values(browser, tmp_path):
    data = nothing_run(curves=[curve("Base", "base"), curve("ACU", "acu", 2)])
    show(browser, tmp_path, data)
    ActionChains(browser.driver).move_to_element(browser.one("#error svg")).perform()
    tip = browser.one("#error .tip").text
    iteration = int(re.search(r"iteration ([\d,]+)", tip)[1].replace(",", ""))
    for row in data["curves"]:
        error = row["test"]["error"][row["test"]["iteration"].index(iteration)]
        assert f"{row['row']} {error:.4g}" in tip
    browser.one("#loss svg").send_keys(Keys.ARROW_LEFT)
    assert "iteration" in browser.one("#loss .tip").text


def test_range_and_logarithm_change_the_axes(browser, tmp_path):
    data = nothing_run(curves=[curve("ACU", "acu")])
    show(browser, tmp_path, data)
    browser.one("#log").click()
    (low, bottom), *_, (high, top) = browser.run(TICKS, "error", "y")
    found = drawn(browser.run(CURVES, "error")["ACU"]["points"])[:, 1] + 4
    share = np.log(np.array(data["curves"][0]["test"]["error"]) / low) / np.log(high / low)
    np.testing.assert_allclose(found, bottom + share * (top - bottom), atol=0.05)
    browser.set("#range", 0.75, "change")
    assert browser.run(TICKS, "error", "x")[0][0] >= 0.75 * 6400


def test_names_are_text_whatever_they_hold(browser, tmp_path):
    data = full()
    data |= {"title": HOSTILE, "remark": HOSTILE, "command": HOSTILE, "settings": [{"row": HOSTILE, "text": HOSTILE}]}
    data["table"] = {"columns": [HOSTILE], "rows": [[HOSTILE]]}
    data["environments"] = [{HOSTILE: [HOSTILE]}]
    data["comparisons"][0] |= {"base": HOSTILE, "acu": HOSTILE, "remark": HOSTILE}
    data["curves"] = [curve(HOSTILE, "acu", 1)]
    data["shapes"] = [shape(HOSTILE, HOSTILE, sets=2)]
    show(browser, tmp_path, data)
    assert browser.run("return window.hacked") is None
    assert not browser.all("img")
    for selector in (
        "h1",
        ".banner",
        "code",
        "thead th",
        "tbody th",
        "summary",
        "dt",
        "dd",
        "#legend span",
        ".layer h3",
    ):
        assert HOSTILE in browser.one(selector).get_attribute("textContent"), selector
    assert browser.one("#run").text.startswith(HOSTILE)


def test_what_is_not_known_leaves_a_gap(browser, tmp_path):
    row = curve("ACU", "acu", records=20)
    row["test"]["error"][5], row["test"]["error"][6] = None, float("nan")
    row["train"]["loss"] = [float("inf")] * 20
    layer = shape("ACU", "conv", moments=4)
    layer["x"][2][0][0] = float("nan")
    show(browser, tmp_path, nothing_run(curves=[row], shapes=[layer]))
    pieces = browser.run(CURVES, "error")["ACU"]["points"].split("M")[1:]
    assert [len(drawn(piece)) for piece in pieces] == [5, 13]
    assert browser.one("#loss .plot").text == "Training loss: nothing to show."
    browser.set("#moment", 2, "input")
    lost = browser.one('[data-synapse="0"]')
    assert not lost.is_displayed()
    assert browser.one(".moved").text.endswith("; positions not known: 1")
    browser.set("#moment", 3, "input")
    assert_at(browser, layer, 3)


def test_empty_curves_are_not_run(browser, tmp_path):
    empty = curve("Base", "base", warmup=100) | {
        "train": {"iteration": [], "loss": []},
        "test": {"iteration": [], "error": []},
    }
    show(browser, tmp_path, nothing_run(curves=[empty]))
    assert browser.one("#legend").text == "Base (not run)"
    assert browser.one("#error .plot").text == "Test error: nothing to show."
    show(browser, tmp_path, nothing_run(curves=[empty, curve("ACU", "acu", 2)]))
    assert drawn(browser.run(CURVES, "error")["ACU"]["points"]).size
    assert not browser.all(".warmup-line")
    ActionChains(browser.driver).move_to_element(browser.one("#error svg")).perform()
    assert "Base" not in browser.one("#error .tip").text


def test_a_table_of_which_nothing_has_run(browser, tmp_path):
    show(browser, tmp_path, nothing_run())
    cells = [cell.text for cell in browser.all("#results tbody th, #results tbody td")]
    assert cells == ["ResNet/Base", "6.18 ± 0.1", "–", "–", "1.24M", "197.8M", "not run"]
    for section in ("curves", "shapes", "settings", "environments"):
        assert browser.one(f"#{section} .missing").text.startswith("Not run")


def test_curves_are_drawn_for_the_room_that_there_is(browser, tmp_path):
    show(browser, tmp_path, full())
    wide = drawn(browser.run(CURVES, "loss")["ResNet/ACU"]["points"])[-1, 0]
    resized = """const [display, width, done] = arguments;
      document.getElementById("loss").style.cssText = `display: ${display}; width: ${width}px`;
      requestAnimationFrame(() => requestAnimationFrame(done));"""
    browser.driver.execute_async_script(resized, "none", 0)
    browser.one("#log").click()  # which would draw it
    browser.driver.execute_async_script(resized, "block", 300)
    assert drawn(browser.run(CURVES, "loss")["ResNet/ACU"]["points"])[-1, 0] == pytest.approx(286, abs=1) != wide


def test_settings_are_read_without_scrolling_sideways(browser, tmp_path):
    show(browser, tmp_path, nothing_run(settings=[{"row": "a", "text": "base_lr 0.1, " * 40}]))
    browser.run("document.querySelector('details').open = true")
    assert browser.run("const p = document.querySelector('pre'); return p.scrollWidth <= p.clientWidth")


def test_a_printed_page_shows_the_settings(browser, tmp_path):
    show(browser, tmp_path, full())
    assert not browser.one("pre").is_displayed()
    browser.driver.execute_cdp_cmd("Page.printToPDF", {})
    assert browser.one("pre").is_displayed()


@pytest.mark.parametrize("width", [360, 700, 1400])
def test_nothing_hangs_over_the_edge(browser, tmp_path, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        show(browser, tmp_path, full())
        browser.set("#run", 2, "change")
        assert browser.run("return document.documentElement.scrollWidth") <= width
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_dark_where_the_reader_wants_it_dark(browser, tmp_path):
    seen = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        show(browser, tmp_path, full())
        script = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        seen.append([sum(map(int, re.findall(r"\d+", colour))) for colour in browser.run(script)])
    (light_paper, light_ink), (dark_paper, dark_ink) = seen
    assert light_paper > light_ink and dark_paper < dark_ink
