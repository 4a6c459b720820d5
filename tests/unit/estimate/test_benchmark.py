"""The recorded profiles: the model's promise, and that nobody breaks it unseen."""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pytest

from agent.estimate.catalog import describe
from agent.estimate.machine import Activity
from agent.estimate.model import by_component, evaluate, prepare

PROFILES = Path(__file__).parents[3] / "benchmarks/profiles"


def rows(name):
    with (PROFILES / name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


MACHINES = rows("machines.csv")
POINTS = defaultdict(list)
for row in [*rows("teads-aws-2021.csv"), *rows("codecarbon-2025.csv")]:
    if row["component"] == "cpu":
        POINTS[row["machine"]].append((float(row["load"]), float(row["watts"])))


@pytest.mark.parametrize("row", MACHINES, ids=[row["machine"] for row in MACHINES])
def test_the_mean_error_is_at_most_60_percent_of_codecarbons(row):
    coefficients = prepare(
        describe(row["cpu_model"], sockets=int(row["sockets"]), cores=int(row["cores"]))
    )
    ours, theirs = [], []
    for load, watts in POINTS[row["machine"]]:
        cpu = by_component(evaluate(coefficients, Activity(load)))[0]
        ours.append(abs(cpu.watts_best - watts))
        tdp = float(row["codecarbon_tdp_watts"])
        theirs.append(abs(tdp * (0.1 + 0.9 * load**3) - watts))
        assert cpu.watts_low <= watts <= cpu.watts_high
    assert fmean(ours) <= 0.6 * fmean(theirs)
