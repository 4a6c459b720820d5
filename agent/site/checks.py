"""What the types of `[site]` cannot say: names that fit together, units that fit roles."""

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from agent.site.settings import (
    CsvMeter,
    HttpMeter,
    Meter,
    ModbusMeter,
    Polled,
    PolledCommon,
    PrometheusMeter,
    SiteSettings,
    SnmpMeter,
    VirtualMeter,
)
from agent.site.units import unit_of
from agent.site.virtual import VirtualError, factors, quantities
from agent.site.words import TEMPERATURE_ROLES, WATER_ROLES, Quantity, Role

Wrong = tuple[tuple[str, ...], str]
"""Key below `site`, and what is wrong with it."""
MIN_SECONDS = 0.1
MAX_SECONDS = 86400.0


def check_site(site: SiteSettings) -> Iterator[Wrong]:
    """Yield what is wrong, the first first."""
    try:
        ZoneInfo(site.time_zone)
    except (KeyError, OSError, ValueError):
        yield (
            ("time_zone",),
            f"{site.time_zone!r} is no time zone that is known here; write Europe/Berlin, say",
        )
    for key in ("interval_seconds", "timeout_seconds"):
        if not MIN_SECONDS <= getattr(site, key) <= MAX_SECONDS:
            yield (key,), f"must be from {MIN_SECONDS} to {MAX_SECONDS:.0f} seconds"
    if site.tolerance_percent < 0:
        yield ("tolerance_percent",), "must not be negative"
    names: set[str] = set()
    wanted = quantities(site)
    for index, meter in enumerate(site.meter):
        for key, why in _check_meter(meter, wanted[meter.name]):
            yield ("meter", str(index), key), why
        if meter.name in names:
            yield ("meter", str(index), "name"), f"{meter.name!r} is there twice; names are unique"
        names.add(meter.name)
    yield from _check_references(site)


def _check_meter(meter: Meter, wanted: Quantity) -> Iterator[tuple[str, str]]:
    if not meter.name.strip() or "\t" in meter.name or "\n" in meter.name:
        yield "name", "must be a name in one line"
    if meter.category is not None and meter.role is not Role.IT:
        yield "category", f'belongs to a meter with role = "it", not "{meter.role.value}"'
    if not 0 <= meter.weight < 100:
        yield "weight", "must be from 0 to 100"
    if isinstance(meter, PolledCommon):
        for key in ("interval_seconds", "timeout_seconds"):
            seconds = getattr(meter, key)
            if seconds is not None and not MIN_SECONDS <= seconds <= MAX_SECONDS:
                yield key, f"must be from {MIN_SECONDS} to {MAX_SECONDS:.0f} seconds"
        if meter.max_per_second is not None and meter.max_per_second <= 0:
            yield "max_per_second", "must be more than 0"
    if not isinstance(meter, VirtualMeter) and (meter.kwh_per_unit or 1.0) <= 0:
        yield "kwh_per_unit", "must be more than 0"
    yield from _check_source(meter)
    if isinstance(meter, Polled) and meter.kwh_per_unit is None:
        for key, text, is_rate in _units(meter):
            if why := _wrong_unit(text, wanted, is_rate=is_rate):
                yield key, why


def _wrong_unit(text: str, wanted: Quantity, *, is_rate: bool | None) -> str:
    """Return what is wrong with a unit, "" if nothing. `is_rate` None: either will do."""
    try:
        unit = unit_of(text)
    except ValueError as error:
        return str(error)
    if unit.quantity is not wanted:
        return f"{text} measures {unit.quantity.value}, but the meter's role is {wanted.value}"
    if is_rate is not None and unit.is_rate is not is_rate:
        return (
            f"{text} does not fit here; give a {'rate, e.g. kW' if is_rate else 'total, e.g. kWh'}"
        )
    return ""


def _check_source(meter: Meter) -> Iterator[tuple[str, str]]:
    rules = [*_thermometer_rules(meter), *_rules(meter)]
    yield from ((key, why) for is_wrong, key, why in rules if is_wrong)


def _thermometer_rules(meter: Meter) -> list[tuple[bool, str, str]]:
    """Return the rules, as `_rules` does, that tell thermometers from what counts amounts."""
    is_one = meter.role in TEMPERATURE_ROLES
    others: tuple[str, ...] = ("kwh_per_unit", "max_per_second")
    match meter:
        case ModbusMeter():
            key, others = "temperature", ("map", "energy", "power", *others)
        case SnmpMeter():
            key, others = "temperature_oid", ("map", "index", "energy_oid", "power_oid", *others)
        case HttpMeter():
            key, others = "temperature", ("energy", "power", *others)
        case PrometheusMeter():
            key = ""  # it has one figure, whose unit says what it is
        case CsvMeter() | VirtualMeter():
            asked = "a temperature is read from a thermometer: modbus, snmp, http or prometheus"
            return [(is_one, "role", asked)]
    given = bool(key and getattr(meter, key))
    if not is_one:
        foreign = 'belongs to a meter whose role is a temperature, e.g. "outside_temperature"'
        return [(given, key, foreign)]
    where = f"say where the temperature is: {key} = …"
    none = "a thermometer has none: only a temperature"
    return [
        (bool(key) and not given, key, where),
        *((bool(getattr(meter, other)), other, none) for other in others),
    ]


