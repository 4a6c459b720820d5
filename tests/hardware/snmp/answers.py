"""What snmpd asks for a tree (`pass_persist` of snmpd.conf(5)): OIDs from a file, read each time.

Run by snmpd, not imported: only the standard library.
"""

import sys
from pathlib import Path

TYPES = {
    "2": "integer",
    "4": "string",
    "6": "objectid",
    "65": "counter",
    "66": "gauge",
    "67": "timeticks",
    "70": "counter64",
}
"""ASN.1 tags, as in snmpsim's records."""


def numbers(oid):
    return tuple(int(part) for part in oid.strip(".").split("."))


def tree(path):
    rows = {}
    for line in Path(path).read_text().splitlines():
        if line and not line.startswith("#"):
            oid, tag, value = line.split("|", 2)
            rows[numbers(oid)] = (TYPES[tag], value)
    return rows


def found(asked, oid, rows):
    if asked == "get":
        return oid if oid in rows else None
    return min((known for known in rows if known > oid), default=None)


def say(*lines):
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def main():
    while asked := sys.stdin.readline().strip():
        if asked == "PING":
            say("PONG")
            continue
        oid = numbers(sys.stdin.readline())
        rows = tree(sys.argv[1])
        match = found(asked, oid, rows)
        if match is None:
            say("NONE")
        else:
            kind, value = rows[match]
            say("." + ".".join(map(str, match)), kind, value)


main()
