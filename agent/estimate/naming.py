"""Which microarchitecture a CPU name means. Pure string rules; the catalogue does the rest.

Names come as /proc/cpuinfo has them, as a person types them, or as a hypervisor disguises them
("Intel Xeon Processor (Skylake, IBRS)"). Numbering rules are the makers' own.
"""

import re
from collections.abc import Callable

_NOISE = re.compile(
    r"\((?:r|tm|c)\)|[®™]"
    r"|@.*$"
    r"|\b(?:with|w/) .*$"
    r"|\b\d+(?:st|nd|rd|th) gen(?:eration)?\b"
    r"|\b\d+-core\b|\b(?:dual|quad|six|eight|twelve|sixteen)-core\b"
    r"|\b(?:intel|amd|genuine|authentic|cpu|processor|processors|soc|aws|the|series|scalable)\b"
    r"|\bapu\b|\bnvidia\b|\bmicrosoft\b|\bgoogle\b|\bhygon\b|\bhisilicon\b|\bhuawei\b|\bphytium\b"
    r"|(?<=\d) 0\b"
)
_GHZ = re.compile(r"@\s*(\d+(?:\.\d+)?)\s*ghz", re.IGNORECASE)


def plain(name: str) -> str:
    """Lower case without marks, vendor, clock and filler words: "xeon platinum 8259cl"."""
    text = name.lower().replace("_", " ")
    text = re.sub(r"\((?:r|tm|c)\)|[®™]", " ", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"\s+", " ", _NOISE.sub(" ", text)).strip()


def squashed(name: str) -> str:
    """Only the letters, digits and + of `plain`: the key that names are compared by."""
    return re.sub(r"[^a-z0-9+]", "", plain(name))


def clock_mhz(name: str) -> float | None:
    """The clock that some names state ("@ 2.50GHz"), in MHz."""
    found = _GHZ.search(name)
    return float(found.group(1)) * 1000 if found else None


_BY_SECOND_DIGIT = {
    "1": "skylake-sp",
    "2": "cascadelake-sp",
    "3": "icelake-sp",
    "4": "sapphirerapids",
    "5": "emeraldrapids",
}
_E_VERSION = {
    None: "sandybridge-ep",
    "2": "ivybridge-ep",
    "3": "haswell-ep",
    "4": "broadwell-ep",
}
_E3_VERSION = {
    None: "sandybridge-client",
    "2": "ivybridge-client",
    "3": "haswell-client",
    "4": "haswell-client",
    "5": "skylake-client",
    "6": "skylake-client",
}
_CORE_GENERATION = {
    2: "sandybridge-client",
    3: "ivybridge-client",
    4: "haswell-client",
    5: "haswell-client",
    11: "rocketlake-client",
    12: "alderlake-client",
    13: "alderlake-client",
    14: "alderlake-client",
}
_RYZEN_SERIES = {
    "1": "zen1-client",
    "2": "zen1-client",
    "3": "zen2-client",
    "4": "zen2-client",
    "5": "zen3-client",
    "6": "zen3-client",
    "7": "zen4-client",
    "8": "zen4-client",
    "9": "zen5-client",
}


def _scalable(found: re.Match[str]) -> str:
    second, suffix = found.group(1), found.group(2)
    if second == "3" and suffix.startswith("h"):
        return "cooperlake-sp"
    return _BY_SECOND_DIGIT.get(second, "generic-intel-server")


def _core(found: re.Match[str]) -> str:
    digits = found.group(1)
    # Generations 6 to 10 are one core design; mobile names of the 10th may have three digits + G.
    generation = int(digits[:-3]) if len(digits) > 3 else 1
    if len(digits) == 4 and digits[0] == "1":
        generation = int(digits[:2])  # i5-1240P: mobile parts of the 10th generation and later
    if "g" in found.group(2) and generation >= 10:
        return "icelake-client"
    return _CORE_GENERATION.get(generation, "skylake-client" if generation > 5 else "nehalem-ep")


