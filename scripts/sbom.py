"""The second half of scripts/sbom: hashes from the lock into the bill, and both checks."""

import json
import re
import sys
from pathlib import Path
from typing import Any

USAGE = "usage: sbom.py BILL LOCK OUTPUT (run by scripts/sbom)"


def normal(name: str) -> str:
    """Return a library's name as the index spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(text: str) -> dict[tuple[str, str], list[str]]:
    """Return the SHA-256 sums of each (name, version) of a lock file."""
    found: dict[tuple[str, str], list[str]] = {}
    sums: list[str] = []
    for line in text.splitlines():
        if entry := re.match(r"([\w.-]+)==([^\s;]+)", line):
            sums = found.setdefault((normal(entry[1]), entry[2]), [])
        sums += re.findall(r"--hash=sha256:([0-9a-f]{64})", line)
    return found


def complete(bill: dict[str, Any], sums: dict[tuple[str, str], list[str]]) -> list[str]:
    """Put the hashes into the bill; return which libraries the lock does not have.

    A library is there as several files, one per processor and Python, of which pip took the one
    that fits: so they belong to where it came from, not to the component itself (CycloneDX 1.6,
    externalReferences of type distribution).
    """
    unknown = []
    # pip itself may lie in an environment that is looked at; it is no part of Wattlas.
    bill["components"] = [c for c in bill["components"] if c["name"] not in ("pip", "setuptools")]
    for component in bill["components"]:
        key = (normal(component["name"]), component["version"])
        if key not in sums:
            unknown.append("==".join(key))
            continue
        component.setdefault("externalReferences", []).append(
            {
                "type": "distribution",
                "url": component["purl"],
                "comment": "one of these files was installed; pip checked its hash",
                "hashes": [{"alg": "SHA-256", "content": one} for one in sorted(sums[key])],
            }
        )
    here = {c["bom-ref"] for c in [*bill["components"], bill["metadata"]["component"]]}
    bill["dependencies"] = [
        one | {"dependsOn": [ref for ref in one.get("dependsOn", ()) if ref in here]}
        for one in bill["dependencies"]
        if one["ref"] in here
    ]
    return unknown


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(USAGE)
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 -- only scripts/sbom's environment has it
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    bill_file, lock, output = map(Path, sys.argv[1:])
    bill = json.loads(bill_file.read_text())
    unknown = complete(bill, locked(lock.read_text()))
    if unknown:
        sys.exit(
            f"sbom: {lock.name} does not name {', '.join(unknown)}: this is not what is shipped."
        )
    text = json.dumps(bill, indent=1, sort_keys=True) + "\n"
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"sbom: the bill is not valid CycloneDX 1.6: {wrong}")
    output.write_text(text)
    print(f"{len(bill['components'])} libraries, valid CycloneDX 1.6")
    if silent := [c["name"] for c in bill["components"] if not c.get("licenses")]:
        print(f"their metadata names no licence: {', '.join(silent)}")


if __name__ == "__main__":
    main()
