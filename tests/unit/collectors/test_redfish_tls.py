"""Certificates of BMCs: a site's own CA, self-signed ones, other names, and none at all."""

from pathlib import Path

import pytest
from hardware.redfish import Bmc, tree_of
from hardware.redfish.certificates import authority, server
from unit.collectors.redfish_rig import rig

TREES = Path(__file__).parents[2] / "fixtures" / "redfish"


@pytest.fixture
def bmc():
    with Bmc(tree_of(TREES / "lenovo-sr670v2-xcc")) as service:
        yield service


def test_a_certificate_of_the_sites_own_ca(tmp_path):
    signer = authority(tmp_path)
    tls, _ = server(tmp_path, signer)
    with Bmc(tree_of(TREES / "lenovo-sr670v2-xcc"), tls=tls) as bmc:
        with rig(bmc, tmp_path, ca_file=str(signer[0])) as host:
            assert (host.watts(), host.problems()) == (700.0, [])
        assert bmc.sessions == {}, "the session was ended over TLS"
        with rig(bmc, tmp_path) as host:
            error = host.fails()
            assert error.reason == "tls"
            assert "its certificate is not trusted" in error.why
            assert "ca_file" in error.remedy
        assert bmc.attempts == 1


def test_a_certificate_that_signs_itself(tmp_path):
    tls, pem = server(tmp_path)
    with Bmc(tree_of(TREES / "lenovo-sr670v2-xcc"), tls=tls) as bmc:
        with rig(bmc, tmp_path) as host:
            assert host.fails().reason == "tls"
        with rig(bmc, tmp_path, ca_file=str(pem)) as host:
            assert host.watts() == 700.0
        with rig(bmc, tmp_path, tls_verify=False) as host:
            assert host.watts() == 700.0
            assert host.problems() == [("TLS", "unsupported")]
        with rig(bmc, tmp_path, ca_file=str(tmp_path / "none.pem")) as host:
            assert "none.pem: cannot be read as certificates" in host.fails().why
        with rig(bmc, tmp_path, ca_file=str(tmp_path / "secret")) as host:
            assert host.fails().reason == "tls"


def test_a_certificate_for_another_name(tmp_path):
    tls, pem = server(tmp_path, name="idrac-1.example")
    with Bmc(tree_of(TREES / "lenovo-sr670v2-xcc"), tls=tls) as bmc:
        with rig(bmc, tmp_path, ca_file=str(pem)) as host:
            error = host.fails()
            assert (error.reason, "tls_name" in error.remedy) == ("tls", True)
        with rig(bmc, tmp_path, ca_file=str(pem), tls_name="idrac-1.example") as host:
            assert host.watts() == 700.0
        assert bmc.sessions == {}


def test_https_where_only_http_is_spoken_and_the_other_way_round(bmc, tmp_path):
    with rig(bmc, tmp_path, url=bmc.url.replace("http:", "https:")) as host:
        assert host.fails().reason == "tls"
    assert bmc.attempts == 0
    tls, _ = server(tmp_path)
    with (
        Bmc({}, tls=tls) as other,
        rig(other, tmp_path, url=other.url.replace("https:", "http:")) as host,
    ):
        assert host.fails().reason == "io"


def test_plain_http_is_told_unless_it_stays_on_this_host(bmc, tmp_path):
    with rig(bmc, tmp_path, url="http://192.0.2.1") as host:
        assert host.problems() == [("TLS", "unsupported")]
    with rig(bmc, tmp_path) as host:
        assert host.problems() == []
