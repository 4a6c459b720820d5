"""ENTSO-E's Transparency Platform: what each type of plant generated, times what it emits.

`documentType=A75`, `processType=A16` (realised), `in_Domain` an EIC code; the key is
`securityToken` in the query, so it is kept out of all messages. Figures come one to two hours late.
They are of generation in the area: imports are not in them, and storage has no share.

A step counts only if all types with a share in the mix are in it (a late coal plant must not make
the grid look clean); such a step is asked for again.
"""

from collections import defaultdict
from typing import Final

from agent.carbon.intensity import Intensity
from agent.carbon.settings import CarbonSettings
from agent.carbon.words import Basis, Origin
from agent.collector import Problem
from agent.http_access import Access
from collectors.grid_entsoe_tables import AREA, STORAGE, UNKNOWN, factors
from collectors.grid_entsoe_xml import Generation, read_generation
from collectors.grid_http import Web
from collectors.grid_provider import (
    DAY,
    DENIED_SECONDS,
    HOUR,
    Trouble,
    chunks,
    fingerprint,
    not_set,
    plausible,
    utc,
)

_MOST_AT_ONCE: Final = 30 * DAY
_MATTERS: Final = 0.01
"""A type that never had this share of the mix may be missing."""
_LEAST_SECONDS: Final = 6 * HOUR
"""Which types matter is seen only in some hours."""
_KEY: Final = "put the right security token into the file that carbon.entsoe.token_file names"


class Entsoe:
    """The mix of one area."""

    name = "entsoe"
    basis = Basis.LOCATION
    settles = frozenset({Origin.MEASURED})

    def __init__(self, settings: CarbonSettings, grid_zone: str, web: Web) -> None:
        own = settings.entsoe
        self._zone = grid_zone
        self._area = own.area or AREA.get(grid_zone.strip().upper(), "")
        self._token_file = own.token_file
        self._url = own.url
        self._factor = settings.factor
        self._factors = factors(settings.factor) | own.factors
        own_factors = f", own factors for {', '.join(sorted(own.factors))}" if own.factors else ""
        self._source = f"ENTSO-E A75, IPCC 2014 {self._factor} factors{own_factors}"
        self._web = web
        self.reach_seconds = 30 * DAY
        self.asks_for = asks_for(settings, grid_zone)

    async def fetch(self, start: float, end: float) -> list[Intensity]:
        """Return what was generated, as intensities. Raises as `Provider.fetch`."""
        if not self._area:
            raise Trouble(
                f"no ENTSO-E area is known for {self._zone or 'a host without a zone'}",
                "settings",
                "set carbon.entsoe.area to its EIC code",
                wait_seconds=DENIED_SECONDS,
            )
        if not self._token_file:
            raise not_set("carbon.entsoe.token_file", "ENTSO-E's key")
        token = Access(token_file=self._token_file).authorization()["Authorization"]
        values: list[Intensity] = []
        begin = min(start, end - _LEAST_SECONDS) // HOUR * HOUR
        stop = end // HOUR * HOUR + HOUR
        for piece in chunks(begin, stop, _MOST_AT_ONCE):
            body = await self._web.get(
                self._url,
                {
                    "documentType": "A75",
                    "processType": "A16",
                    "in_Domain": self._area,
                    "periodStart": _minute(piece[0]),
                    "periodEnd": _minute(piece[1]),
                },
                secret_query={"securityToken": token.removeprefix("Bearer ")},
                accept="application/xml",
                passing={400},  # it says with this status, too, that there is no data
                key_remedy=_KEY,
            )
            values += self._intensities(read_generation(body, self._url))
        return [value for value in values if value.start < end]

    def problems(self) -> list[Problem]:
        """Nothing beside what `fetch` raises."""
        return []

    def _intensities(self, generation: list[Generation]) -> list[Intensity]:
        values: list[Intensity] = []
        for start, end, mix in mixes([g for g in generation if g.kind not in STORAGE]):
            total = sum(mix.values())
            if total <= 0:
                continue
            grams = sum(
                megawatts * self._factors.get(kind, self._factors[UNKNOWN])
                for kind, megawatts in mix.items()
            )
            values.append(
                Intensity(
                    zone=self._zone or self._area,
                    provider=self.name,
                    start=start,
                    end=end,
                    grams_per_kwh=plausible(grams / total, self._url),
                    basis=self.basis,
                    factor=self._factor,
                    origin=Origin.MEASURED,
                    source=self._source,
                )
            )
        return values


def mixes(generation: list[Generation]) -> list[tuple[float, float, dict[str, float]]]:
    """Return start, end and MW by type of each step that has all types that matter.

    Where types come in steps of different length, the finest counts.
    """
    edges = sorted({edge for g in generation for edge in (g.start, g.end)})
    places = {edge: index for index, edge in enumerate(edges)}
    steps: list[dict[str, float]] = [defaultdict(float) for _ in edges]
    for value in generation:
        # Own consumption may exceed what a type gives; such a step has none of it to share.
        megawatts = max(value.megawatts, 0.0)
        for index in range(places[value.start], places[value.end]):
            steps[index][value.kind] += megawatts
    matters = {
        kind
        for mix in steps
        if (total := sum(mix.values())) > 0
        for kind, megawatts in mix.items()
        if megawatts / total >= _MATTERS
    }
    return [
        (edges[index], edges[index + 1], dict(mix))
        for index, mix in enumerate(steps[:-1])
        if mix and matters <= mix.keys()
    ]


def _minute(moment: float) -> str:
    return utc(moment).translate(str.maketrans("", "", "-T:Z"))


def asks_for(settings: CarbonSettings, grid_zone: str) -> str:
    """Return what makes kept values valid."""
    own = settings.entsoe
    changed = sorted(own.factors.items())
    return fingerprint("entsoe", grid_zone, own.area, settings.factor, own.url, changed)
