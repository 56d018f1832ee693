import base64
import io
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from nst_jax.images.io import save
from nst_jax.outputs.lanes import LaneResult
from nst_jax.outputs.report import report, thin
from tests.reference.chromium import Browser, find_chromium

NASTY = "</script><script>document.title='taken'</script>\"'&<b>"
CHROMIUM = find_chromium()


def flat(index, height=120, width=160):
    values = np.array([0.2 + 0.1 * (index % 7), 0.5, 0.8 - 0.1 * (index % 7)])
    return np.full((height, width, 3), values, np.float32)


def lane(index, alpha, **changes):
    trace = [(i, (index + 1) * 2.0**-i, 1.0 + i, 0.5) for i in range(30)]
    made = LaneResult(
        index,
        {"alpha": f"{alpha:g}", "set": "AB"[index % 2]},
        {"alpha": alpha, "set": "AB"[index % 2]},
        flat(index),
        f"lanes/{index:04d}/result.png",
        {"total": alpha, "content": 1 / alpha, "style": 0.5, "style/conv1_1": 2.0},
        trace,
        {"gram": 0.25},
        1.5,
    )
    return made._replace(**changes)


def data_of(page):
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page
    )
    return json.loads(text)


class Elements(HTMLParser):
    """Tags, and the attributes that could make a request."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.addresses, self.title = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.title += data if self.tags and self.tags[-1] == "title" else ""


def test_thinning_keeps_the_first_and_the_last():
    assert thin(3, 5) == [0, 1, 2]
    assert thin(0, 5) == []
    kept = thin(501, 150)
    assert (len(kept), kept[0], kept[-1]) == (150, 0, 500)
    assert set(np.diff(kept)) <= {3, 4}


def test_the_page_holds_the_numbers(tmp_path):
    lanes = [lane(1, 0.01), lane(0, 0.1)]
    lanes[0] = lanes[0]._replace(
        terms={"total": math.nan, "content": math.inf}, outcome="failed", text="why"
    )
    data = data_of(report(lanes, tmp_path, settings="a: 1", facts={"device": "CPU"}))
    assert [x["index"] for x in data["lanes"]] == [0, 1]
    first, second = data["lanes"]
    assert data["axes"][0] == {
        "name": "alpha", "column": "alpha", "labels": ["0.1", "0.01"],
    }  # fmt: skip
    assert first["numbers"]["content"] == 10
    assert first["values"] == [0.1, "A"]
    assert first["trace"]["total"] == [float(f"{2.0**-i:.5g}") for i in range(30)]
    assert second["numbers"] == {"total": "nan", "content": "inf", "gram": 0.25}
    assert (first["trouble"], second["trouble"], second["text"]) == (
        None, "failed", "why",
    )  # fmt: skip
    assert (data["layers"], data["scores"]) == (["style/conv1_1"], ["gram"])
    assert data["terms"] == ["total", "content", "style"]
    assert (data["settings"], data["facts"]) == ("a: 1", [["device", "CPU"]])


def test_thumbnails_are_the_pictures_made_small(tmp_path):
    wide = lane(0, 0.1, picture=flat(0, 300, 600))
    (found,) = data_of(report([wide], tmp_path))["lanes"]
    kind, _, text = found["thumb"].partition(",")
    assert kind == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    assert list(image.size) == found["size"] == [200, 100]
    np.testing.assert_allclose(
        np.asarray(image).mean((0, 1)) / 255, flat(0)[0, 0], atol=0.01
    )
    broken = lane(0, 0.1, picture=None)
    (found,) = data_of(report([broken], tmp_path))["lanes"]
    assert found["thumb"] is None


def test_what_users_write_stays_text(tmp_path):
    nasty = lane(0, 0.1, labels={NASTY: NASTY}, values={NASTY: NASTY}, text=NASTY)
    nasty = nasty._replace(file="lanes/a \"b'#?%<\udcff/javascript:x.png")
    page = report(
        [nasty], tmp_path, title=NASTY, settings=NASTY, facts={NASTY: NASTY},
        files=[NASTY],
    )  # fmt: skip
    plain = Elements(report([lane(0, 0.1)], tmp_path))
    elements = Elements(page)
    assert elements.tags == plain.tags
    assert elements.title.strip() == NASTY
    (found,) = data_of(page)["lanes"]
    assert found["labels"] == [NASTY]
    assert found["url"] == "lanes/a%20%22b%27%23%3F%25%3C%FF/javascript%3Ax.png"


def test_the_page_asks_for_nothing(tmp_path):
    page = report([lane(0, 0.1)], tmp_path)
    assert Elements(page).addresses == []
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}


def test_the_same_lanes_give_the_same_page_in_any_order(tmp_path):
    lanes = [lane(i, 0.1 * (i + 1)) for i in range(4)]
    assert report(lanes, tmp_path) == report(lanes[::-1], tmp_path)


def test_many_lanes_stay_small(tmp_path):
    noise = np.random.default_rng(0).random((200, 200, 3)).astype(np.float32)
    trace = np.random.default_rng(1).random((501, 4)).tolist()
    one = report([lane(0, 0.1, picture=noise, trace=trace)], tmp_path)
    two = report([lane(i, 0.1, picture=noise, trace=trace) for i in range(2)], tmp_path)
    # Noise is the largest that a thumbnail can be; 144 lanes in 10 MB.
    assert 144 * (len(two) - len(one)) < 10e6


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with Browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser, tmp_path):
    """Four lanes, alpha 0.1, 10, 2, 0.01; the last has lost its picture file."""
    lanes = [lane(i, alpha) for i, alpha in enumerate((0.1, 10.0, 2.0, 0.01))]
    lanes[2] = lanes[2]._replace(outcome="diverged", text=NASTY)
    for each in lanes[:3]:
        path = tmp_path / each.file
        path.parent.mkdir(parents=True)
        save(path, each.picture)
    text = report(lanes, tmp_path, title=NASTY, settings=NASTY)
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    browser.open(tmp_path / "report.html")
    return browser


def resize(page, width):
    page.send(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=800, deviceScaleFactor=1, mobile=width < 640,
    )  # fmt: skip
    page.wait(f"innerWidth === {width}")


def order(page):
    rows = "[...document.querySelectorAll('#lanes tbody tr')]"
    return page.run(f"{rows}.map(row => Number(row.dataset.lane))")


def header(page, name):
    heads = "[...document.querySelectorAll('#lanes th')]"
    key = page.run(f"{heads}.find(h => h.textContent === '{name}').dataset.key")
    return f"#lanes th[data-key='{key}']"


def test_in_a_browser_headers_sort(page):
    assert order(page) == [0, 1, 2, 3]
    alpha = header(page, "alpha")
    page.click(f"{alpha} button")
    # As numbers: as text, 10 would come before 2.
    assert order(page) == [3, 0, 2, 1]
    assert page.run(f'document.querySelector("{alpha}").ariaSort') == "ascending"
    page.press("Enter")
    assert order(page) == [1, 2, 0, 3]
    assert page.run(f'document.querySelector("{alpha}").ariaSort') == "descending"
    page.click(f"{header(page, 'set')} button")
    assert order(page) == [0, 2, 1, 3]


def test_in_a_browser_pictures_open(page):
    open_ = "document.querySelector('#viewer').open"
    picture = "document.querySelector('#viewer-picture')"
    assert not page.run(open_)
    page.click("tr[data-lane='1'] .thumb")
    page.wait(f"{picture}.complete && {picture}.naturalWidth === 160")
    assert page.run(open_)
    assert page.run(f"{picture}.src").endswith("lanes/0001/result.png")
    page.press("ArrowRight")
    page.press("ArrowRight")
    # The fourth has no file any more: its thumbnail stands in.
    page.wait(f"{picture}.src.startsWith('data:') && {picture}.naturalWidth > 0")
    assert not page.run("document.querySelector('#viewer-note').hidden")
    page.press("Escape")
    assert not page.run(open_)


def test_in_a_browser_curves_follow_filters_and_switches(page):
    def paths(kind):
        return page.run(f"document.querySelectorAll('#curves path.{kind}').length")

    assert (paths("total"), paths("content")) == (4, 0)
    page.click("#chart-bar .key.content input")
    assert (paths("total"), paths("content")) == (4, 4)
    page.click("#chart-bar .key.total input")
    assert (paths("total"), paths("content")) == (0, 4)
    page.run(
        "(() => { const s = document.querySelector(\"select[data-axis='set']\");"
        " s.value = '1'; s.dispatchEvent(new Event('change')); })()"
    )
    assert order(page) == [1, 3]
    assert paths("content") == 2
    page.click("tr[data-lane='1'] .thumb")
    single = "document.querySelectorAll('#viewer-curves path').length"
    assert page.run(single) == 3
    page.click("#viewer-bar .key.style input")
    assert page.run(single) == 2


def test_in_a_browser_a_logarithmic_curve_is_a_straight_line(page):
    # The totals halve with each iteration.
    page.click("tr[data-lane='0'] .thumb")
    for term in ("content", "style"):
        page.click(f"#viewer-bar .key.{term} input")
    drawn = page.run("document.querySelector('#viewer-curves path').getAttribute('d')")
    points = np.array([p.split() for p in re.split("[ML]", drawn)[1:]], float)
    assert len(points) == 30
    inner = points[2:]
    line = np.polyval(np.polyfit(inner[:, 0], inner[:, 1], 1), inner[:, 0])
    np.testing.assert_allclose(inner[:, 1], line, atol=0.2)
    assert (np.diff(inner[:, 1]) > 0).all()


def test_in_a_browser_nothing_foreign_runs_or_is_asked_for(page):
    assert page.run("document.title") == NASTY
    assert page.run("document.querySelector('#config').textContent") == NASTY
    page.click("tr[data-lane='2'] .thumb")
    assert page.run("document.querySelector('#viewer-text').textContent") == NASTY
    picture = "document.querySelector('#viewer-picture')"
    page.wait(f"{picture}.complete && {picture}.naturalWidth === 160")
    assert page.run("document.querySelectorAll('b').length") == 0
    assert page.problems() == []
    assert {url.partition(":")[0] for url in page.requests()} <= {"file", "data"}


@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser_the_page_is_no_wider_than_the_window(page, width):
    resize(page, width)
    assert page.run("document.documentElement.scrollWidth") <= width
    page.send("Emulation.clearDeviceMetricsOverride")


@pytest.mark.parametrize("width", [400, 1280])
def test_in_a_browser_labels_break_only_if_they_must(browser, tmp_path, width):
    labels = {"style": "woodcut_waves", "content": 80 * "m"}
    terms = dict.fromkeys(("total", "content", "style", "tv"), 1.234e-5)
    terms |= {f"style/conv{n}_1": 1.0 for n in range(1, 6)}
    one = lane(0, 0.1, labels=labels, values={}, terms=terms)
    one = one._replace(scores=dict.fromkeys(("held_out", "random_filters"), 1.234e-5))
    (tmp_path / "report.html").write_text(report([one], tmp_path), encoding="utf-8")
    resize(browser, width)
    browser.open(tmp_path / "report.html")
    lines = browser.run(
        "Object.fromEntries([...document.querySelectorAll('td.label')].map(cell => {"
        " const range = document.createRange(); range.selectNodeContents(cell);"
        " return [cell.dataset.name, range.getClientRects().length]; }))"
    )
    assert lines["axis/style"] == 1
    assert lines["axis/content"] > 1
    assert browser.run("document.documentElement.scrollWidth") <= width
    browser.send("Emulation.clearDeviceMetricsOverride")
