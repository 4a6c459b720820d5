import json

import pytest
from click.testing import CliRunner

from agent.cli import main
from agent.cli.estimate import estimate

XEON = ["--cpu-model", "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", "--sockets", "2"]


def run(*arguments):
    return CliRunner().invoke(estimate, arguments)


def document(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_json_has_the_contracts_form():
    answer = document(
        *XEON,
        "--cores",
        "48",
        "--frequency-mhz",
        "2500",
        "--memory-gb",
        "384",
        "--utilization",
        "0.5",
    )
    assert set(answer) == {"components", "host"}
    names = [row["component"] for row in answer["components"]]
    assert names == ["cpu", "dram", "storage", "platform"]
    for row in [*answer["components"], answer["host"]]:
        assert set(row) - {"component"} == {"watts", "method"}
        assert 0 < row["watts"]["low"] <= row["watts"]["best"] <= row["watts"]["high"]
        assert row["method"]
    for bound in ("low", "best", "high"):
        parts = sum(row["watts"][bound] for row in answer["components"])
        assert answer["host"]["watts"][bound] == pytest.approx(parts, abs=1e-6)


def test_the_table_is_for_people():
    result = run(*XEON, "--utilization", "0.3")
    assert result.exit_code == 0
    assert "Xeon Platinum 8259CL" in result.output
    assert "platform" in result.output


def test_this_host_has_a_figure():
    assert document("--utilization", "0")["host"]["watts"]["best"] > 0


def test_a_smaller_share_draws_less():
    whole, part = (
        document(*XEON, "--memory-gb", "8", *cores)["components"][0]["watts"]["best"]
        for cores in ([], ["--cores", "12"])
    )
    assert part == pytest.approx(whole / 4, rel=1e-3)


def test_an_unknown_cpu_is_said_to_be_one():
    answer = document("--cpu-model", "Frobnicator 3000", "--cores", "8")
    assert "family fallback" in answer["components"][0]["method"]
    assert "not in the catalogue" in run("--cpu-model", "Frobnicator 3000").output


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--utilization", "50"),
        ("--utilization", "-0.1"),
        ("--utilization", "nan"),
        ("--utilization", "half"),
        ("--cores", "0"),
        ("--cores", "2.5"),
        ("--sockets", "two"),
        ("--sockets", "0"),
        ("--frequency-mhz", "2.5"),
        ("--frequency-mhz", "inf"),
        ("--memory-gb", "0"),
        ("--memory-gb", "64GB"),
        ("--cpu-model", " "),
    ],
)
def test_bad_input_is_named_with_its_remedy(option, value, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["wattlas", "estimate", option, value])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert option in lines[0]
    assert "give" in lines[0]


def test_help_shows_examples():
    assert "wattlas estimate --cpu-model" in run("--help").output
