"""Charts as inline SVG: days along the bottom, nothing to load, readable in print and in the dark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

import msgspec

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1040, 64, 16, 14, 26
Point = tuple[float, float]
Label = Callable[[float], str]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """`values` by day; None leaves a gap. `band` is what is drawn behind it."""

    name: str
    css: str
    values: Sequence[float | None]
    band: Sequence[tuple[float, float] | None] = ()
    step: bool = False


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A level that means something."""

    name: str
    at: float


class Area(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    css: str
    values: Sequence[float]


class Frame:
    """Maps days and values to the drawing."""

    def __init__(self, days: int, low: float, high: float, height: int) -> None:
        self.days, self.low, self.high, self.height = max(1, days), low, high if high > low else low + 1, height

    def x(self, day: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * day / self.days

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return TOP + (self.height - TOP - BOTTOM) * (1 - share)

    def axes(self, label: Label, ticks: int = 4) -> str:
        rows = [self.low + (self.high - self.low) * n / ticks for n in range(ticks + 1)]
        level = "".join(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(row):.1f}" y2="{self.y(row):.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{self.y(row) + 4:.1f}" text-anchor="end">{escape(label(row))}</text>'
            for row in rows
        )
        return level + weeks(self)


def weeks(frame: Frame) -> str:
    """A mark at each week's beginning, its number in the middle of it."""
    marks = ""
    for week in range(-(-frame.days // 7)):
        at, bottom = frame.x(7 * week), frame.height - BOTTOM
        middle = frame.x(min(7 * week + 3.5, (7 * week + frame.days) / 2))
        marks += f'<line class="week" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>'
        marks += f'<text class="tick" x="{middle:.1f}" y="{bottom + 17}" text-anchor="middle">{week + 1}</text>'
    return marks


def drawing(height: int, inside: str, title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{inside}</svg>'


def stacked(title: str, areas: Sequence[Area], label: Label, *, height: int = 240) -> str:
    """Areas on top of each other, the first at the bottom."""
    days = max((len(area.values) for area in areas), default=0)
    total = [sum(area.values[day] for area in areas) for day in range(days)]
    frame = Frame(days, 0, _round(max(total, default=1)), height)
    below, drawn = [0.0] * days, ""
    for area in areas:
        above = [low + value for low, value in zip(below, area.values, strict=True)]
        edge = _stairs(frame, above) + list(reversed(_stairs(frame, below)))
        drawn += f'<polygon class="{area.css}" points="{_points(edge)}"/>'
        below = above
    return drawing(height, frame.axes(label) + drawn, title) + legend([(area.name, area.css) for area in areas])


def lines(
    title: str, drawn: Sequence[Line], label: Label, *, low: float = 0.0, high: float | None = None, height: int = 220,
    limits: Sequence[Limit] = (), strip: Sequence[str] = (),
) -> str:  # fmt: skip
    """Lines with their bands, levels that mean something, and a strip of what was said of each day."""
    days = max((len(line.values) for line in drawn), default=0)
    seen = [value for line in drawn for value in line.values if value is not None]
    top = high if high is not None else _round(max([*seen, *(limit.at * 1.15 for limit in limits)], default=1))
    frame = Frame(days, low, top, height)
    inside = frame.axes(label)
    for limit in limits:
        at = frame.y(limit.at)
        inside += f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        place = f'x="{WIDTH - RIGHT - 4}" y="{at - 5:.1f}" text-anchor="end"'
        inside += f'<text class="limit" {place}>{escape(limit.name)}</text>'
    for line in drawn:
        inside += _band(frame, line) + _path(frame, line)
    shown = drawing(height, inside, title)
    if strip:
        shown += states(frame, strip)
    return shown + (legend([(line.name, line.css) for line in drawn]) if len(drawn) > 1 else "")


def states(frame: Frame, strip: Sequence[str]) -> str:
    """One cell a day, coloured by the verdict."""
    cells = "".join(
        f'<rect class="v-{escape(state)}" x="{frame.x(day):.1f}" y="2" '
        f'width="{frame.x(day + 1) - frame.x(day) + 0.4:.1f}" height="14">'
        f"<title>day {day + 1}: {escape(state)}</title></rect>"
        for day, state in enumerate(strip)
        if state
    )
    label = f'<text class="tick" x="{LEFT - 8}" y="13" text-anchor="end">verdict</text>'
    return drawing(18, label + cells, "verdicts by day")


def timeline(
    days: int, phases: Sequence[tuple[str, float, float]], marks: Sequence[tuple[str, str, float, float]]
) -> str:
    """Phases one after the other, and beneath them what held or reversed them: (name, class, from, to) in days."""
    rows = sorted({css for _, css, _, _ in marks})
    height = 76 + 30 * len(rows)
    frame = Frame(days, 0, 1, height)
    inside = weeks(frame)
    for number, (name, start, end) in enumerate(phases):
        x, width = frame.x(start), max(2.0, frame.x(end) - frame.x(start))
        inside += f'<rect class="phase p{number}" x="{x:.1f}" y="{TOP}" width="{width:.1f}" height="26" rx="4"/>'
        if width > 7.2 * len(name):
            inside += (
                f'<text class="phase" x="{x + width / 2:.1f}" y="{TOP + 17}" text-anchor="middle">{escape(name)}</text>'
            )
    for row, css in enumerate(rows):
        for name, _, start, end in (mark for mark in marks if mark[1] == css):
            x, y = frame.x(start), TOP + 34 + 30 * row
            width = max(5.0, frame.x(end) - x)
            left = x + width + 6 < WIDTH - 8 * len(name)
            at, anchor = (x + width + 6, "start") if left else (x - 6, "end")
            inside += f'<rect class="{css}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" rx="3"/>'
            inside += f'<text class="mark" x="{at:.1f}" y="{y + 15}" text-anchor="{anchor}">{escape(name)}</text>'
    return drawing(height, inside, "phases, holds and rollbacks")


def legend(entries: Sequence[tuple[str, str]]) -> str:
    keys = "".join(f'<span><i class="key {css}"></i>{escape(name)}</span>' for name, css in entries)
    return f'<p class="legend">{keys}</p>'


def verdict_legend(states_: Mapping[str, str]) -> str:
    return legend([(f"{name}: {what}", f"v-{name}") for name, what in states_.items()])


def _round(value: float) -> float:
    """A round figure not below it."""
    if value <= 0:
        return 1.0
    size = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 0.01
    return next(
        size * n for n in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100) if size * n >= value
    )


def _stairs(frame: Frame, values: Sequence[float]) -> list[Point]:
    return [
        point
        for day, value in enumerate(values)
        for point in ((frame.x(day), frame.y(value)), (frame.x(day + 1), frame.y(value)))
    ]


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _runs(values: Sequence[object]) -> list[list[int]]:
    runs: list[list[int]] = []
    for day, value in enumerate(values):
        if value is None:
            continue
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _path(frame: Frame, line: Line) -> str:
    drawn = ""
    for run in _runs(line.values):
        values = [line.values[day] or 0.0 for day in run]
        if line.step:
            points = [
                p
                for day, v in zip(run, values, strict=True)
                for p in ((frame.x(day), frame.y(v)), (frame.x(day + 1), frame.y(v)))
            ]
        else:
            points = [(frame.x(day + 0.5), frame.y(value)) for day, value in zip(run, values, strict=True)]
        if len(points) == 1:
            drawn += f'<circle class="dot {line.css}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2.2"/>'
        drawn += f'<polyline class="line {line.css}" points="{_points(points)}"/>'
    return drawn


def _band(frame: Frame, line: Line) -> str:
    drawn = ""
    for run in _runs(line.band):
        found = [(day, line.band[day]) for day in run]
        above = [(frame.x(day + 0.5), frame.y(each[1])) for day, each in found if each]
        below = [(frame.x(day + 0.5), frame.y(each[0])) for day, each in found if each]
        drawn += f'<polygon class="band {line.css}" points="{_points(above + list(reversed(below)))}"/>'
    return drawn
