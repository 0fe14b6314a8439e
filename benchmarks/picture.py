"""Draws benchmarks/speed.svg, an SVG by hand: cold start, warm handler and memory of everybody, side by side.

python -m benchmarks.picture      draws .local/bench/results.json anew, into benchmarks/speed.svg
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.cold import BUNDLED
from benchmarks.contestants import AGAIN, OURS
from benchmarks.handlers import RULED
from benchmarks.peers import FOLDER

LABEL_PX, BAR_PX, VALUE_PX, ROW_PX, HEAD_PX, GAP_PX = 250, 300, 70, 18, 38, 10
MOST_ROWS_OF_MEDIAN = 3.0  # a longer bar is cut off, and marked
INK, OURS_INK, LESS_INK, PEER_INK, FLOOR_INK = "#333", "#0f766e", "#99cbc6", "#94a3b8", "#e2e8f0"


@dataclass(frozen=True, slots=True)
class Panel:
    """One bar chart: its title, the unit of its values, and its rows, the smallest value first."""

    title: str
    unit: str
    rows: list[tuple[str, float]]


def draw(results: Mapping[str, Any], file: Path) -> None:
    """Draw those of the three charts that have figures."""
    panels = [*_times(results, "cold", -1, "ms", 1e3), *_times(results, "handlers", 0, "µs", 1), *_memory(results)]
    if not panels:
        return
    top, parts = 0, []
    for panel in panels:
        parts.append(f'<g transform="translate(0,{top})">{_panel(panel)}</g>')
        top += HEAD_PX + ROW_PX * len(panel.rows) + GAP_PX
    width = LABEL_PX + BAR_PX + VALUE_PX
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" viewBox="0 0 {width} {top}" '
    style = 'font-family="system-ui, sans-serif" font-size="12">'
    background = '<rect width="100%" height="100%" fill="#fff"/>'
    file.write_text("\n".join([head + style, background, *parts, "</svg>", ""]))


def _times(results: Mapping[str, Any], section: str, index: int, unit: str, divisor: float) -> list[Panel]:
    if section not in results:
        return []
    report = results[section]["results"][index]
    title = report["title"].partition(";")[0] + ", median"
    return [Panel(title, unit, _rows({name: time["median_us"] / divisor for name, time in report["times"].items()}))]


def _memory(results: Mapping[str, Any]) -> list[Panel]:
    if "footprint" not in results:
        return []
    rows = results["footprint"]["results"]["rows"]
    values = {name: row["peak_memory_mb"] for name, row in rows.items()}
    return [Panel("Peak memory after 1,000 calls", "MB", _rows(values))]


def _rows(values: Mapping[str, float]) -> list[tuple[str, float]]:
    shown = [(name, value) for name, value in values.items() if name not in (AGAIN, RULED)]
    return sorted(shown, key=lambda row: row[1])


def _ink(name: str) -> str:
    if name.startswith("empty"):
        return FLOOR_INK
    if name in (OURS, BUNDLED):
        return OURS_INK
    return LESS_INK if name.startswith(OURS) else PEER_INK


def _panel(panel: Panel) -> str:
    rows = panel.rows
    widest = min(rows[-1][1], MOST_ROWS_OF_MEDIAN * rows[len(rows) // 2][1])
    parts = [f'<text x="8" y="26" font-size="14" font-weight="600" fill="{INK}">{escape(panel.title)}</text>']
    for number, (name, value) in enumerate(rows):
        y = HEAD_PX + number * ROW_PX
        width = BAR_PX * min(value / widest, 1)
        weight = "600" if name in (OURS, BUNDLED) else "400"
        label = f"{value:,.0f} {panel.unit}" + (" →" if value > widest else "")
        anchor = f'text-anchor="end" font-weight="{weight}" fill="{INK}"'
        parts += [
            f'<text x="{LABEL_PX - 8}" y="{y + 12}" {anchor}>{escape(name)}</text>',
            f'<rect x="{LABEL_PX}" y="{y + 2}" width="{width:.1f}" height="13" fill="{_ink(name)}"/>',
            f'<text x="{LABEL_PX + width + 4:.1f}" y="{y + 12}" fill="{INK}">{label}</text>',
        ]
    return "\n".join(parts)


if __name__ == "__main__":
    draw(json.loads((FOLDER / "results.json").read_text()), Path(__file__).with_name("speed.svg"))
