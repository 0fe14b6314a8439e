"""Draws docs/dashboard.svg: the template's dashboard, filled with records of a local AWS.

python -m local.dashboard [FILE]

The local AWS makes no metrics of records in the embedded metric format. So they are read from the log, and what
CloudWatch would make of the dashboard's metrics and queries is worked out here. Lambda's own metrics stay empty.
"""

import argparse
import json
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]  # ships no types

from local.aws import LocalAws
from local.build import ROOT
from local.command_line import run
from local.hanko import StandInHanko
from local.sign import event_with, token_with

Record = Mapping[str, Any]
Metric = tuple[str, Mapping[str, Any]]  # its name, and the options of the widget: stat, label, visible

PICTURE = ROOT / "docs" / "dashboard.svg"
TEMPLATE = ROOT / "template.yaml"
UNIT_PX, LINE_PX = 44, 13
COLOURS = ("#0f766e", "#d97706", "#b91c1c", "#7c3aed", "#1d4ed8", "#475569", "#be185d", "#65a30d")
BINS = 20
SENT = (
    *(("rest_token", "none"), ("http_v2", "none"), ("websocket", "missing"), ("rest_token", "expired")),
    *(("http_v2", "wrong_audience"), ("rest_token", "tampered"), ("websocket", "none")),
)


# --- what the template says


