#!/usr/bin/env python3
"""PyVRP on the instances of tests/tours/data, one thread, budgets in seconds of CPU time.

    python3 -m venv target/pyvrp && target/pyvrp/bin/pip install pyvrp
    target/pyvrp/bin/python tests/bench/tours_pyvrp.py 1 10

The conventions are those of the best known values: X instances by nearest integer; Solomon's and
those of Gehring and Homberger in tenths, truncated, distance alone, any number of vehicles. The
multi-trip instances are left out.
"""
import csv
import importlib.metadata
import math
import pathlib
import statistics
import sys
import time

import numpy as np
import pyvrp

DATA = pathlib.Path(__file__).parent.parent / "tours" / "data"
SEED = 1


class Budget:
    def __init__(self, seconds):
        self.begin, self.seconds = time.process_time(), seconds

    def __call__(self, best):
        return time.process_time() - self.begin > self.seconds

    def fraction_remaining(self):
        return max(0.0, 1 - (time.process_time() - self.begin) / self.seconds)


def rows(text):
    """Capacity, and x, y, demand, earliest, latest, service of each place; the depot is the first."""
    if "NODE_COORD_SECTION" in text:
        head, rest = text.split("NODE_COORD_SECTION")
        places, rest = rest.split("DEMAND_SECTION")
        demands = rest.split("DEPOT_SECTION")[0].split()[1::2]
        capacity = int(head.split("CAPACITY")[1].split()[1])
        lines = [line.split()[1:3] for line in places.strip().splitlines()]
        return capacity, [[int(x), int(y), int(d), 0, 0, 0] for (x, y), d in zip(lines, demands)]
    lines = [line.split() for line in text.splitlines()]
    numbers = [[int(word) for word in line] for line in lines if line and line[0].isdigit()]
    return numbers[0][1], [row[1:4] + [10 * value for value in row[4:]] for row in numbers[1:]]


def problem(text, timed):
    capacity, places = rows(text)

    def way(a, b):
        square = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
        return math.isqrt(100 * square) if timed else int(math.sqrt(square) + 0.5)

    ways = np.array([[way(a, b) for b in places] for a in places], dtype=np.int64)

    def window(place):
        return {"tw_early": place[3], "tw_late": place[4]} if timed else {}

    clients = [
        pyvrp.Client(location=number, delivery=[place[2]], service_duration=place[5], **window(place))
        for number, place in enumerate(places)
        if number > 0
    ]
    needed = -(-sum(place[2] for place in places) // capacity)
    fleet = len(places) // 2 if timed else needed + 20
    return pyvrp.ProblemData(
        [pyvrp.Location(x=place[0], y=place[1]) for place in places],
        clients,
        [pyvrp.Depot(location=0)],
        [pyvrp.VehicleType(fleet, [capacity], **window(places[0]))],
        [ways],
        [ways if timed else np.zeros_like(ways)],
    )


def main():
    budgets = [float(word) for word in sys.argv[1:]] or [1.0, 10.0]
    gaps = [[] for _ in budgets]
    print(f"pyvrp {importlib.metadata.version('pyvrp')}")
    for row in csv.DictReader((DATA / "best.csv").open()):
        path = DATA / row["file"]
        text = path.read_text()
        if "RELEASE_TIME_SECTION" in text:
            continue
        data = problem(text, path.suffix == ".txt")
        print(f"{path.name:<20}", end="")
        for budget, column in zip(budgets, gaps):
            result = pyvrp.solve(data, Budget(budget), seed=SEED, collect_stats=False, display=False)
            gap = 100 * (result.best.distance() / float(row["best"]) - 1)
            column.append(gap)
            print(f"{gap:>10.2f}", end="", flush=True)
        print()
    print(f"{'mean':<20}" + "".join(f"{statistics.mean(column):>10.2f}" for column in gaps))


if __name__ == "__main__":
    main()
