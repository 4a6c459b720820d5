"""Logging in to a BMC: sessions, refusals that are not repeated, secrets that stay secret."""

from pathlib import Path

import pytest
from hardware.redfish import SESSIONS, Bmc, tree_of
from unit.collectors.redfish_rig import rig
from unit.collectors.trees import put

TREES = Path(__file__).parents[2] / "fixtures" / "redfish"
ENVIRONMENT = "/redfish/v1/Chassis/1/EnvironmentMetrics"


@pytest.fixture
def bmc():
    with Bmc(tree_of(TREES / "lenovo-sr670v2-xcc")) as service:
        yield service


def test_one_session_for_all_readings_and_ended_at_the_end(bmc, tmp_path):
    with rig(bmc, tmp_path) as host:
        for _ in range(3):
            host.read()
        assert (bmc.attempts, len(bmc.sessions)) == (1, 1)
    assert bmc.count(f"{SESSIONS}/1", "DELETE") == 1
    assert bmc.sessions == {}


def test_an_expired_session_is_made_anew_once(bmc, tmp_path):
    with rig(bmc, tmp_path) as host:
        host.read()
        bmc.expire()
        assert host.watts() == 700.0
        assert bmc.attempts == 2


@pytest.mark.parametrize("refusal", [400, 401, 403])
def test_a_refused_login_is_not_repeated(bmc, tmp_path, refusal):
    bmc.refusal = refusal
    with rig(bmc, tmp_path) as host:
        put(host.secret, "wrong horse")
        error = host.fails()
        assert error.reason == "permission"
        assert "refuses the login of 'monitor'" in error.why
        assert f"HTTP {refusal}, UnauthorizedLoginAttempt" in error.why
        assert "15 minutes" in error.why
        assert str(host.secret) in error.remedy
        assert "wrong horse" not in error.why + error.remedy
        for _ in range(20):
            host.clock.now += 5
            assert host.fails().why == error.why
        assert bmc.attempts == 1, "the BMC would lock the account"
        host.clock.now += 900
        host.fails()
        assert bmc.attempts == 2


def test_a_changed_password_file_is_tried_at_once(bmc, tmp_path):
    with rig(bmc, tmp_path) as host:
        put(host.secret, "wrong")
        host.fails()
        put(host.secret, "right horse")
        assert host.watts() == 700.0


def test_a_password_that_was_changed_on_the_bmc_is_tried_once(bmc, tmp_path):
    with rig(bmc, tmp_path) as host:
        host.read()
        bmc.password = "another"
        bmc.expire()
        for _ in range(5):
            assert host.fails().reason == "permission"
        assert bmc.attempts == 2


def test_a_session_that_is_given_and_not_accepted_is_made_anew_once(bmc, tmp_path):
    bmc.statuses["/redfish/v1/Systems"] = (401, {})
    with rig(bmc, tmp_path) as host:
        for _ in range(5):
            assert host.fails().reason == "permission"
        assert bmc.attempts == 2


def test_an_account_without_rights(bmc, tmp_path):
    bmc.statuses[ENVIRONMENT] = (403, {})
    with rig(bmc, tmp_path) as host:
        error = host.fails()
        assert error.reason == "permission"
        assert f"does not let monitor read {ENVIRONMENT}" in error.why
        del bmc.statuses[ENVIRONMENT]
        assert host.watts() == 700.0
        assert bmc.attempts == 1


def test_basic_auth_where_there_are_no_sessions(bmc, tmp_path):
    bmc.logins = "basic"
    with rig(bmc, tmp_path) as host:
        assert host.watts() == 700.0
        bmc.password = "another"
        assert host.fails().reason == "permission"
        before = bmc.attempts
        assert host.fails().reason == "permission"
        assert bmc.attempts == before


def test_a_token_of_ones_own(bmc, tmp_path):
    bmc.sessions["made-elsewhere"] = "/redfish/v1/SessionService/Sessions/x"
    token = put(tmp_path / "token", "made-elsewhere")
    with rig(bmc, tmp_path, user="", password_file="", token_file=str(token)) as host:
        assert host.watts() == 700.0
        bmc.expire()
        error = host.fails()
        assert "refuses the token" in error.why
        asked = len(bmc.asked)
        host.fails()
        assert len(bmc.asked) == asked
    assert bmc.attempts == 0


def test_a_service_that_asks_nobody(bmc, tmp_path):
    bmc.logins = "none"
    with rig(bmc, tmp_path, user="", password_file="") as host:
        assert host.watts() == 700.0
        bmc.logins = "sessions"
        error = host.fails()
        assert (error.reason, "wants a login" in error.why) == ("permission", True)


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe"])
def test_a_password_file_that_is_none(bmc, tmp_path, content):
    with rig(bmc, tmp_path) as host:
        host.secret.write_bytes(content)
        assert "does not hold one line of text" in host.fails().why
        host.secret.unlink()
        assert "cannot be read (No such file or directory)" in host.fails().why
    assert bmc.attempts == 0


def test_a_bmc_with_too_many_sessions_is_asked_again(bmc, tmp_path):
    bmc.statuses[SESSIONS] = (503, {})
    with rig(bmc, tmp_path) as host:
        assert host.fails().reason == "http"
        del bmc.statuses[SESSIONS]
        assert host.watts() == 700.0
