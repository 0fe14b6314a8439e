"""Contestants that take turns, and their results: medians, minima, and ratios of paired rounds."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

Samples = dict[str, list[float]]  # seconds for each round, by contestant


@dataclass(frozen=True, slots=True)
class Ratio:
    """One contestant ÷ another, round by round. A tenth of the rounds lies below `low`, a tenth above `high`."""

    of: str
    to: str
    median: float
    low: float
    high: float
    of_minima: float
    bar: float | None  # what the median should not exceed; None where the ratio only shows the noise

    @property
    def line(self) -> str:
        """One line to read."""
        verdict = "" if self.bar is None else f"   bar {self.bar:g}: {'met' if self.median <= self.bar else 'MISSED'}"
        spread = f"{self.low:.3f} to {self.high:.3f}, minima {self.of_minima:.3f}"
        return f"{self.of} ÷ {self.to}: {self.median:.3f} ({spread}){verdict}"


def take_turns(contestants: Mapping[str, Callable[[], float]], rounds: int) -> Samples:
    """Run each contestant once per round. The order rotates, so that no place in it is an advantage."""
    samples: Samples = {name: [] for name in contestants}
    order = list(contestants.items())
    for _ in range(rounds):
        for name, run in order:
            samples[name].append(run())
        order.append(order.pop(0))
    return samples


def ratio(samples: Samples, of: str, to: str, bar: float | None = None) -> Ratio:
    """The ratios of paired rounds."""
    ratios = [ours / theirs for ours, theirs in zip(samples[of], samples[to], strict=True)]
    deciles = statistics.quantiles(ratios, n=10)
    of_minima = min(samples[of]) / min(samples[to])
    return Ratio(of, to, statistics.median(ratios), deciles[0], deciles[-1], of_minima, bar)


def report(title: str, samples: Samples, ratios: list[Ratio]) -> dict[str, object]:
    """Print the figures, and return them."""
    print(f"\n{title}\n{'':26}median µs   min µs")
    times = {name: {"median_us": statistics.median(s) * 1e6, "min_us": min(s) * 1e6} for name, s in samples.items()}
    for name, time in times.items():
        print(f"{name:26}{time['median_us']:9.1f}{time['min_us']:9.1f}")
    for one in ratios:
        print(f"  {one.line}")
    return {"title": title, "times": times, "ratios": [asdict(one) for one in ratios]}
