"""`wattlas work`: for scripts that report what they got done.

Starts fast, for it may be called after each step of a loop: no collectors, no aiohttp.
"""

import errno
import grp
import http.client
import json
import math
import os
import socket
import tomllib
from pathlib import Path
from typing import Any, Final

import click

from agent.cli.common import (
    Failure,
    config_option,
    json_option,
    load_settings,
    print_json,
    print_table,
)
from agent.settings import DEFAULT_FILE, Agent

PATH: Final = "/v1/work"
TIMEOUT_SECONDS: Final = 5.0

_socket_option = click.option(
    "--socket",
    "socket_path",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="The agent's socket; default: agent.work_socket of its settings.",
)


@click.group()
def work() -> None:
    """Report useful work to the running agent, from scripts.

    \b
    Examples:
      wattlas work add --workload llama-70b --unit tokens --amount 1234
      wattlas work show
    """


@work.command()
@click.option("--workload", required=True, metavar="NAME", help='What was run, e.g. "llama-70b".')
@click.option("--unit", required=True, metavar="NAME", help="tokens, requests, samples, steps …")
@click.option(
    "--amount", required=True, type=float, metavar="N", help="Units done since the last report."
)
@click.option("--flop", type=float, metavar="F", help="Floating-point operations that it took.")
@click.option("--precision", metavar="P", help='Of those operations, e.g. "fp16_tensor".')
@click.option(
    "--device",
    metavar="D",
    help="Whose energy it took: an accelerator's label, gpu, accelerator, cpu; default: the host.",
)
@click.option("--seconds", type=float, metavar="S", help="Over how long it was done, ending now.")
@_socket_option
@config_option
@json_option
def add(
    workload: str,
    unit: str,
    amount: float,
    flop: float | None,
    precision: str | None,
    device: str | None,
    seconds: float | None,
    socket_path: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Report work that has just been done.

    The agent adds it to wattlas_work_total and works out the energy per unit. With --flop it
    also counts in wattlas_flops_total.

    \b
    Examples:
      wattlas work add --workload llama-70b --unit tokens --amount 1234
      wattlas work add --workload resnet50 --unit samples --amount 1024 --seconds 3.2 --device gpu
      wattlas work add --workload hpl --unit runs --amount 1 --flop 2.1e15 --precision fp64
    """
    numbers = {"--amount": amount, "--flop": flop, "--seconds": seconds}
    for option, value in numbers.items():
        if value is not None and not math.isfinite(value):
            raise click.BadParameter(
                f"{value} is no number that can be added up", param_hint=option
            )
    report = {
        "workload": workload,
        "unit": unit,
        "amount": amount,
        "flop": flop,
        "precision": precision,
        "device": device,
        "seconds": seconds,
    }
    said = {key: value for key, value in report.items() if value is not None}
    answer = ask(socket_path or find_socket(config), "POST", json.dumps(said))
    if as_json:
        print_json(answer)


@work.command()
@_socket_option
@config_option
@json_option
def show(socket_path: Path | None, config: Path | None, as_json: bool) -> None:
    """Print what the running agent has been told since it started or read its settings.

    \b
    Examples:
      wattlas work show
      wattlas work show --json | jq '.work[] | select(.unit == "tokens").amount'
    """
    answer = ask(socket_path or find_socket(config), "GET")
    if as_json:
        print_json(answer)
        return
    rows = [
        [
            row["workload"],
            row["unit"],
            f"{row['amount']:,.10g}",
            "–" if row["flop"] is None else f"{row['flop']:.4g}",
            str(row["reports"]),
        ]
        for row in answer["work"]
    ]
    if rows:
        print_table("", ["workload", "unit", "amount", "FLOP", "reports"], rows, right=(2, 3, 4))
    else:
        click.echo(f"nothing was reported in the last {answer['seconds']:,.0f} s")


def find_socket(config: Path | None) -> Path:
    """Return agent.work_socket of the settings file, reading no more of it than must be.

    Raises `SettingsError` for a file that is none, `Failure` where the socket is switched off.
    """
    path = config or DEFAULT_FILE
    found: Any = None
    if config is not None or path.exists():
        try:
            with path.open("rb") as file:
                found = tomllib.load(file).get("agent", {}).get("work_socket")
        except (OSError, ValueError, AttributeError, RecursionError):
            found = load_settings(config)[0].agent.work_socket  # says what is wrong with it
    if found is not None and not isinstance(found, str):
        found = load_settings(config)[0].agent.work_socket
    if found == "":
        raise Failure(
            f"{path}: agent.work_socket is empty, so the agent takes no reports; set it to a path"
        )
    return Path(Agent().work_socket if found is None else found)


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


def ask(path: Path, method: str, body: str | None = None) -> dict[str, Any]:
    """Ask the agent at a socket and return its answer. Raises `Failure`, one plain sentence."""
    connection = _Connection(path)
    try:
        connection.request(method, PATH, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        status, text = response.status, response.read().decode("utf-8", "replace")
        answer = json.loads(text) if status < 300 else None
    except TimeoutError:
        raise Failure(
            f"{path}: no answer within {TIMEOUT_SECONDS:g} s; is the agent well?"
        ) from None
    except OSError as error:
        raise Failure(_why_not(path, error)) from None
    except (http.client.HTTPException, ValueError):
        raise Failure(f"{path}: what listens there is no agent; name its socket") from None
    finally:
        connection.close()
    if not isinstance(answer, dict):
        said = text.strip().splitlines()
        raise Failure(f"not taken: {said[0] if said else f'HTTP status {status}'}")
    return answer


def _why_not(path: Path, error: OSError) -> str:
    start = "start one (systemctl start wattlas, or wattlas run), or name its socket with --socket"
    if error.errno == errno.ENOENT:
        return f"{path}: there is no agent's socket; {start}"
    if error.errno == errno.ECONNREFUSED:
        return f"{path}: the agent that made this socket does not run; {start}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        group = _group_of(path)
        return (
            f"{path}: only members of the group {group} may report work; add yourself"
            f" (usermod -aG {group} USER, then log in again), or let the agent's"
            " work.socket_mode be wider"
        )
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return f"{path}: the agent hung up, it may be busy or stopping; try again"
    return f"{path}: cannot be talked to ({error.strerror or error})"


def _group_of(path: Path) -> str:
    """Return the group of a socket, or of the nearest folder above it that can be seen."""
    for place in (path, *path.parents):
        try:
            gid = place.stat().st_gid
        except OSError:
            continue
        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)
    return "wattlas"
