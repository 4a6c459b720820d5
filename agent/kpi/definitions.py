"""Which version of which definition a figure follows.

Standards change (the EU's WUE is about to), so each version is a row of its own and a figure says
which one it follows. `evidence` says how the row was checked: S, the source itself was read; S2, a
third party that quotes it; K, general knowledge. The ISO/IEC and EN texts are sold, and were
not read except for public extracts.
"""

from typing import Final, Literal

import msgspec

Status = Literal["in force", "adopted, not in force", "withdrawn", "not a standard"]


class Definition(msgspec.Struct, frozen=True):
    """One version of one KPI's definition."""

    kpi: str
    key: str
    """Its name here, once among all."""
    standard: str
    """Who says so, with edition."""
    status: Status
    formula: str
    evidence: Literal["S", "S2", "K"]
    since: str = ""
    """From when, or until when, as far as that is known."""

    @property
    def text(self) -> str:
        """For a report: "ISO/IEC 30134-2:2026, ed. 2 (in force): E_DC / E_IT"."""
        return f"{self.standard} ({self.status}): {self.formula}"


ALL: Final = (
    Definition(
        "PUE",
        "pue-2026",
        "ISO/IEC 30134-2:2026, ed. 2",
        "in force",
        "E_DC / E_IT",
        "S2",
        "published 2026-01-16",
    ),
    Definition(
        "PUE",
        "pue-2016",
        "ISO/IEC 30134-2:2016 with amendment 1:2018",
        "withdrawn",
        "E_DC / E_IT",
        "S2",
        "withdrawn in January 2026; no mixed-use PUE",
    ),
    Definition(
        "PUE",
        "mpue-2026",
        "ISO/IEC 30134-2:2026, ed. 2, definition 3.1.7",
        "in force",
        "energy within the data centre's boundary / E_IT",
        "S2",
    ),
    Definition(
        "PUE",
        "ppue-2026",
        "ISO/IEC 30134-2:2026, ed. 2, clause 9",
        "in force",
        "(E_sub + E_IT) / E_IT",
        "S2",
    ),
    Definition("DCiE", "dcie", "The Green Grid", "not a standard", "E_IT / E_DC", "K"),
    Definition("CUE", "cue-2022", "ISO/IEC 30134-8:2022", "in force", "CO2 / E_IT", "S"),
    Definition(
        "WUE", "wue1-2022", "ISO/IEC 30134-9:2022, category 1", "in force", "W_in / E_IT", "K"
    ),
    Definition(
        "WUE",
        "wue2-2022",
        "ISO/IEC 30134-9:2022, category 2",
        "in force",
        "(W_in - W_out) / E_IT",
        "S2",
    ),
    Definition(
        "WUE",
        "wue3-2022",
        "ISO/IEC 30134-9:2022, category 3",
        "in force",
        "category 2 and the water of energy generation / E_IT; not given: no meter shows it",
        "K",
    ),
    Definition(
        "WUE",
        "wue-eu-2024",
        "Delegated Regulation (EU) 2024/1364, Annex III",
        "in force",
        "WIN / EIT",
        "S2",
        "reports since 2024-09-15",
    ),
    Definition(
        "WUE",
        "wue-eu-2026",
        "EU C(2026) 3472, which amends 2024/1364",
        "adopted, not in force",
        "WIN-FRE / EIT, fresh water only",
        "S2",
        "adopted 2026-09-21, in scrutiny for two months",
    ),
    Definition(
        "REF",
        "ref-2016",
        "ISO/IEC 30134-3:2016 with amendment 1:2018",
        "in force",
        "E_REN / E_DC, 1 at most",
        "S2",
    ),
    Definition("ERF", "erf-2021", "ISO/IEC 30134-6:2021", "in force", "E_reuse / E_DC", "S2"),
    Definition("CER", "cer-2023", "ISO/IEC 30134-7:2023", "in force", "Q_removed / E_cooling", "S"),
    Definition(
        "ITEEsv", "iteesv-2017", "ISO/IEC 30134-4:2017", "in force", "sum SMPE / sum SMPO", "K"
    ),
    Definition(
        "ITEUsv", "iteusv-2017", "ISO/IEC 30134-5:2017", "in force", "mean CPU utilisation", "S2"
    ),
    Definition(
        "ITUE",
        "itue",
        "Patterson et al., ISC 2013",
        "not a standard",
        "E_wall / E_compute",
        "S2",
    ),
    Definition("TUE", "tue", "Patterson et al., ISC 2013", "not a standard", "ITUE x PUE3", "S2"),
    Definition(
        "CE",
        "ce",
        "Guo Liang et al. 2021 (CAICT, ODCC)",
        "not a standard",
        "CP / sum of PC",
        "S2",
    ),
    Definition(
        "DCeP",
        "dcep",
        "The Green Grid and global taskforce, 2014",
        "not a standard",
        "work / E_DC",
        "S2",
    ),
    Definition("work/E_IT", "work-it", "none", "not a standard", "work / E_IT", "K"),
)
DEFINITIONS: Final = {definition.key: definition for definition in ALL}
