"""Curves as inline SVG for `files.page`: without a library, and readable in light and dark."""

import math
from collections.abc import Mapping, Sequence

from jaxmeta.files.page import Html, element

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 48
_COLOURS = ("#2f7ed8", "#d1690e", "#2a9d5c", "#b0489f", "#8a8d91", "#c9a000")
"""Each at least 3 to 1 against white and against the dark paper of the page, or nearly so."""
_DASHES = (None, "7 3", "2 3", "10 3 2 3")
"""Lines differ by more than their colour."""
Points = Sequence[tuple[float, float]]


def line_chart(curves: Mapping[str, Points], x_label: str, y_label: str, *, text: str) -> Html:
    """Curves over common axes, with a legend. Points that are not finite leave a gap.

    Args:
      curves: name -> points (x, y) in order of x.
      x_label, y_label: what the axes are, with units.
      text: says what the chart shows, for those who do not see it.
    Raises:
      ValueError: no point is finite.
    """
    finite = [point for points in curves.values() for point in points if _is_finite(point)]
    if not finite:
        raise ValueError(f"line_chart({', '.join(curves)}) has no finite point; leave the chart out.")
    xs, ys = _ticks([x for x, _ in finite]), _ticks([y for _, y in finite])

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = (point[0] - xs[0]) / (xs[-1] - xs[0])
        up = (point[1] - ys[0]) / (ys[-1] - ys[0])
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    parts = [element("title", text), *_axes(xs, ys, place, x_label, y_label)]
    for index, points in enumerate(curves.values()):
        look = {"stroke": _colour(index), "stroke_dasharray": _dash(index)}
        for stretch in _stretches(points):
            at = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, stretch))
            parts.append(element("polyline", points=at, fill="none", stroke_width=2, **look))
    legend = [_legend(index, name) for index, name in enumerate(curves)]
    height = _HEIGHT + 20 * len(legend)
    box = f"0 0 {_WIDTH} {height}"
    drawing = element("g", *parts, *legend, fill="currentColor", font_size=13, font_family="sans-serif")
    return element("svg", drawing, viewBox=box, width=_WIDTH, height=height, role="img", aria_label=text)


def _axes(xs, ys, place, x_label, y_label) -> list[Html]:
    floor, wall = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for x in xs:
        at, _ = place((x, ys[0]))
        parts.append(element("text", _number(x), x=f"{at:.1f}", y=floor + 18, text_anchor="middle"))
    for y in ys:
        _, at = place((xs[0], y))
        line = {"x1": _LEFT, "x2": wall, "y1": f"{at:.1f}", "y2": f"{at:.1f}"}
        parts.append(element("line", stroke="currentColor", stroke_opacity=0.2, **line))
        parts.append(element("text", _number(y), x=_LEFT - 8, y=f"{at + 4:.1f}", text_anchor="end"))
    parts.append(element("text", x_label, x=(_LEFT + wall) / 2, y=floor + 40, text_anchor="middle"))
    middle = (_TOP + floor) / 2
    turned = f"rotate(-90 14 {middle})"
    return [*parts, element("text", y_label, x=14, y=middle, text_anchor="middle", transform=turned)]


def _legend(index: int, name: str) -> Html:
    y = _HEIGHT + 20 * index + 8
    line = {"x1": _LEFT, "x2": _LEFT + 32, "y1": y - 4, "y2": y - 4, "stroke": _colour(index)}
    return element(
        "g",
        element("line", stroke_width=2, stroke_dasharray=_dash(index), **line),
        element("text", name, x=_LEFT + 40, y=y),
    )


def _stretches(points: Points) -> list[list[tuple[float, float]]]:
    """The points between those that are not finite."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if _is_finite(point):
            stretches[-1].append(point)
        elif stretches[-1]:
            stretches.append([])
    return [stretch for stretch in stretches if stretch]


def _ticks(values: list[float]) -> list[float]:
    """Round numbers, 3 at least, that reach from below the least value to above the largest.

    >>> _ticks([0.0, 0.9]), _ticks([3.0, 3.0])
    ([0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0], [2.0, 3.0, 4.0])
    """
    low, high = min(values), max(values)
    if low == high:
        return [low - 1, low, low + 1]
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _number(value: float) -> str:
    return f"{value:.4g}"


def _is_finite(point: tuple[float, float]) -> bool:
    return math.isfinite(point[0]) and math.isfinite(point[1])


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _dash(index: int) -> str | None:
    return _DASHES[index // len(_COLOURS) % len(_DASHES)]
