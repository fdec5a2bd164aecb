"""Pages of HTML in one file: no network, no script, readable in light and dark. Functions return pieces of a page.

A plain string is text, and is escaped wherever it goes; a piece of a page is `Html`, and stays as it is:

    page("Recordings", [heading("Levels"), table(["file", "dB"], [["a<b.wav", -3.5]]), audio(content, "audio/flac")])
"""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence

_STYLE = """
:root { color-scheme: light dark; --text: #1a1c1e; --paper: #ffffff; --line: #c9ced4; --soft: #f2f4f6; --quiet: #59616a;
  --error: #b3261e; --warning: #8a5a00; --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8ea; --paper: #16181a; --line: #3d444b; --soft: #22262a;
  --quiet: #a3abb3; --error: #ff8a80; --warning: #f2c14e; --link: #8ab4f8; } }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; background: var(--paper); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.2; } a { color: var(--link); } .quiet { color: var(--quiet); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: 0 0 1rem; }
caption { text-align: left; color: var(--quiet); padding-bottom: .3rem; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .8rem .35rem 0; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } pre, code { background: var(--soft); }
pre { padding: .6rem; overflow-x: auto; } .error { color: var(--error); } .warning { color: var(--warning); }
img, svg { max-width: 100%; height: auto; } audio { width: 18rem; max-width: 100%; }
@media print { audio { display: none; } }
""".strip()
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
"""A browser that keeps it runs no script and fetches nothing, whatever the page holds."""


class Html(str):
    """A piece of a page: its `<` and `&` are meant."""


def escaped(value: object) -> Html:
    """The value as a piece of a page: `Html` as it is, and anything else as its text.

    >>> escaped("a<b & c"), escaped(Html("<br>"))
    ('a&lt;b &amp; c', '<br>')
    """
    return value if isinstance(value, Html) else Html(html.escape(_visible(str(value))))


def element(name: str, *content: object, **attributes: object) -> Html:
    """An element with what is in it; pieces are put one behind the other.

    Args:
      name: of the element, a constant of the program.
      content: pieces, or texts to escape.
      attributes: their values are escaped; None leaves one out, True gives it no value; `class_` stands for class.

    >>> element("p", "a < b", class_="quiet")
    '<p class="quiet">a &lt; b</p>'
    """
    inside = "".join(escaped(each) for each in content)
    return Html(f"<{name}{_attributes(attributes)}>{inside}</{name}>")


def page(title: str, parts: Iterable[Html], *, language: str = "en") -> str:
    """A whole page: the frame, the style sheet, the title as its first heading, and the parts in order.

    Args:
      title: of the page; text.
      parts: pieces of the page.
      language: of its words, as BCP 47 has it.
    """
    return "\n".join((
        "<!doctype html>",
        f'<html lang="{html.escape(language)}">',
        '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">',
        f"{element('title', title)}<style>{_STYLE}</style></head>",
        f"<body><main>{element('h1', title)}",
        *map(escaped, parts),
        "</main></body></html>",
        "",
    ))  # fmt: skip


def heading(text: str, level: int = 2, *, anchor: str | None = None) -> Html:
    """A heading of a level between 2 and 6, perhaps with a name that links of the page lead to."""
    if not 2 <= level <= 6:
        raise ValueError(f"level={level} must lie between 2 and 6; the title of the page is level 1.")
    return element(f"h{level}", text, id=anchor)


def paragraph(*content: object, kind: str | None = None) -> Html:
    """A paragraph of texts and pieces; `kind` is one of "quiet", "warning" and "error"."""
    return element("p", *content, class_=kind)


def link(text: str, anchor: str) -> Html:
    """A link to a heading of the same page."""
    return element("a", text, href=f"#{anchor}")


def code(text: str) -> Html:
    """Lines as they are typed, such as a command."""
    return element("pre", element("code", text))


def details(summary: str, *content: object, shown: bool = False) -> Html:
    """What is folded away behind a line, or shown at first; needs no script."""
    return element("details", element("summary", summary), *content, open=shown or None)


def table(header: Sequence[object], rows: Iterable[Sequence[object]], *, caption: str | None = None) -> Html:
    """A table that scrolls on small screens.

    Args:
      header: names of the columns.
      rows: cells: texts, pieces, or numbers, which stand at the right; format decimals before.
      caption: says what the table shows.
    Raises:
      ValueError: a row is not as long as the header.
    """
    body = []
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells and the header {len(header)}; make them alike.")
        body.append(element("tr", *map(_cell, row)))
    top = element("thead", element("tr", *(element("th", each, scope="col") for each in header)))
    named = () if caption is None else (element("caption", caption),)
    return element("div", element("table", *named, top, element("tbody", *body)), class_="scroll")


def facts(entries: Mapping[str, object]) -> Html:
    """A table of two columns without a header: names, and what they are."""
    rows = (element("tr", element("th", name, scope="row"), _cell(value)) for name, value in entries.items())
    return element("div", element("table", element("tbody", *rows)), class_="scroll")


def image(content: bytes, media_type: str, text: str) -> Html:
    """A picture as part of the page.

    Args:
      content: of the file.
      media_type: "image/png", or "image/svg+xml", in which no script runs here.
      text: says what the picture shows, for those who do not see it.
    """
    return Html(f"<img{_attributes({'src': _data(content, media_type), 'alt': text})}>")


def audio(content: bytes, media_type: str, text: str = "") -> Html:
    """A player with its recording as part of the page.

    Args:
      content: of the file.
      media_type: "audio/flac", "audio/wav" or "audio/ogg"; browsers play them all.
      text: name of the recording, for those who do not see where it stands.
    """
    return element("audio", controls=True, preload="none", src=_data(content, media_type), aria_label=text or None)


def _cell(value: object) -> Html:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return element("td", f"{value:,}" if number else value, class_="number" if number else None)


def _data(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _attributes(attributes: Mapping[str, object]) -> str:
    return "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{html.escape(_visible(str(value)))}"')
        for name, value in attributes.items()
        if value is not None
    )


def _visible(text: str) -> str:
    """Without what a page may not hold: control characters, and halves of characters that names on disks can have."""
    visible = (each if each in "\t\n" or (each >= " " and not "\x7f" <= each <= "\x9f") else "�" for each in text)
    return "".join(visible).encode("utf-8", "replace").decode("utf-8")
