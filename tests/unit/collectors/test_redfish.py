"""What vendors' trees give, by hand: whose power it is, and which figure is the wall's."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hardware.power import Sine, Sum, noise
from hardware.redfish import Bmc, tree_of
from unit.collectors.redfish_rig import rig
from unit.collectors.trees import fixtures, put

from agent.collector import Absent
from agent.quantities import Component, Quality
from collectors.redfish import RECHECK_SECONDS, Redfish
from collectors.redfish_power import Source, Supply, decide, old_supplies, total, watts
from collectors.redfish_settings import RedfishSettings

TREES = Path(__file__).parents[2] / "fixtures" / "redfish"
LENOVO = "/redfish/v1/Chassis/1"
ENVIRONMENT = f"{LENOVO}/EnvironmentMetrics"


def lenovo():
    return tree_of(TREES / "lenovo-sr670v2-xcc")


def uuid_of_host(root: Path, text: str) -> None:
    put(root / "sys/class/dmi/id/product_uuid", text)


@pytest.mark.parametrize("folder", fixtures("redfish"), ids=lambda folder: folder.name)
def test_each_vendors_tree(folder, tmp_path):
    expected = json.loads((folder / "expected.json").read_text())
    if "system_uuid" in expected:
        uuid_of_host(tmp_path, expected["system_uuid"])
    elif "absent" in expected:
        uuid_of_host(tmp_path, "00112233-4455-6677-8899-aabbccddee02")
    with Bmc(tree_of(folder)) as bmc, rig(bmc, tmp_path) as host:
        if "absent" in expected:
            absent = host.absent()
            assert expected["absent"] in absent.why
            assert absent.remedy
            assert absent.again_seconds
            return
        sample = host.read()
        assert (sample.collector, sample.component) == ("redfish", Component.HOST)
        assert sample.device == expected["device"]
        assert sample.watts == expected["watts"]
        assert sample.quality is Quality.INTEGRATED
        assert sample.counted
        assert sample.accuracy == expected["accuracy"]
        assert sample.at == host.clock.now
        assert host.collector._choice.source.value == expected["source"]
        assert host.problems() == [tuple(problem) for problem in expected["problems"]]
        assert host.watts() == expected["watts"]
    assert bmc.sessions == {}, "the session was ended"


def test_no_address_is_no_bmc(tmp_path):
    with Bmc({}) as bmc, rig(bmc, tmp_path, url="", user="", password_file="") as host:
        absent = host.absent()
    assert "url" in absent.remedy
    assert absent.again_seconds is None
    assert bmc.asked == []
    assert RedfishSettings().interval_seconds == 5.0
    assert isinstance(absent, Absent)
    assert Redfish.Settings is RedfishSettings


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"url": "10.0.0.5"}, "is no address"),
        ({"url": "https://a b"}, "has a space"),
        ({"url": "https://root:calvin@10.0.0.5"}, "no password belongs in url"),
        ({"url": "https://10.0.0.5/index.html"}, "has a path"),
        ({"url": "https://10.0.0.5:port"}, "is no address"),
        ({"token_file": "/x"}, "either token_file or user"),
        ({"password_file": ""}, "belong together"),
        ({"accuracy": 5.0}, "a share"),
    ],
)
def test_settings_that_cannot_work(settings, part, tmp_path):
    with Bmc({}) as bmc, rig(bmc, tmp_path, **settings) as host:
        error = host.fails()
    assert (error.reason, part in error.why) == ("settings", True), error.why
    assert "calvin" not in error.why


def test_later_readings_ask_for_one_resource(tmp_path):
    with Bmc(lenovo()) as bmc, rig(bmc, tmp_path) as host:
        host.read()
        bmc.asked.clear()
        bmc.tree[ENVIRONMENT]["PowerWatts"]["Reading"] = 731.5
        host.clock.now += 5
        sample = host.read()
        assert (sample.watts, sample.at) == (731.5, 1005.0)
        assert bmc.asked == [("GET", ENVIRONMENT)]


def test_all_figures_are_compared_again_after_an_hour(tmp_path):
    with Bmc(lenovo()) as bmc, rig(bmc, tmp_path) as host:
        assert host.watts() == 700.0
        bmc.tree[ENVIRONMENT]["PowerWatts"]["Reading"] = 620
        host.clock.now += RECHECK_SECONDS - 1
        assert host.watts() == 620.0
        host.clock.now += 1
        assert host.watts() == 710.0, "12.7 % below the supplies' input: behind them"


def test_a_figure_that_goes_is_replaced_by_the_next_best(tmp_path):
    with Bmc(lenovo()) as bmc, rig(bmc, tmp_path) as host:
        assert host.watts() == 700.0
        bmc.tree[ENVIRONMENT]["PowerWatts"]["Reading"] = None
        assert host.watts() == 710.0
        metrics = f"{LENOVO}/PowerSubsystem/PowerSupplies/PSU3/Metrics"
        bmc.tree[metrics]["InputPowerWatts"]["Reading"] = None
        assert host.watts() == 706.0, "one supply is silent: its older figures"
        bmc.tree[f"{LENOVO}/Power"]["PowerSupplies"][2]["PowerInputWatts"] = "170"
        assert host.watts() == 708.0, "a string is no value: PowerControl"
        bmc.tree[f"{LENOVO}/Power"]["PowerControl"][0]["PowerConsumedWatts"] = 0
        error = host.fails()
        assert error.reason == "empty"
        assert "'1'" in error.why
        assert error.remedy


def test_without_a_figure_the_bmc_is_left_alone_for_a_minute(tmp_path):
    with Bmc(lenovo()) as bmc, rig(bmc, tmp_path) as host:
        for name in (ENVIRONMENT, f"{LENOVO}/Power", f"{LENOVO}/PowerSubsystem"):
            bmc.tree.pop(name)
        assert host.fails().reason == "empty"
        bmc.asked.clear()
        bmc.tree.update(lenovo())
        host.clock.now += 59
        assert host.fails().reason == "empty"
        assert bmc.asked == []
        host.clock.now += 1
        assert host.watts() == 700.0


def test_a_supply_that_is_added_counts_at_once(tmp_path):
    tree = tree_of(TREES / "dell-r750-idrac9")
    supplies = "/redfish/v1/Chassis/System.Embedded.1/PowerSubsystem/PowerSupplies"
    tree[supplies]["Members"].pop()
    tree["/redfish/v1/Chassis/System.Embedded.1/Power"]["PowerControl"] = []
    with Bmc(tree) as bmc, rig(bmc, tmp_path) as host:
        assert host.watts() == 303.0
        bmc.tree[supplies]["Members"].append({"@odata.id": f"{supplies}/PSU.Slot.2"})
        assert host.watts() == 611.0


def test_a_supply_without_a_cord_draws_nothing(tmp_path):
    tree = tree_of(TREES / "dell-r750-idrac9")
    slot = "/redfish/v1/Chassis/System.Embedded.1/PowerSubsystem/PowerSupplies/PSU.Slot.2"
    tree["/redfish/v1/Chassis/System.Embedded.1/Power"] = {}
    with Bmc(tree) as bmc, rig(bmc, tmp_path) as host:
        assert host.watts() == 611.0
        bmc.tree[f"{slot}/Metrics"]["InputPowerWatts"]["Reading"] = 0
        assert host.fails().reason == "empty", "0 W of a supply that has its voltage"
        host.clock.now += 60
        bmc.tree[slot]["LineInputStatus"] = "LossOfInput"
        assert host.watts() == 303.0
        bmc.asked.clear()
        assert host.watts() == 303.0
        assert len(bmc.asked) == 3, "the collection and two metrics: not searched anew"
        bmc.tree[f"{slot}/Metrics"]["InputPowerWatts"]["Reading"] = 301
        assert host.watts() == 604.0, "the cord is back"


@pytest.mark.parametrize(
    ("chassis", "supplies", "source", "power", "noted"),
    [
        ((Source.ENVIRONMENT, 700.0), (Source.SUPPLY_METRICS, 710.0), "ENVIRONMENT", 700.0, False),
        ((Source.CONTROL, 700.0), (Source.SUPPLY_METRICS, 710.0), "SUPPLY_METRICS", 710.0, False),
        ((Source.CONTROL, 632.0), (Source.SUPPLIES, 706.0), "SUPPLIES", 706.0, False),
        ((Source.CONTROL, 429.0), (Source.SUPPLIES, 900.0), "CONTROL", 429.0, True),
        ((Source.ENVIRONMENT, 700.0), (Source.SUPPLIES, 350.0), "ENVIRONMENT", 700.0, True),
        ((Source.ENVIRONMENT, 700.0), None, "ENVIRONMENT", 700.0, False),
        (None, (Source.SUPPLIES, 350.0), "SUPPLIES", 350.0, False),
    ],
)
def test_which_figure_is_the_walls(chassis, supplies, source, power, noted):
    choice = decide(chassis, supplies)
    assert choice is not None
    assert (choice.source.name, choice.watts, bool(choice.note)) == (source, power, noted)


def test_supplies_that_contradict_the_chassis_are_told(tmp_path):
    tree = lenovo()
    for number in (1, 2, 3, 4):
        metrics = tree[f"{LENOVO}/PowerSubsystem/PowerSupplies/PSU{number}/Metrics"]
        metrics["InputPowerWatts"]["Reading"] = 600
    with Bmc(tree) as bmc, rig(bmc, tmp_path) as host:
        assert host.watts() == 700.0
        assert host.problems() == [("power supplies", "unsupported")]
        [problem] = host.collector.problems()
        assert "2400 W" in problem.why
        assert "700 W" in problem.why


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (0.5, 0.5), (0, None), (-3, None), (None, None), ("250", None), (True, None),
     (float("inf"), None), ([5], None), ({"Reading": 5}, None)],
)  # fmt: skip
def test_what_is_a_power(value, expected):
    assert watts(value) == expected


def test_supplies_are_all_or_nothing():
    on, silent = Supply("Enabled", 200.0, False), Supply("Enabled", None, False)
    spare, absent = Supply("StandbySpare", 6.0, False), Supply("Absent", None, False)
    cordless, resting = Supply("Enabled", None, True), Supply("StandbyOffline", None, False)
    assert total([on, on, absent, resting]) == 400.0
    assert total([on, spare, cordless]) == 206.0
    assert total([on, silent]) is None
    assert total([Supply("", None, False)]) is None
    assert total([absent]) is None
    assert total([]) is None


@pytest.mark.parametrize(
    ("supply", "expected"),
    [
        ({"PowerInputWatts": 300, "PowerOutputWatts": 270, "PowerCapacityWatts": 750}, 300.0),
        ({"PowerInputWatts": 900, "PowerCapacityWatts": 750}, None),
        ({"PowerInputWatts": 900, "InputRanges": [{"OutputWattage": 750}]}, None),
        ({"PowerInputWatts": 700, "PowerOutputWatts": 203, "PowerCapacityWatts": 750}, None),
        ({"PowerInputWatts": 35, "PowerOutputWatts": 4, "PowerCapacityWatts": 2000}, 35.0),
        ({"LastPowerOutputWatts": 270, "PowerOutputWatts": 270}, None),
        ({"@odata.id": "/redfish/v1/Chassis/1/Power/PowerSupplies/0"}, None),
    ],
)
def test_what_older_firmware_calls_input(supply, expected):
    assert old_supplies({"PowerSupplies": [supply]}) == expected


def chassis_says(tree, put_script):
    for path in ("PowerSubsystem", "Power"):
        tree.pop(f"{LENOVO}/{path}")
    put_script(ENVIRONMENT, lambda document, now: document["PowerWatts"].update(Reading=round(now)))


def supplies_say(tree, put_script):
    slots = "/redfish/v1/Chassis/System.Embedded.1/PowerSubsystem/PowerSupplies/PSU.Slot"
    tree["/redfish/v1/Chassis/System.Embedded.1/Power"] = {}
    for slot, share in ((1, 0.47), (2, 0.53)):
        put_script(
            f"{slots}.{slot}/Metrics",
            lambda document, now, share=share: document["InputPowerWatts"].update(
                Reading=round(share * now, 1)
            ),
        )


@pytest.mark.parametrize(
    ("machine", "says"),
    [("lenovo-sr670v2-xcc", chassis_says), ("dell-r750-idrac9", supplies_say)],
)
def test_energy_over_a_curve_is_the_true_energy(tmp_path, machine, says):
    power = Sum((Sine(600.0, 220.0, 613.0), noise(7, 30.0, 2.0)))
    with Bmc(tree_of(TREES / machine)) as bmc, rig(bmc, tmp_path) as host:
        start = host.clock.now
        says(
            bmc.tree,
            lambda path, put_power: bmc.script(
                path, put_power, power, lambda: host.clock.now - start
            ),
        )
        samples = [host.read()]
        while host.clock.now < start + 1800:
            host.clock.now += 5
            samples.append(host.read())
    joules = sum(
        (after.at - before.at) * (after.watts + before.watts) / 2
        for before, after in pairwise(samples)
    )
    assert joules == pytest.approx(power.joules(1800.0), rel=0.01)
    assert samples[-1].at == start + 1800
