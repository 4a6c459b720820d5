"""Commands that measure a simulated server, in real time and therefore by themselves."""

import json
import sys

import pytest
from e2e.agents import wattlas

pytestmark = pytest.mark.e2e

QUALITIES = {"measured", "integrated", "estimated"}


def document(*arguments):
    done = wattlas(*arguments)
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


def test_read_of_a_server_with_sensors(config):
    found = document("read", "--config", config, "--json")
    assert set(found) == {
        "host",
        "components",
        "accelerators",
        "flops",
        "utilization",
        "collectors",
        "wall",
    }
    host = found["host"]
    (acpi,) = found["wall"]
    assert (acpi["source"], acpi["counted"]) == ("hwmon", True)
    assert host["power_watts"] == pytest.approx(acpi["power_watts"])
    counted = [c["power_watts"] for c in found["components"] if c["counted"]]
    assert 0 < sum(counted) < acpi["power_watts"]
    assert host["power_watts"] == pytest.approx(sum(s["power_watts"] for s in host["shares"]))
    assert 0 < host["uncertainty_ratio"] < 1
    packages = [c for c in found["components"] if c["device"] == "package-0" and c["counted"]]
    assert [(c["source"], c["quality"]) for c in packages] == [("rapl", "measured")]
    assert 40 < packages[0]["power_watts"] < 170  # what this socket can draw
    for row in found["components"]:
        assert set(row) == {
            "component",
            "device",
            "source",
            "quality",
            "power_watts",
            "half_width_watts",
            "counted",
        }
        assert row["quality"] in QUALITIES
    assert {c["collector"] for c in found["collectors"]} >= {"estimate", "host", "hwmon", "rapl"}


def test_measure_counts_what_the_host_drew(config):
    command = [sys.executable, "-c", "import time; time.sleep(1.2)"]
    found = document("measure", "--config", config, "--json", "--", *command)
    assert found["exit_status"] == 0
    assert found["gap_seconds"] < 0.5
    assert 1.2 < found["duration_seconds"] < 5
    energy = found["energy_joules"]
    assert set(energy) == {"total", *QUALITIES}
    assert energy["total"] == pytest.approx(sum(energy[q] for q in QUALITIES))
    assert energy["total"] == pytest.approx(sum(c["energy_joules"] for c in found["components"]))
    expected = found["mean_power_watts"] * found["duration_seconds"]
    assert energy["total"] == pytest.approx(expected, rel=0.5)
    assert found["peak_power_watts"] >= found["mean_power_watts"] * 0.9
    assert energy["measured"] > 100  # two sockets that idle at 45 W
    per_kwh = found["intensity_grams_per_kwh"]
    assert found["co2e_grams"] == pytest.approx(energy["total"] / 3.6e6 * per_kwh)
    assert "host.grid_zone is not set" in found["intensity_source"]  # the world's average
    assert (found["co2e_basis"], found["co2e_factor"]) == ("location", "lifecycle")