def _rules(meter: Meter) -> list[tuple[bool, str, str]]:
    """Return, for each rule of a meter's source, whether it is broken, the key, and what to do."""
    match meter:
        case ModbusMeter():
            # where it is may be filled in later: until then `wattlas check` asks for it
            both = bool(meter.host) and bool(meter.serial)
            twice = bool(meter.map) and bool(meter.energy or meter.power)
            return [
                (both, "serial", "give either host (Modbus TCP) or serial (RTU)"),
                (not 0 <= meter.unit_id <= 255, "unit_id", "must be from 0 to 255"),
                (twice, "map", "either name a register map, or describe energy and power"),
            ]
        case SnmpMeter():
            figures = meter.energy_oid or meter.power_oid or meter.temperature_oid
            said = bool(meter.map) != bool(figures)
            nobody = meter.version == "3" and not meter.user
            return [
                (not said, "map", "name a map, or give energy_oid, power_oid or both"),
                (nobody, "user", "SNMP version 3 needs a user"),
            ]
        case HttpMeter():
            said = bool(meter.energy or meter.power or meter.temperature)
            return [
                (not said, "energy", 'say where the figure is: energy or power = "/path/in/it"'),
                *_access_rules(meter),
            ]
        case PrometheusMeter():
            said = bool(meter.metric) != bool(meter.query)
            return [
                (not said, "metric", "give either metric (of a page) or query (to a server)"),
                *_access_rules(meter),
            ]
        case VirtualMeter():
            return [(not meter.add, "add", "name the meters that are added")]
        case CsvMeter():
            return [(not meter.file, "file", "name the file")]


def _access_rules(meter: HttpMeter | PrometheusMeter) -> list[tuple[bool, str, str]]:
    half = bool(meter.user) != bool(meter.password_file)
    both = bool(meter.token_file) and bool(meter.user)
    return [
        (half, "user", "basic authentication needs user and password_file"),
        (both, "token_file", "give either a bearer token or user and password_file"),
    ]


def _units(meter: Polled) -> Iterator[tuple[str, str, bool | None]]:
    """Yield key, unit, and whether a rate is wanted there (None: either)."""
    match meter:
        case ModbusMeter():
            if meter.energy is not None:
                yield "energy", meter.energy.unit, False
            if meter.power is not None:
                yield "power", meter.power.unit, True
            if meter.temperature is not None:
                yield "temperature", meter.temperature.unit, None
        case SnmpMeter():
            if meter.energy_oid:
                yield "energy_unit", meter.energy_unit, False
            if meter.power_oid:
                yield "power_unit", meter.power_unit, True
        case HttpMeter():
            if meter.energy:
                yield "energy_unit", meter.energy_unit, False
            if meter.power:
                yield "power_unit", meter.power_unit, True
        case PrometheusMeter():
            yield "unit", meter.unit, None


def _check_references(site: SiteSettings) -> Iterator[Wrong]:
    meters = {meter.name: meter for meter in site.meter}
    for index, meter in enumerate(site.meter):
        for key, why in _check_names(meter, meters):
            yield ("meter", str(index), key), why
    for index, partial in enumerate(site.partial):
        for key in ("infrastructure", "it"):
            for name in getattr(partial, key):
                if name not in meters:
                    yield ("partial", str(index), key), f"there is no meter named {name!r}"
                elif meters[name].role in TEMPERATURE_ROLES:
                    yield ("partial", str(index), key), f"{name} is a thermometer, not a meter"
    for index, servers in enumerate(site.servers):
        for key in ("count", "max_performance", "max_power_watts", "peak_gigaflops"):
            value = getattr(servers, key)
            if value is not None and value <= 0:
                yield ("servers", str(index), key), "must be more than 0"


def _check_names(meter: Meter, meters: Mapping[str, Meter]) -> Iterator[tuple[str, str]]:
    """Look at the other meters that one names."""
    if isinstance(meter, CsvMeter):
        for name in meter.invoices:
            if name not in meters or name == meter.name:
                yield "invoices", f"there is no other meter named {name!r}"
            elif meters[name].role in TEMPERATURE_ROLES:
                yield "invoices", f"{name} is a thermometer: nobody is billed for it"
    if isinstance(meter, VirtualMeter):
        try:
            parts = factors([meter.name], meters)
        except VirtualError as error:
            yield "add", str(error)
            return
        is_water = meter.role in WATER_ROLES
        for part in parts:
            role = meters[part].role
            alike = (role in WATER_ROLES) is is_water and role not in TEMPERATURE_ROLES
            if role is not Role.NONE and not alike:
                yield "add", f"{part} measures something else than {meter.name}"