def widgets(*, revocation: bool) -> list[dict[str, Any]]:
    """The widgets of the dashboard."""
    body, given = yaml_parse(TEMPLATE.read_text())["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    receiver = given["Receiver"]["Fn::If"][1]["Fn::Sub"] if revocation else ""
    found: list[dict[str, Any]] = json.loads(body.replace("${Receiver}", receiver))["widgets"]
    return found


def queries() -> dict[str, str]:
    """The saved queries: name of the resource, and text."""
    resources = yaml_parse(TEMPLATE.read_text())["Resources"]
    return {
        name: one["Properties"]["QueryString"]
        for name, one in resources.items()
        if one["Type"] == "AWS::Logs::QueryDefinition"
    }


def query_of(widget: Mapping[str, Any]) -> str:
    """The query of a widget, without its source."""
    text: str = widget["properties"]["query"]
    return text.partition(" | ")[2]


def own_metrics(widget: Mapping[str, Any]) -> Iterator[Metric]:
    """Those of a widget that our records make."""
    for metric in widget["properties"].get("metrics", ()):
        if metric[0] == "HankoAuthorizer":
            yield metric[1], metric[-1]


# --- what CloudWatch makes of records


def values(record: Record, name: str) -> list[float]:
    """The values of one metric in one record."""
    declared = [one["Name"] for one in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    if name not in declared:
        return []
    value = record[name]
    return value if isinstance(value, list) else [value]


def statistic(stat: str, given: Sequence[float]) -> float:
    """One statistic of CloudWatch's."""
    match stat:
        case "Sum":
            return sum(given)
        case "Maximum":
            return max(given, default=0)
    percentiles = statistics.quantiles(given, n=100, method="inclusive") if len(given) > 1 else [*given, 0] * 99
    return percentiles[int(stat.removeprefix("p")) - 1]


def answer(query: str, records: Iterable[Record]) -> list[dict[str, Any]]:
    """The rows of a query: the part of Logs Insights' language that our queries use."""
    rows = [dict(record) for record in records]
    for command in (part.strip() for part in query.replace("\n", " ").split(" | ")):
        word, _, rest = command.partition(" ")
        match word:
            case "filter":
                rows = [row for row in rows if any(_holds(one, row) for one in rest.split(" or "))]
            case "fields":
                rows = [{name: _field(row, name) for name in rest.split(", ")} for row in rows]
            case "stats":
                names = rest.partition(" by ")[2].split(", ")
                counted = Counter(tuple(_field(row, name) for name in names) for row in rows)
                rows = [{"requests": n, **dict(zip(names, key, strict=True))} for key, n in counted.items()]
            case "sort":
                rows.sort(key=lambda row: str(row[rest.split()[0]]).zfill(30), reverse=True)
            case "limit":
                rows = rows[: int(rest)]
            case _:
                raise ValueError(f"{word} is a command that this reader does not know")
    return rows


def _field(row: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON
    if name == "@timestamp":
        return row["_aws"]["Timestamp"]
    member, _, index = name.partition(".")
    value = row.get(member)
    return value[int(index)] if index and isinstance(value, list) else value


def _holds(condition: str, row: Mapping[str, Any]) -> bool:
    found = re.fullmatch(r"([A-Za-z_]+) (in|=|>) (.+)", condition.strip())
    if found is None:
        raise ValueError(f"{condition} is a condition that this reader does not know")
    value, wanted = _field(row, found[1]), found[3]
    if found[2] == "in":
        return value in re.findall(r"'([^']*)'", wanted)
    if found[2] == ">":
        return isinstance(value, int) and value > int(wanted)
    return str(int(value) if isinstance(value, bool) else value) == wanted.strip("'")


# --- the picture


def draw(found: Sequence[Mapping[str, Any]], records: Sequence[Record], file: Path) -> None:
    """Draw the widgets, by hand, as SVG."""
    height = max(one["y"] + one["height"] for one in found) * UNIT_PX
    size = f"{24 * UNIT_PX} {height}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="#f1f5f9"/>',
    ]
    draws = {"text": _text, "log": _table, "metric": _graph}
    for widget in found:
        x, y, width, tall = (widget[name] * UNIT_PX for name in ("x", "y", "width", "height"))
        inside = draws[widget["type"]](widget, records, width - 24, tall - 16)
        title = escape(widget["properties"].get("title", ""))
        parts.append(
            f'<g transform="translate({x + 4},{y + 4})"><rect width="{width - 8}" height="{tall - 8}" fill="#fff" '
            f'stroke="#cbd5e1"/><text x="8" y="16" font-weight="bold">{title}</text>{inside}</g>'
        )
    file.write_text("\n".join([*parts, "</svg>", ""]))


def _text(widget: Mapping[str, Any], _: Sequence[Record], width: float, __: float) -> str:
    words, lines = widget["properties"]["markdown"].replace("**", "").split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > width / 5.6:
            lines.append("")
        lines[-1] += word + " "
    return "".join(f'<text x="8" y="{18 + 15 * i}">{escape(line)}</text>' for i, line in enumerate(lines))


def _table(widget: Mapping[str, Any], records: Sequence[Record], width: float, height: float) -> str:
    rows = answer(query_of(widget), records)[: int(height / LINE_PX) - 3]
    if not rows:
        return '<text x="8" y="36" fill="#64748b">no rows</text>'
    names = list(rows[0])
    began = min(record["_aws"]["Timestamp"] for record in records)
    step, cells = width / len(names), []
    for number, row in enumerate([dict(zip(names, names, strict=True)), *rows]):
        for column, name in enumerate(names):
            value = row[name] if number == 0 or name != "@timestamp" else f"+{(row[name] - began) / 1000:.1f} s"
            text = escape("" if value is None else str(value)[: int(step / 5.8)])
            style = ' fill="#64748b"' if number == 0 else ""
            cells.append(f'<text x="{8 + column * step:.0f}" y="{34 + number * LINE_PX}"{style}>{text}</text>')
    return "".join(cells)


def _graph(widget: Mapping[str, Any], records: Sequence[Record], width: float, height: float) -> str:
    """Lines over the records' time. The legend says each metric's whole."""
    began = min(record["_aws"]["Timestamp"] for record in records)
    span = max(record["_aws"]["Timestamp"] for record in records) - began + 1
    shown = list(own_metrics(widget))  # those of an expression, too
    parts, plot = [], height - 40 - 12 * ((len(shown) + 1) // 2)
    for number, (name, options) in enumerate(shown):
        bins: list[list[float]] = [[] for _ in range(BINS)]
        for record in records:
            bins[int((record["_aws"]["Timestamp"] - began) * BINS / span)] += values(record, name)
        series = [statistic(options["stat"], one) if one else 0.0 for one in bins]
        top, colour = max(*series, 1e-9), COLOURS[number % len(COLOURS)]
        line = " ".join(f"{8 + i * width / BINS:.0f},{28 + plot * (1 - v / top):.0f}" for i, v in enumerate(series))
        whole = statistic(options["stat"], [value for one in bins for value in one]) if any(bins) else 0
        label = f"{name} {options['stat']} {whole:.3g}" if any(bins) else f"{name}: none"
        x, y = 8 + (number % 2) * width / 2, 44 + plot + 12 * (number // 2)
        if any(bins):
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}">{escape(label)}</text>')
    return "".join(parts)


def own_records(lines: Iterable[str]) -> list[Record]:
    """Our records among the lines of a log, oldest first."""
    found = [json.loads(line) for line in lines if line.startswith('{"_aws"')]
    return sorted(found, key=lambda record: record["_aws"]["Timestamp"])


def situations(hanko: StandInHanko, new_process: Callable[[], None]) -> Iterator[str]:
    """A morning: all is well, the keys are rotated, Hanko goes down, a process starts meanwhile, all is well again."""
    yield "all is well"
    hanko.rotate()
    yield "keys rotated"
    hanko.behave("down")
    yield "Hanko down, keys known"
    new_process()
    yield "Hanko down, a new process"
    hanko.behave("normal")
    new_process()
    yield "all is well again"


def main(argv: Sequence[str] | None = None) -> int:
    """Invoke the deployed authorizer in some situations, and draw what it left in its log."""
    parser = argparse.ArgumentParser(prog="python -m local.dashboard", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=PICTURE)
    file: Path = parser.parse_args(argv).file
    with StandInHanko() as hanko, LocalAws() as aws:
        parameters = {"HankoApiUrl": hanko.url, "HankoAudience": "localhost", "Architecture": "x86_64"}
        parameters |= {"HankoSessionCheck": "strict", "EnableRevocation": "true"}
        outputs = aws.deploy("template.yaml", "authorizer", parameters)
        for situation in situations(hanko, lambda: aws.new_sandbox(outputs["AuthorizerArn"])):
            print(situation, flush=True)
            for event, defect in SENT:
                aws.invoke(outputs["AuthorizerArn"], event_with(event, token_with(defect, hanko)))
        records = own_records(aws.logs(outputs["LogGroupName"]))
    draw(widgets(revocation=False), records, file)
    (ROOT / ".local").mkdir(exist_ok=True)
    (ROOT / ".local" / "dashboard.json").write_text(json.dumps(records))
    print(f"{file}: drawn from {len(records)} records")
    return 0


if __name__ == "__main__":
    run(main)
