"""`[carbon]`: where intensities come from, contracts, fuels, and budgets."""

from typing import Literal

import msgspec

from agent.carbon.words import Factor

ProviderName = Literal["electricitymaps", "watttime", "neso", "entsoe", "static"]


class ElectricityMapsSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """`[carbon.electricitymaps]`: Electricity Maps v3."""

    token_file: str = ""
    """File with the API key (header auth-token)."""
    zone: str = ""
    """Its zone, e.g. "DE" or "US-CAL-CISO"; unset: host.grid_zone."""
    url: str = "https://api.electricitymaps.com"
    """Where the API is."""


class WattTimeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[carbon.watttime]`: WattTime v3, marginal intensity; never used for Scope 2."""

    user: str = ""
    """Account."""
    password_file: str = ""
    """File with its password."""
    region: str = ""
    """Its region, e.g. "CAISO_NORTH"."""
    url: str = "https://api.watttime.org"
    """Where the API is."""


class NesoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[carbon.neso]`: the British grid's Carbon Intensity API; needs no key."""

    url: str = "https://api.carbonintensity.org.uk"
    """Where the API is."""


class EntsoeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[carbon.entsoe]`: ENTSO-E's generation by type, times factors."""

    token_file: str = ""
    """File with the security token."""
    area: str = ""
    """EIC code of the area, e.g. "10Y1001A1001A82H"; unset: by host.grid_zone, where known."""
    url: str = "https://web-api.tp.entsoe.eu/api"
    """Where the API is."""
    factors: dict[str, float] = {}
    """Own factors in g/kWh by type of production, e.g. { B05 = 900.0 }; the others are ours."""


class StaticSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[carbon.static]`: yearly factors: China's official ones, Ember's, or your own."""

    grams_per_kwh: float | None = None
    """Your own factor for location-based accounting; unset: by host.grid_zone from our tables."""
    source: str = ""
    """Where your own factor is from; shown in reports."""
    year: int | None = None
    """Year of the table's factor; unset: the newest that is not after the energy's year."""
    market_grams_per_kwh: float | None = None
    """Your supplier's factor or the residual mix, for market-based accounting."""
    market_source: str = ""
    """Where that factor is from."""


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[carbon.contract]]`: energy whose attributes you own."""

    name: str
    """E.g. "wind-ppa"."""
    kind: Literal["certificate", "ppa", "onsite"]
    """certificate: unbundled (GEC, GO, REC); ppa: bundled with the power; onsite: own plant."""
    meter: str = ""
    """The site's meter of that energy by time (a CSV of hours, or the plant's own meter)."""
    kwh_per_year: float | None = None
    """Where there is no meter: a yearly amount; it counts for the year, and in no hour."""
    year: int | None = None
    """Vintage of a yearly amount."""
    grams_per_kwh: float = 0.0
    """What that energy emits."""


class Activity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[carbon.fuel]]` and `[[carbon.refrigerant]]`: Scope 1 by records."""

    name: str
    """E.g. "diesel", "R-134a"."""
    file: str
    """CSV with columns start,end,value,unit: what was burnt or refilled."""
    kilograms_per_unit: float
    """kg CO2e of one unit of the file: emission factor, or GWP x kg."""
    source: str = ""
    """Where that factor is from."""


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[carbon.budget]]`: a limit for a month or a year."""

    name: str
    """E.g. "energy-2026"."""
    period: Literal["month", "year"] = "year"
    """Calendar month or year in site.time_zone."""
    kwh: float | None = None
    """Limit of energy (能耗双控: total)."""
    kilograms: float | None = None
    """Limit of emissions, kg CO2e (碳排放双控: total)."""
    grams_per_unit: float | None = None
    """Limit of the emission intensity of one unit of work."""
    unit: str = ""
    """That unit, e.g. "tokens"."""
    basis: Literal["location", "market"] = "location"
    """Which Scope 2 counts."""


class CarbonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[carbon]`: grid intensity, contracts and budgets."""

    providers: tuple[ProviderName, ...] = ("static",)
    """Who is asked for the grid's intensity: the first that answers wins."""
    factor: Factor = Factor.DIRECT
    """Which family of factors Scope 2 is counted with: direct or lifecycle; never mixed. Unset:
    direct where our tables have it for the zone (China, US, GB), else lifecycle."""
    interval_seconds: float = 300.0
    """Seconds between questions to a provider."""
    hold_hours: float = 6.0
    """For so long the last known value stands when no provider answers; then the static one."""
    losses_percent: float | None = None
    """Transmission and distribution losses, for Scope 3 category 3; unset: not counted."""
    losses_of: Literal["delivered", "generation"] = "delivered"
    """Of what losses_percent is a share: of what is delivered (the GHG Protocol's formula), or of
    what is generated (most statistics)."""
    electricitymaps: ElectricityMapsSettings = ElectricityMapsSettings()
    """`[carbon.electricitymaps]`."""
    watttime: WattTimeSettings = WattTimeSettings()
    """`[carbon.watttime]`."""
    neso: NesoSettings = NesoSettings()
    """`[carbon.neso]`."""
    entsoe: EntsoeSettings = EntsoeSettings()
    """`[carbon.entsoe]`."""
    static: StaticSettings = StaticSettings()
    """`[carbon.static]`."""
    contract: tuple[Contract, ...] = ()
    """Energy whose attributes you own."""
    fuel: tuple[Activity, ...] = ()
    """Fuel burnt on the site."""
    refrigerant: tuple[Activity, ...] = ()
    """Refrigerants refilled: what had leaked."""
    budget: tuple[Budget, ...] = ()
    """Limits of energy and emissions."""