def _epyc(found: re.Match[str]) -> str:
    model = found.group(1)
    series, last = model[0], model[3]
    if series == "4":
        return "zen5-client" if last == "5" else "zen4-client"
    if series == "8":
        return "zen4c-siena"
    if series == "9":
        dense = model[1] in "78" if model[1].isdigit() else False
        if last == "5":
            return (
                "zen5c-epyc" if model[1] == "8" or model[1:3] in {"74", "64", "96"} else "zen5-epyc"
            )
        return "zen4c-epyc" if dense else "zen4-epyc"
    return {"1": "zen1-epyc", "2": "zen2-epyc"}.get(last, "zen3-epyc")


def _is(name: str) -> Callable[[re.Match[str]], str]:
    return lambda _found: name


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"\b(?:platinum|gold|silver|bronze) ?p?-?\d(\d)\d\d([a-z+]*)", _scalable),
        (r"\b6[579]\d\dp\b", _is("graniterapids")),
        (r"\b6[79]\d\de\b", _is("sierraforest")),
        (
            r"\be3-? ?\d{4}[a-z]*(?: ?v(\d))?",
            lambda m: _E3_VERSION.get(m.group(1), "skylake-client"),
        ),
        (
            r"\be[57]-? ?\d{4}[a-z]*(?: ?v(\d))?",
            lambda m: _E_VERSION.get(m.group(1), "broadwell-ep"),
        ),
        (r"\be-2[12]\d\d", _is("skylake-client")),
        (r"\be-23\d\d", _is("rocketlake-client")),
        (r"\be-24\d\d", _is("alderlake-client")),
        (r"\bd-1[56]\d\d", _is("broadwell-de")),
        (r"\bd-21\d\d", _is("skylake-sp")),
        (r"\bd-[12][78]\d\d", _is("icelake-sp")),
        (r"\bw-1[234]\d\d", _is("skylake-client")),
        (r"\bw-21\d\d|\bw-31\d\d", _is("skylake-sp")),
        (r"\bw-22\d\d|\bw-32\d\d", _is("cascadelake-sp")),
        (r"\bw-33\d\d", _is("icelake-sp")),
        (r"\bw[3579]-[23]\d\d\d|\bmax 9\d\d\d", _is("sapphirerapids")),
        (r"\b[xelw]56\d\d\b", _is("westmere-ep")),
        (r"\b[xelw]55\d\d\b|\b[xelw]75\d\d\b|\b[xelw]34\d\d\b", _is("nehalem-ep")),
        (r"\bi[3579][- ]?(\d{3,5})([a-z0-9]*)", _core),
        (r"\bcore ultra|\b(?:n95|n100|n305)\b", _is("alderlake-client")),
        (r"\bgranite ?rapids", _is("graniterapids")),
        (r"\bsierra ?forest", _is("sierraforest")),
        (r"\bemerald ?rapids", _is("emeraldrapids")),
        (r"\bsapphire ?rapids", _is("sapphirerapids")),
        (r"\bice ?lake", _is("icelake-sp")),
        (r"\bcooper ?lake", _is("cooperlake-sp")),
        (r"\bcascade ?lake", _is("cascadelake-sp")),
        (r"\bskylake", _is("skylake-sp")),
        (r"\bbroadwell", _is("broadwell-ep")),
        (r"\bhaswell", _is("haswell-ep")),
        (r"\bivy ?bridge|\bxeon e312xx \(ivy", _is("ivybridge-ep")),
        (r"\bsandy ?bridge|\bxeon e312xx", _is("sandybridge-ep")),
        (r"\bwestmere", _is("westmere-ep")),
        (r"\bnehalem", _is("nehalem-ep")),
        (r"\bepyc-? ?rome", _is("zen2-epyc")),
        (r"\bepyc-? ?milan", _is("zen3-epyc")),
        (r"\bepyc-? ?genoa", _is("zen4-epyc")),
        (r"\bepyc-? ?turin", _is("zen5-epyc")),
        (r"\bepyc-? ?v\d|\bepyc \(|\bepyc-ibpb", _is("zen1-epyc")),
        (r"\bepyc ?(\d[0-9a-z]{2}[1-5])", _epyc),
        (r"\bthreadripper(?: pro)? [12]\d{3}", _is("zen1-threadripper")),
        (r"\bthreadripper", _is("zen2-threadripper")),
        (
            r"\bryzen [3579] (?:pro )?(\d)\d{3}",
            lambda m: _RYZEN_SERIES.get(m.group(1), "generic-amd-client"),
        ),
        (r"\bc86\b|\bdhyana", _is("zen1-epyc")),
        (r"graviton ?4|neoverse-? ?v2|\bgrace\b|\baxion", _is("neoverse-v2")),
        (r"graviton ?3|neoverse-? ?v1", _is("neoverse-v1")),
        (r"graviton ?2|neoverse-? ?n1", _is("neoverse-n1")),
        (r"graviton", _is("graviton1")),
        (r"neoverse-? ?n2|cobalt|yitian", _is("neoverse-n2")),
        (r"neoverse", _is("neoverse-v2")),
        (r"ampere-?1|ampereone", _is("ampereone")),
        (r"altra|\bampere\b", _is("ampere-altra")),
        (r"kunpeng-? ?916", _is("kunpeng-916")),
        (r"kunpeng|tsv110|taishan", _is("kunpeng-920")),
        (r"\bft-?\d|\bs2500|\bs5000|tengyun", _is("phytium-ft2000")),
        (r"thunder ?x2", _is("thunderx2")),
        (r"cortex|\bbcm\d|raspberry|rk3\d{3}", _is("generic-arm-small")),
        (r"\bxeon", _is("generic-intel-server")),
        (r"\bepyc|\bopteron", _is("generic-amd-server")),
        (r"\bryzen|\bathlon|\bphenom", _is("generic-amd-client")),
        (r"\bcore\b|\bpentium|\bceleron|\batom", _is("generic-intel-client")),
    )
)


