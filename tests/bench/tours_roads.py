#!/usr/bin/env python3
"""What it costs to plan tours by straight lines: the same stops, planned on roads and planned by
straight lines, both measured on the roads.

    tests/bench/tours_roads.py target/release/lykta FILE.osm.pbf [STOPS SEED SOUTH WEST NORTH EAST]

Stops lie at random in the area (of the east of Oslo unless told), as far as a road is near; one
vehicle serves all of them.
"""
import json
import math
import random
import re
import subprocess
import sys


def main():
    lykta, extract = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    chance = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    south, west, north, east = area()
    points = [
        (chance.uniform(south, north), chance.uniform(west, east)) for _ in range(6 * count)
    ]
    table = "id,lat,lon\n" + "".join(f"{n},{lat},{lon}\n" for n, (lat, lon) in enumerate(points))
    command = [lykta, "plan", "matrix", "--roads", extract, "--weight", "distance", "--near", "50", "--json"]
    answer = json.loads(subprocess.run(command, input=table, capture_output=True, text=True, check=True).stdout)
    found = [n for n, point in enumerate(answer["points"]) if "reason" not in point][: count + 1]
    if len(found) <= count:
        sys.exit(f"only {len(found)} of {len(points)} points are near a road")
    roads = [[answer["metres"][a][b] for b in found] for a in found]
    lines = [[straight(points[a], points[b]) for b in found] for a in found]
    lengths = {}
    for name, matrix in (("roads", roads), ("straight lines", lines)):
        order = tour(lykta, matrix)
        ways = list(zip([0, *order], [*order, 0]))
        lengths[name] = sum(roads[a][b] for a, b in ways)
        told = sum(matrix[a][b] for a, b in ways)
        print(f"planned by {name:<15} {lengths[name] / 1000:>8.1f} km on roads, {told / 1000:>8.1f} km as planned")
    print(f"shorter by {100 * (1 - lengths['roads'] / lengths['straight lines']):.1f} %")


def area():
    if len(sys.argv) > 8:
        return [float(word) for word in sys.argv[5:9]]
    return 59.89, 10.74, 59.96, 10.90


def straight(a, b):
    """Metres over the sphere."""
    (lat_a, lon_a), (lat_b, lon_b) = (map(math.radians, point) for point in (a, b))
    half = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return round(2 * 6_371_009 * math.asin(math.sqrt(half)))


def tour(lykta, matrix):
    """One vehicle's order of all places but the first, as VRPLIB with the ways told."""
    size = len(matrix)
    rows = "\n".join(" ".join(map(str, row)) for row in matrix)
    demands = "\n".join(f"{n + 1} {min(n, 1)}" for n in range(size))
    text = (
        f"NAME : tour\nTYPE : CVRP\nDIMENSION : {size}\nEDGE_WEIGHT_TYPE : EXPLICIT\n"
        f"EDGE_WEIGHT_FORMAT : FULL_MATRIX\nCAPACITY : {size}\nVEHICLES : 1\nEDGE_WEIGHT_SECTION\n{rows}\n"
        f"DEMAND_SECTION\n{demands}\nDEPOT_SECTION\n1\n-1\nEOF\n"
    )
    command = [lykta, "plan", "solve", "-", "--budget", "5s"]
    answer = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return [int(word) for word in re.search(r"Route #1: ([\d ]+)", answer).group(1).split()]


if __name__ == "__main__":
    main()
