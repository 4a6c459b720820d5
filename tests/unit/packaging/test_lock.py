"""The lock of the .deb's libraries, the bill of materials made with it, and the audit's honesty."""

import importlib.util
import json
import os
import re
import subprocess
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
LOCK = (ROOT / "packaging/requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENTRY = re.compile(r"^([\w.-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)
LOCKED = {name: version for name, version, _ in ENTRY.findall(LOCK)}
LEFT_OUT = {"pip"}  # sqlite-utils' own `install` command asks for it; Wattlas has no use for that


def test_each_library_has_a_version_and_hashes_and_nothing_else_is_there():
    rest = ENTRY.sub("", LOCK)
    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []
    assert len(LOCKED) > 30
    for name, _, sums in ENTRY.findall(LOCK):
        found = re.findall("[0-9a-f]{64}", sums)
        assert len(set(found)) == len(found) >= 1, name


def test_it_says_nothing_of_where_it_was_made():
    assert "://" not in LOCK
    assert "--index" not in LOCK
    assert "--find-links" not in LOCK


def test_its_versions_are_those_of_the_constraints():
    lines = (ROOT / "packaging/constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    assert {name: pinned.get(name) for name in LOCKED} == LOCKED


def test_it_is_all_that_wattlas_needs_and_no_more():
    """Follows what the installed libraries themselves ask for, from pyproject.toml's lists."""
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["site"]]
    seen = set()
    open_ends = [(Requirement(text), "") for text in wanted]
    while open_ends:
        need, extra = open_ends.pop()
        name = canonicalize_name(need.name)
        if name in LEFT_OUT or (need.marker and not need.marker.evaluate({"extra": extra})):
            continue
        assert LOCKED[name] in need.specifier, f"{need} against {LOCKED[name]}"
        for one in {"", *need.extras}:
            if (name, one) not in seen:
                seen.add((name, one))
                open_ends += [(Requirement(r), one) for r in metadata.requires(name) or ()]
    names = {name for name, _ in seen}
    assert names <= LOCKED.keys()
    # a newer Python needs less: typing_extensions is for those before 3.13
    assert LOCKED.keys() - names <= {"typing-extensions"}


# --- the bill ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sbom():
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "scripts/sbom.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bill(*components):
    return {
        "metadata": {"component": {"bom-ref": "root-component", "name": "wattlas"}},
        "components": [
            {"name": n, "version": v, "bom-ref": f"{n}=={v}", "purl": f"pkg:pypi/{n}@{v}"}
            for n, v in components
        ],
        "dependencies": [
            {"ref": "root-component", "dependsOn": [f"{n}=={v}" for n, v in components]},
            *({"ref": f"{n}=={v}"} for n, v in components),
        ],
    }


def test_the_bill_gets_the_hashes_of_the_lock(sbom):
    made = bill(("click", LOCKED["click"]), ("typing_extensions", LOCKED["typing-extensions"]))
    assert sbom.complete(made, sbom.locked(LOCK)) == []
    for component in made["components"]:
        (reference,) = component["externalReferences"]
        name = canonicalize_name(component["name"])
        (sums,) = [sums for one, _, sums in ENTRY.findall(LOCK) if one == name]
        assert sorted(h["content"] for h in reference["hashes"]) == sorted(
            re.findall("[0-9a-f]{64}", sums)
        )
        assert {h["alg"] for h in reference["hashes"]} == {"SHA-256"}


def test_a_library_or_version_that_is_not_locked_is_named(sbom):
    made = bill(("click", "0.1"), ("surprise", "1.0"), ("idna", LOCKED["idna"]))
    assert sbom.complete(made, sbom.locked(LOCK)) == ["click==0.1", "surprise==1.0"]


def test_pip_is_no_part_of_the_bill(sbom):
    made = bill(("pip", "26.3"), ("idna", LOCKED["idna"]))
    assert sbom.complete(made, sbom.locked(LOCK)) == []
    assert [c["name"] for c in made["components"]] == ["idna"]
    assert made["dependencies"][0]["dependsOn"] == [f"idna=={LOCKED['idna']}"]
    assert [d["ref"] for d in made["dependencies"]] == ["root-component", f"idna=={LOCKED['idna']}"]


# --- the audit: it never passes without having asked ------------------------------------------


def audit(url):
    return subprocess.run(
        [ROOT / "scripts/audit"],
        env=os.environ | {"WATTLAS_OSV_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_service_out_of_reach_is_no_pass():
    done = audit("http://127.0.0.1:9/v1/query")
    assert done.returncode == 75
    assert done.stdout == ""
    assert re.fullmatch(
        r"audit: NOT AUDITED: \S+ cannot be asked from here: .*refused.*\.\n", done.stderr
    )


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, {}), (200, []), (200, {"vulns": [{"id": "GHSA-1"}]}), (503, {})],
)
def test_a_service_that_knows_nothing_is_no_pass(status, answer):
    class Service(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            done = audit(f"http://127.0.0.1:{server.server_port}/v1/query")
        finally:
            server.shutdown()
            thread.join()
    assert done.returncode == 75
    assert done.stderr.startswith("audit: NOT AUDITED: ")
    assert len(done.stderr.splitlines()) == 1
