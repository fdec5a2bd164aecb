"""Pages of HTML: what is text stays text, nothing is fetched, and every parser agrees on what is there."""

import base64
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from jaxmeta.files.chart import line_chart
from jaxmeta.files.page import (
    Html,
    audio,
    code,
    details,
    element,
    escaped,
    facts,
    heading,
    image,
    link,
    page,
    paragraph,
    table,
)  # fmt: skip

HOSTILE = "</td></title><script>alert(1)</script>\"' onload=x & &lt;"


class Reader(HTMLParser):
    """Elements with their attributes, and the text of each."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def tags(self):
        return [tag for tag, _ in self.elements]


def whole():
    return page(HOSTILE, [
        heading(HOSTILE, anchor="a"), paragraph(HOSTILE, link(HOSTILE, HOSTILE)), code(HOSTILE),
        table([HOSTILE, "n"], [[HOSTILE, 1234]], caption=HOSTILE), facts({HOSTILE: HOSTILE}),
        details(HOSTILE, HOSTILE), audio(b"\x00\xff", "audio/wav", HOSTILE), image(b"png", "image/png", HOSTILE),
        line_chart({HOSTILE: [(0, 1), (1, 2)]}, HOSTILE, HOSTILE, text=HOSTILE),
    ])  # fmt: skip


def test_text_stays_text_wherever_it_stands():
    read = Reader(whole())
    assert read.open == [] and "script" not in read.tags()
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    # Title and heading of the page 2, heading 1, paragraph 2, code 1, table 3, facts 2, details 2, chart 4.
    assert read.texts.count(HOSTILE) == 17
    assert ("audio", HOSTILE) in [(tag, attributes.get("aria-label")) for tag, attributes in read.elements]


def test_a_page_fetches_nothing_and_runs_nothing():
    read = Reader(whole())
    addresses = [each[name] for _, each in read.elements for name in ("src", "href") if name in each]
    assert len(addresses) == 3 and all(each.startswith(("data:", "#")) for each in addresses)
    policies = [each["content"] for tag, each in read.elements if each.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"]
    assert "url(" not in whole() and "@import" not in whole() and "prefers-color-scheme: dark" in whole()


def test_recordings_and_pictures_are_their_bytes_again():
    content = bytes(range(256))
    for piece, start in ((audio(content, "audio/flac"), "audio/flac"), (image(content, "image/png", ""), "image/png")):
        source = Reader(piece).elements[0][1]["src"]
        assert source.startswith(f"data:{start};base64,") and base64.b64decode(source.partition(",")[2]) == content


def test_a_table_has_its_cells_in_order_and_numbers_at_the_right():
    read = Reader(table(["a", "b"], [["x", 12345], [Html("<b>y</b>"), 0.5]], caption="c"))
    assert read.texts == ["c", "a", "b", "x", "12,345", "y", "0.5"]
    assert [each.get("class") for tag, each in read.elements if tag == "td"] == [None, "number", None, "number"]
    with pytest.raises(ValueError, match="row 2 has 1 cells and the header 2"):
        table(["a", "b"], [["x", 1], ["y"]])


def test_characters_that_no_page_may_hold_are_replaced():
    assert escaped("a\x00b\x1b\x9b\udce9c\td") == "a�b��?c\td"
    page("\udce9", [element("p", "x", title="\udce9\x00")]).encode("utf-8")


def test_levels_of_headings_are_checked():
    assert heading("a", 6) == "<h6>a</h6>"
    for level in (1, 7):
        with pytest.raises(ValueError, match=f"level={level} must lie between 2 and 6"):
            heading("a", level)


def test_a_chart_places_points_on_its_axes_and_leaves_gaps():
    nan = float("nan")
    points = [(0, 0.0), (5, 5.0), (6, nan), (7, 7.0), (10, 10.0)]
    drawing = ElementTree.fromstring(line_chart({"one": points, "two": [(0, 10.0)]}, "x", "y", text="t"))
    lines = [each.get("points").split() for each in drawing.iter("polyline")]
    # 560 by 256 between the margins: the corners are (64, 272) and (624, 16).
    assert lines == [["64.0,272.0", "344.0,144.0"], ["456.0,92.8", "624.0,16.0"], ["64.0,16.0"]]
    texts = [each.text for each in drawing.iter("text")]
    assert texts == ["0", "2", "4", "6", "8", "10"] * 2 + ["x", "y", "one", "two"]
    with pytest.raises(ValueError, match="no finite point"):
        line_chart({"none": [(0, nan)]}, "x", "y", text="t")
