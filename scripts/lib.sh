# shellcheck shell=bash
# What the scripts beside this file share. Source it; it runs nothing by itself.
#
# WATTLAS_VENV    another place for the environment (default: .venv in the repository)
# WATTLAS_PYTHON  the Python to make it with (default: the first 3.11 or newer that is found)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${WATTLAS_VENV:-$root/.venv}
# shellcheck disable=SC2034  # for the scripts that source this
constraints=$root/packaging/constraints.txt

# Child scripts count from the moment the first of them started.
export WATTLAS_STARTED=${WATTLAS_STARTED:-$EPOCHSECONDS}

# Somebody's PYTHONPATH would put other code in front of what is installed.
unset PYTHONPATH PYTHONHOME

# Under `set -e` a step that nobody thought of as failing would end the script without a word.
set -E
trap 'unforeseen "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND"' ERR
unforeseen() { printf '%s: stopped at %s line %s: %s\n' "${0##*/}" "$1" "$2" "${3%%$'\n'*}" >&2; }

say() { printf '[%4d s] %s\n' "$((EPOCHSECONDS - WATTLAS_STARTED))" "$*"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

# quietly WHAT COMMAND...: runs COMMAND, shows the end of its output only if it fails. `said` holds it.
said=''
quietly() {
    local what=$1 log status=0
    shift
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    said=$(<"$log")
    if [ "$status" -ne 0 ]; then
        printf '%s: %s failed (status %s). The end of what it said:\n' "${0##*/}" "$what" "$status" >&2
        grep -v '^WARNING: Retrying' "$log" | tail -n 15 | sed 's/^/  | /' >&2
    fi
    rm -f "$log"
    return "$status"
}

# --- system packages ---------------------------------------------------------------------------

# as_root COMMAND...: only after can_be_root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() {
    [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
}

# apt_install PACKAGE...: installs them, starting no service.
apt_install() {
    local command="apt-get install -y --no-install-recommends $*"
    command -v apt-get >/dev/null ||
        die "this needs $* and there is no apt-get here." "Install the like with this system's own package manager, then start again."
    can_be_root ||
        die "these system packages are missing and installing them takes root: $*" \
            "Run this, then start again:" \
            "    sudo apt-get update && sudo $command"
    say "apt: installing $*"
    # One unreachable extra source must not stop us; what is really missing shows at the install.
    quietly "apt-get update" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=120 -qq update || true
    hold_services
    # shellcheck disable=SC2086  # a list of words
    quietly "$command" as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends "$@" || {
        release_services
        die "apt could not install: $*" \
            "If it could not fetch, look at this machine's network or its /etc/apt/sources.list; if it found no such package," \
            "the distribution is older than Debian 12 or Ubuntu 22.04 (there: enable 'universe')."
    }
    release_services
}

# Debian's packages start their service when installed; policy-rc.d is its way to say no.
policy=/usr/sbin/policy-rc.d
held=no
hold_services() {
    [ -e "$policy" ] && return
    held=yes
    trap release_services EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}
release_services() {
    if [ "$held" = yes ]; then
        as_root rm -f "$policy"
        held=no
    fi
}

# candidate PACKAGE: the version apt would install, nothing if none.
candidate() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *//p' | grep -v '(none)' || true
}

# --- Python ------------------------------------------------------------------------------------

# find_python: prints the first Python >= 3.11 that can make an environment.
find_python() {
    local name
    for name in ${WATTLAS_PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
        if "$name" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# python_packages: the names under which apt has a Python >= 3.11. Ubuntu 22.04's python3 is 3.10,
# but it has a python3.11 beside it.
python_packages() {
    local name version
    for name in python3 python3.11 python3.12 python3.13; do
        version=$(candidate "$name")
        if [ -n "$version" ] && dpkg --compare-versions "$version" ge 3.11; then
            echo "$name $name-venv"
            return
        fi
    done
    echo "python3 python3-venv" # no package lists yet: the usual names
}

# --- the environment ---------------------------------------------------------------------------

# requirements WHAT...: what pyproject.toml asks for; WHAT is build, run or dev.
requirements() {
    "$venv/bin/python" - "$root/pyproject.toml" "$@" <<'PY'
import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)
lists = {
    "build": project["build-system"]["requires"],
    # the libraries for a site's meters are small and imported only where one is set
    "run": project["project"]["dependencies"] + project["project"]["optional-dependencies"]["site"],
    "dev": project["dependency-groups"]["dev"],
}
for what in sys.argv[2:]:
    print(*lists[what], sep="\n")
PY
}

# pip's own last line after a lost connection blames the versions; this is its cause in one sentence.
why_pip_failed() {
    case $said in
    *NewConnectionError* | *NameResolutionError* | *ConnectTimeout* | *ReadTimeout* | *ProxyError*)
        echo "It could not reach its package index: look at this machine's network and proxy, or its pip configuration ('pip config list')."
        ;;
    *CERTIFICATE_VERIFY_FAILED*)
        echo "It does not trust the certificate of its package index: a network with a CA of its own needs PIP_CERT=FILE."
        ;;
    *"No space left"*) echo "The disk is full." ;;
    *) echo "If it found no matching version, packaging/constraints.txt and pyproject.toml disagree: scripts/pins makes it anew." ;;
    esac
}

pip_install() {
    "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check "$@"
}

# content_hash PATH...: one hash of all files below, names and contents; not all paths need exist.
content_hash() {
    (cd "$root" && { find "$@" -type f ! -name '*.pyc' -print0 2>/dev/null || true; } |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
}