def family(name: str) -> str:
    """The microarchitecture that a CPU name means, or the nearest generic one."""
    text = plain(name)
    for pattern, rule in _RULES:
        found = pattern.search(text)
        if found:
            return rule(found)
    lower = name.lower()
    for word, generic in (
        ("intel", "generic-intel-server"),
        ("amd", "generic-amd-server"),
        ("hygon", "zen1-epyc"),
        ("arm", "generic-arm-server"),
        ("aarch64", "generic-arm-server"),
    ):
        if word in lower:
            return generic
    return "generic"


_INTEL_MODELS = {
    26: "nehalem-ep",
    44: "westmere-ep",
    42: "sandybridge-client",
    45: "sandybridge-ep",
    58: "ivybridge-client",
    62: "ivybridge-ep",
    60: "haswell-client",
    63: "haswell-ep",
    79: "broadwell-ep",
    86: "broadwell-de",
    94: "skylake-client",
    158: "skylake-client",
    165: "skylake-client",
    106: "icelake-sp",
    108: "icelake-sp",
    143: "sapphirerapids",
    207: "emeraldrapids",
    173: "graniterapids",
    175: "sierraforest",
    151: "alderlake-client",
    183: "alderlake-client",
}
_AMD_MODELS = {
    (23, 1): "zen1-epyc",
    (23, 49): "zen2-epyc",
    (25, 1): "zen3-epyc",
    (25, 17): "zen4-epyc",
    (25, 160): "zen4c-epyc",
    (26, 2): "zen5-epyc",
    (26, 17): "zen5c-epyc",
}


def family_from_cpuid(vendor: str, family_id: int, model: int, stepping: int) -> str | None:
    """The microarchitecture of a CPUID signature; helps where a cloud hides the model name."""
    if vendor == "GenuineIntel" and family_id == 6:
        if model == 85:
            return "skylake-sp" if stepping < 5 else "cascadelake-sp"
        return _INTEL_MODELS.get(model)
    if vendor == "AuthenticAMD":
        return _AMD_MODELS.get((family_id, model))
    return None
