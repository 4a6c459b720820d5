"""`[site]`: the facility's meters, which one agent of the site reads.

A meter is one table `[[site.meter]]`. `source` says how it is read, and with it which other keys
it has. `agent/site/checks.py` finds what the types cannot.
"""

from typing import Literal

import msgspec

from agent.site.words import TEMPERATURE_ROLES, Role


class MeterCommon(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys that every `[[site.meter]]` has."""

    name: str
    """What it is called in metrics and reports, e.g. "utility-a"; once in a site."""
    role: Role = Role.NONE
    """total, it, ups, cooling, lighting, generation, renewable, reused_heat, removed_heat,
    water_in, water_out, outside_temperature, supply_air_temperature; none: only virtual meters
    use it."""
    category: Literal[1, 2, 3] | None = None
    """Of an it meter, where it measures (ISO/IEC 30134-2): 1 UPS output, 2 PDU output, 3 input of
    the IT equipment; unset: 2. A ups meter is always 1."""
    renewable: bool = False
    """Of a generation meter: its energy is renewable and counts in REF."""
    freshwater: bool = True
    """Of a water meter: fresh water (mains, ground, river), not reclaimed or sea water."""
    weight: float = 1.0
    """Of a total meter: the factor by which this carrier's energy enters PUE; 1 for electricity.
    ISO/IEC 30134-2 and The Green Grid weight fuels and bought cooling by others."""
    carbon_kilograms_per_kwh: float | None = None
    """Of a total or generation meter: kg of CO2 per kWh of its energy, for CUE; unset: unknown,
    and so is CUE."""
    note: str = ""
    """Where it hangs, its serial number; shown by `wattlas check`."""


class PolledCommon(MeterCommon, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys of a meter that is asked again and again."""

    interval_seconds: float | None = None
    """Seconds between readings; unset: site.interval_seconds."""
    timeout_seconds: float | None = None
    """An answer that takes longer counts as none; unset: site.timeout_seconds."""
    max_per_second: float | None = None
    """The most that can flow, in W or l/s: tells a roll-over from a new meter and garbage from a
    reading; unset: 1 GW, 100 m3/s."""
    kwh_per_unit: float | None = None
    """Of a fuel meter that counts litres, m3 or kg: kWh (lower calorific value) of one of its
    units, which are then not looked up."""


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A value of a Modbus meter: `energy = { address = 2699, type = "float32", unit = "kWh" }`."""

    address: int
    """Address as on the wire, from 0 (the data sheet's register number is often one more)."""
    type: Literal["uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"] = (
        "uint32"
    )
    """How the registers are to be read."""
    words: Literal["big", "little"] = "big"
    """Which 16-bit register comes first: the high one (big) or the low one (little)."""
    bytes: Literal["big", "little"] = "big"
    """Order of the bytes within a register; little is rare and against the standard."""
    table: Literal["holding", "input"] = "holding"
    """Holding registers (function 3) or input registers (function 4)."""
    scale: float = 1.0
    """The register's number times this is the value in `unit`."""
    unit: str = "Wh"
    """Unit of the value: Wh, kWh, MWh, J … m3, l for totals; W, kW, l/s, m3/h … for rates; C, F
    or K for temperatures."""
    wraps_at: float | None = None
    """Value in `unit` at which the register begins again at 0; unset: the range of its type."""


class ModbusMeter(
    PolledCommon,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="source",
    tag="modbus",
):
    """`source = "modbus"`: Modbus TCP or RTU."""

    host: str = ""
    """Modbus TCP: address and port of the meter or gateway, "10.0.0.5" or "10.0.0.5:502"."""
    framing: Literal["tcp", "rtu"] = "tcp"
    """With `host`; rtu: a serial server that passes Modbus RTU frames on as they are."""
    serial: str = ""
    """Modbus RTU: serial line, "/dev/ttyUSB0"; then not `host`."""
    baud: int = 19200
    """Bits per second on the serial line."""
    parity: Literal["none", "even", "odd"] = "even"
    """Parity on the serial line; the standard says even."""
    stop_bits: Literal[1, 2] = 1
    """Stop bits on the serial line."""
    unit_id: int = 1
    """The meter's Modbus address (slave id), 0 to 255."""
    map: str = ""
    """A shipped register map, e.g. "schneider-pm5000"; or give `energy`, `power` or both."""
    energy: Register | None = None
    """The total: energy, heat or volume."""
    power: Register | None = None
    """The rate: power or flow. Without `energy` it is integrated."""
    temperature: Register | None = None
    """Of a meter whose role is a temperature, instead of the two above."""


class SnmpMeter(
    PolledCommon,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="source",
    tag="snmp",
):
    """`source = "snmp"`: PDUs and UPSes by SNMP v2c or v3."""

    host: str
    """Address, and port where it is not 161: "10.0.0.7" or "10.0.0.7:1161"."""
    version: Literal["2c", "3"] = "2c"
    """SNMP version; v1 has no 64-bit counters and is not spoken."""
    community_file: str = ""
    """v2c: file with the community; unset: "public"."""
    user: str = ""
    """v3: security name."""
    auth: Literal["none", "md5", "sha", "sha224", "sha256", "sha384", "sha512"] = "sha256"
    """v3: authentication protocol; none: noAuthNoPriv."""
    auth_file: str = ""
    """v3: file with the authentication passphrase."""
    privacy: Literal["none", "des", "aes", "aes192", "aes256", "aes192c", "aes256c"] = "aes"
    """v3: privacy protocol; aes192c and aes256c are Cisco's way of making the keys."""
    privacy_file: str = ""
    """v3: file with the privacy passphrase."""
    map: str = ""
    """A shipped map: "raritan-px", "apc-rpdu2", "vertiv-geist", "ups-mib", …; or give OIDs."""
    index: str = ""
    """Which one of several, as the map's OID ends, e.g. "1" for the first inlet or PDU."""
    energy_oid: str = ""
    """OID of the total, where there is no map."""
    energy_unit: str = "Wh"
    """Unit of the total."""
    energy_scale: float = 1.0
    """The total's number times this is in `energy_unit`."""
    energy_wraps_at: float | None = None
    """In `energy_unit`; unset: the range of the SNMP type (Counter32, Counter64)."""
    power_oid: str = ""
    """OID of the rate."""
    power_unit: str = "W"
    """Unit of the rate."""
    power_scale: float = 1.0
    """The rate's number times this is in `power_unit`."""
    temperature_oid: str = ""
    """OID of the temperature, of a meter whose role is one."""
    temperature_unit: Literal["C", "F", "K"] = "C"
    """Unit of the temperature: degrees Celsius or Fahrenheit, or kelvins."""
    temperature_scale: float = 1.0
    """The temperature's number times this is in `temperature_unit`; 0.1 for tenths of a degree."""


class HttpMeter(
    PolledCommon,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="source",
    tag="http",
):
    """`source = "http"`: JSON over HTTP."""

    url: str
    """Address of the document."""
    energy: str = ""
    """JSON Pointer (RFC 6901) to the total, e.g. "/emeters/0/total"."""
    energy_unit: str = "Wh"
    """Unit of the total."""
    energy_wraps_at: float | None = None
    """In `energy_unit`; unset: it does not."""
    power: str = ""
    """JSON Pointer to the rate."""
    power_unit: str = "W"
    """Unit of the rate."""
    temperature: str = ""
    """JSON Pointer to the temperature, of a meter whose role is one."""
    temperature_unit: Literal["C", "F", "K"] = "C"
    """Unit of the temperature: degrees Celsius or Fahrenheit, or kelvins."""
    time: str = ""
    """JSON Pointer to when the values were taken (ISO 8601 or Unix seconds): one that stands still
    is a source that hangs; unset: not looked at."""
    token_file: str = ""
    """File with a bearer token."""
    user: str = ""
    """User name for basic authentication."""
    password_file: str = ""
    """File with that user's password."""
    ca_file: str = ""
    """PEM certificates that may have signed the server's; unset: those of the system."""


class PrometheusMeter(
    PolledCommon,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="source",
    tag="prometheus",
):
    """`source = "prometheus"`: a series on an exporter's page, or a PromQL query to a server."""

    url: str
    """The exporter's page ("http://10.0.0.9:9116/snmp?target=pdu1"), or with `query` the server."""
    metric: str = ""
    """The series: 'pdu_energy_joules_total{pdu="a",phase="all"}'; must match exactly one."""
    query: str = ""
    """A PromQL instant query that gives one value; then not `metric`."""
    unit: str = "J"
    """Unit of the value; a total (J, kWh, m3), a rate (W, m3/h) or a temperature (C, F, K)."""
    scale: float = 1.0
    """The value times this is in `unit`."""
    token_file: str = ""
    """File with a bearer token."""
    user: str = ""
    """User name for basic authentication, which is what Prometheus' own web.yml knows."""
    password_file: str = ""
    """File with that user's password."""
    ca_file: str = ""
    """PEM certificates that may have signed the server's; unset: those of the system."""


class CsvMeter(
    MeterCommon,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="source",
    tag="csv",
):
    """`source = "csv"`: invoices and certificates, columns `start,end,value,unit`."""

    file: str
    """The CSV file, read again when it has changed. Dates without an offset are in
    site.time_zone; `end` is not included."""
    kwh_per_unit: float | None = None
    """Of fuel: kWh (lower calorific value) of one unit of the file, e.g. of one m3. Rows in kWh
    and other units of energy are taken as they are."""
    invoices: tuple[str, ...] = ()
    """Meters whose sum this is the bill of: compared by `wattlas report reconcile`."""


class VirtualMeter(
    MeterCommon,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="source",
    tag="virtual",
):
    """`source = "virtual"`: the sum and difference of others."""

    add: tuple[str, ...] = ()
    """Names of meters that are added."""
    subtract: tuple[str, ...] = ()
    """Names of meters that are taken off."""


Meter = ModbusMeter | SnmpMeter | HttpMeter | PrometheusMeter | CsvMeter | VirtualMeter
Polled = ModbusMeter | SnmpMeter | HttpMeter | PrometheusMeter


def is_counted(meter: Meter) -> bool:
    """Tell whether a meter is asked for an amount: polled, and no thermometer."""
    return isinstance(meter, Polled) and meter.role not in TEMPERATURE_ROLES


class Partial(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[site.partial]]`: a part of the site with a partial PUE (pPUE) of its own."""

    name: str
    """E.g. "hall-1"."""
    infrastructure: tuple[str, ...]
    """Meters of what serves that part: its cooling, its losses."""
    it: tuple[str, ...]
    """Meters of its IT equipment."""


class Servers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[site.servers]]`: servers of one kind, for ITEEsv and the computing efficiency CE."""

    model: str
    """E.g. "R760, 2 x 8480+"."""
    count: int = 1
    """How many of them."""
    max_performance: float | None = None
    """SMPE of ISO/IEC 30134-4: one server's result of the benchmark named below."""
    max_power_watts: float | None = None
    """SMPO of ISO/IEC 30134-4: one server's most power in that benchmark."""
    benchmark: str = ""
    """Which benchmark; all servers of a figure must have the same."""
    peak_gigaflops: float | None = None
    """Computing power CP of one server, for CE."""
    precision: str = "fp32"
    """Of that peak; figures of different precisions are not added."""


class SiteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[site]`: only where this agent reads the facility's meters."""

    name: str = ""
    """Label `site` of what its meters give; unset: host.site."""
    time_zone: str = "UTC"
    """IANA zone of the site, e.g. "Asia/Shanghai": days and months of reports, dates in CSV."""
    interval_seconds: float = 10.0
    """Seconds between readings of a meter that sets none."""
    timeout_seconds: float = 5.0
    """A meter that takes longer to answer counts as silent; for those that set none."""
    mixed_use: bool = False
    """The data centre is part of a building with other uses: PUE is then mPUE, and the total
    meters must measure the data centre alone, not the building."""
    tolerance_percent: float = 2.0
    """`wattlas report reconcile` names differences beyond this."""
    meter: tuple[Meter, ...] = ()
    """The meters."""
    partial: tuple[Partial, ...] = ()
    """Parts of the site with a PUE of their own."""
    servers: tuple[Servers, ...] = ()
    """Benchmark results and computing power of the site's servers."""
