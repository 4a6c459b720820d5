"""BMCs that hang, lie, restart and break off: what is said of it, and what is not done."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from hardware.redfish import SESSIONS, Bmc, tree_of
from unit.collectors.redfish_rig import rig

from agent.collector import Absent, Transient
from collectors.redfish_http import MOST_BYTES

TREES = Path(__file__).parents[2] / "fixtures" / "redfish"
ENVIRONMENT = "/redfish/v1/Chassis/1/EnvironmentMetrics"
ROOT = "/redfish/v1/"


@pytest.fixture
def bmc():
    with Bmc(tree_of(TREES / "lenovo-sr670v2-xcc")) as service:
        yield service


@pytest.mark.parametrize("at", [ROOT, SESSIONS, "/redfish/v1/Chassis/1", ENVIRONMENT])
def test_a_bmc_that_hangs(bmc, tmp_path, at):
    bmc.manners[at] = "hang"
    with rig(bmc, tmp_path, timeout_seconds=0.5) as host:
        error = host.fails()
        assert error.reason == "timeout"
        assert error.why == f"{bmc.url} did not answer within 0.45 s"
        del bmc.manners[at]
        bmc.release()
    (tmp_path / "again").mkdir()
    with rig(bmc, tmp_path / "again") as host:
        assert host.watts() == 700.0


def test_a_hanging_bmc_delays_nothing_else(bmc, tmp_path):
    bmc.manners[ENVIRONMENT] = "hang"
    (tmp_path / "other").mkdir()
    with (
        Bmc(tree_of(TREES / "hpe-dl385-gen10plus-ilo5")) as other,
        rig(bmc, tmp_path) as host,
        rig(other, tmp_path / "other") as neighbour,
    ):

        async def beside() -> list[float]:
            hanging = asyncio.create_task(host.collector.collect())
            await asyncio.to_thread(bmc.wait_for, ENVIRONMENT)
            seen = [(await neighbour.collector.collect())[0].watts for _ in range(3)]
            assert not hanging.done()
            neighbour.collector.close()
            await neighbour.collector._client._closing
            bmc.release()
            return [*seen, (await hanging)[0].watts]

        assert host._runner.run(beside()) == [531.0, 531.0, 531.0, 700.0]


def test_a_search_goes_on_where_it_was_cut_off(bmc, tmp_path):
    bmc.manners[ENVIRONMENT] = "hang"
    with rig(bmc, tmp_path, timeout_seconds=0.5) as host:
        host.fails()
        bmc.asked.clear()
        del bmc.manners[ENVIRONMENT]
        bmc.release()
        assert host.watts() == 700.0
    assert bmc.count("/redfish/v1/Systems/1") == 0


def test_a_bmc_that_restarts(bmc, tmp_path):
    with rig(bmc, tmp_path) as host:
        host.read()
        bmc.stop()
        error = host.fails()
        assert error.reason == "refused"
        assert error.why == f"{bmc.url}: connection refused, nothing listens there"
        bmc.expire()
        bmc.start()
        assert host.watts() == 700.0


@pytest.mark.parametrize(
    ("manner", "reason", "part"),
    [
        ("half", "io", "the answer broke off"),
        ("compressed", "garbage", "compressed with gzip"),
        ("endless", "garbage", f"more than {MOST_BYTES // 2**20} MiB at {ENVIRONMENT}"),
    ],
)
def test_bodies_that_are_not_whole(bmc, tmp_path, manner, reason, part):
    with rig(bmc, tmp_path) as host:
        host.read()
        bmc.manners[ENVIRONMENT] = manner
        error = host.fails()
        assert (error.reason, part in error.why) == (reason, True), error.why
        del bmc.manners[ENVIRONMENT]
        assert host.watts() == 700.0


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1, 2]", b"null", b'{"PowerWatts": {"Reading": NaN}}', b"\xff"]
)
def test_bodies_that_are_no_json_object(bmc, tmp_path, body):
    with rig(bmc, tmp_path) as host:
        host.read()
        bmc.raw[ENVIRONMENT] = body
        error = host.fails()
        assert (error.reason, "sends no JSON object" in error.why) == ("garbage", True), error.why


@pytest.mark.parametrize(
    "document",
    [{}, {"PowerWatts": 5}, {"PowerWatts": {"Reading": "700"}}, {"PowerWatts": [{"Reading": 700}]}],
)
def test_wrong_types_are_no_figure_and_the_next_one_is_taken(bmc, tmp_path, document):
    bmc.tree[ENVIRONMENT] = document
    with rig(bmc, tmp_path) as host:
        assert host.watts() == 710.0


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/redfish/v1/Systems", {"Members": "none"}),
        ("/redfish/v1/Systems", {"Members": [None, 5, {"@odata.id": 7}]}),
        ("/redfish/v1/Systems/1", {"Links": []}),
        ("/redfish/v1/Chassis/1", {"Links": {"ComputerSystems": "x"}, "Power": "y"}),
        ("/redfish/v1/Chassis/1/Power", {"PowerControl": {"0": 5}, "PowerSupplies": [7]}),
        (ROOT, {"Systems": 3}),
    ],
)
def test_no_shape_of_a_document_is_a_bug(bmc, tmp_path, path, document):
    bmc.tree[path] = document
    for name in (ENVIRONMENT, "/redfish/v1/Chassis/1/PowerSubsystem"):
        bmc.tree[name] = {}
    with rig(bmc, tmp_path) as host, suppress(Absent, Transient):
        host.read()


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "/redfish/v1/a b", "http://evil.example/", "/x"]
)
def test_links_to_elsewhere_are_not_followed(bmc, tmp_path, path):
    bmc.tree["/redfish/v1/Chassis/1"]["EnvironmentMetrics"] = {"@odata.id": path}
    with rig(bmc, tmp_path) as host:
        error = host.fails()
        assert (error.reason, "which is none" in error.why) == ("garbage", True)


def test_a_redirect_to_elsewhere_is_told_and_not_followed(bmc, tmp_path):
    bmc.statuses[ENVIRONMENT] = (302, {"Location": "https://evil.example/m?token=abc"})
    with rig(bmc, tmp_path) as host:
        error = host.fails()
        assert error.reason == "http"
        assert "sends on to 'https://evil.example/m' (HTTP 302)" in error.why


def test_a_redirect_to_the_same_path_with_a_slash_is_followed(bmc, tmp_path):
    bmc.statuses["/redfish/v1/Chassis/1"] = (308, {"Location": "/redfish/v1/Chassis/1/"})
    bmc.tree["/redfish/v1/Chassis/1/"] = bmc.tree["/redfish/v1/Chassis/1"]
    bmc.statuses[ENVIRONMENT] = (301, {"Location": f"{bmc.url}{ENVIRONMENT}/"})
    bmc.tree[f"{ENVIRONMENT}/"] = bmc.tree[ENVIRONMENT]
    with rig(bmc, tmp_path) as host:
        assert host.watts() == 700.0
        bmc.statuses[f"{ENVIRONMENT}/"] = (301, {"Location": ENVIRONMENT})
        assert host.fails().reason == "http", "round in circles"


def test_no_redfish_at_all(tmp_path):
    with Bmc({}) as bmc, rig(bmc, tmp_path) as host:
        error = host.fails()
        assert (error.reason, "has no Redfish service" in error.why) == ("http", True)


@pytest.mark.parametrize("status", [500, 503])
def test_errors_of_the_bmc(bmc, tmp_path, status):
    with rig(bmc, tmp_path) as host:
        host.read()
        bmc.statuses[ENVIRONMENT] = (status, {})
        error = host.fails()
        assert error.reason == "http"
        assert f"answers HTTP {status}, GeneralError at {ENVIRONMENT}" in error.why
        bmc.statuses.clear()
        assert host.watts() == 700.0


def test_a_chassis_that_was_renamed_is_found_again(bmc, tmp_path):
    with rig(bmc, tmp_path) as host:
        host.read()
        tree = tree_of(TREES / "hpe-dl385-gen10plus-ilo5")
        for path in [path for path in bmc.tree if path.startswith("/redfish/v1/Chassis")]:
            del bmc.tree[path]
        assert host.fails().reason in {"empty", "http"}
        bmc.tree = tree
        host.clock.now += 60
        assert host.watts() == 531.0
