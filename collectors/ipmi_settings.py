"""Settings of the `ipmi` collector."""

from typing import Literal

from agent.collector import CollectorSettings


class IpmiSettings(CollectorSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[collectors.ipmi]`: wall power of this server, in band unless `host` is set."""

    interval_seconds: float | None = 10.0
    """Seconds between readings. BMCs renew the figure about once a second at best."""
    timeout_seconds: float = 10.0
    """A reading that takes longer counts as failed, and its tool is ended."""
    tool: Literal["auto", "ipmi-dcmi", "ipmitool"] = "auto"
    """ipmi-dcmi (FreeIPMI) or ipmitool; auto: the first of these two that is installed."""
    sensor: str = ""
    """Name of the one sensor that is the wall, as `ipmitool sdr elist` prints it; it is then read
    instead of DCMI. Unset: DCMI, and where the BMC has none, sensors whose names are known."""
    accept_inactive: bool = False
    """Take a DCMI figure although the BMC says that power measurement is not active: early OpenBMC
    says so of good figures. Compare it with a meter first."""
    host: str = ""
    """Address of this server's own BMC, to ask it over the network; "": in band, /dev/ipmi0."""
    port: int = 623
    """UDP port of the BMC."""
    user: str = ""
    """Account at the BMC."""
    password_file: str = ""
    """File with the password of that account in its first line."""
    protocol: Literal["2.0", "1.5"] = "2.0"
    """IPMI over LAN: 2.0 (RMCP+, encrypted) or 1.5 (old BMCs; neither encrypted nor safe)."""
    cipher_suite: int | None = None
    """RMCP+ cipher suite, 17 (SHA-256) where BMC and tool have it; unset: the tool's own."""
    privilege: Literal["user", "operator", "admin"] = "user"
    """Right that is asked for. `user` is enough by the standard; some BMCs want more for DCMI."""
    workarounds: tuple[str, ...] = ()
    """FreeIPMI's workaround flags for this BMC, e.g. ["opensesspriv"]: man ipmi-dcmi."""
