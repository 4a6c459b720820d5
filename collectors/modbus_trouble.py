"""What goes wrong with Modbus meters, each in one sentence with what to do about it."""

import asyncio
import errno
import os
import socket
from typing import Final

from agent.collector import Transient
from collectors.modbus_frames import Question

DIAGNOSIS_SECONDS: Final = 1.0
"""How long is looked, at most, why a connection could not be made."""


class Refused(Transient):
    """The meter answers, but does not give this register; it may give others."""


def refusal(code: int, asked: Question, address: int, where: str) -> Transient:
    """Return what an exception code means (MODBUS Application Protocol V1.1b3, chapter 7)."""
    unit, count = asked.unit, asked.registers
    table = "holding" if asked.function == 3 else "input"
    other = "input" if asked.function == 3 else "holding"
    last = f" to {address + count - 1}" if count > 1 else ""
    registers = f"{table} register{'s' if count > 1 else ''} {address}{last}"
    match code:
        case 1:
            why = f"does not know function {asked.function} ({table} registers)"
            return Refused(f"unit {unit} {why}", "refused", f'try table = "{other}"')
        case 2 | 3:
            return Refused(
                f"unit {unit} has no {registers}",
                "refused",
                "take the address of the data sheet for this model; where it counts from 1, take"
                f' one less; or try table = "{other}"',
            )
        case 6 | 5:
            why, remedy = "is busy", "raise interval_seconds; look who else asks it"
            return Transient(f"unit {unit} {why}", "busy", remedy)
        case 10:
            why = f"the gateway {where} has no path to unit {unit}"
            return Transient(why, "refused", "look at unit_id and at the gateway's routing")
        case 11:
            return Transient(
                f"unit {unit} does not answer behind this gateway",
                "timeout",
                "look at unit_id and the RS-485 line: wiring, baud, parity, termination",
            )
        case 4:
            why = f"unit {unit} reports a failure of its own"
            return Refused(why, "refused", "look at the meter's display")
        case _:
            why = f"unit {unit} refuses {registers} with exception {code}"
            return Refused(why, "refused", "look the code up in the meter's manual")


def silence(asked: Question, where: str, seconds: float, came: bytes, *, is_rtu: bool) -> Transient:
    """Return that no whole answer came within a meter's time."""
    unit = asked.unit
    if came:
        return Transient(
            f"unit {unit} at {where} gave no whole answer within {seconds:g} s, only"
            f" {len(came)} bytes that are none",
            "garbage",
            "look at baud, parity and stop_bits, at two units with one address, at the wiring"
            if is_rtu
            else "look whether another Modbus master answers there, and at unit_id",
        )
    return Transient(
        f"unit {unit} at {where} does not answer within {seconds:g} s",
        "timeout",
        "look at unit_id, and behind a gateway at the RS-485 line: wiring, baud, parity; or raise"
        " timeout_seconds",
    )


def unreachable(where: str, seconds: float) -> Transient:
    """Return that no connection came about within a meter's time."""
    return Transient(
        f"{where} cannot be reached within {seconds:g} s",
        "timeout",
        "look at its address, its cable, and whether a firewall is between",
    )


async def why_no_tcp(host: str, port: int) -> Transient:
    """Return why no connection could be made, by trying once more: pymodbus does not say."""
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(DIAGNOSIS_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except TimeoutError:
        pass
    except ConnectionRefusedError:
        return Transient(
            f"nobody listens at {where}",
            "refused",
            "look at host and its port, and whether Modbus TCP is switched on in the meter",
        )
    except socket.gaierror:
        return Transient(f"the name {host!r} is not known", "io", "give its address, or mend DNS")
    except OSError as error:
        why = error.strerror or type(error).__name__
        remedy = "look at its address and its cable"
        return Transient(f"no way to {where} ({why})", "io", remedy)
    return Transient(f"{where} could not be connected", "io", "look at its address and its cable")


def why_no_serial(path: str) -> Transient:
    """Return why a serial line could not be opened."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    except PermissionError:
        return Transient(
            f"{path} may not be opened by the agent's user",
            "permission",
            "let the service open it: sudo wattlas install --drop-in serial",
        )
    except OSError as error:
        remedy = "look with: ls -l /dev/serial/by-id"
        if error.errno == errno.ENOENT:
            return Transient(f"there is no {path}", "io", remedy)
        return Transient(f"{path} cannot be opened ({error.strerror})", "io", remedy)
    return Transient(
        f"{path} cannot be opened as a serial line: another program holds it, or it is none",
        "io",
        f"look who has it with: fuser {path}",
    )


def no_such_settings(path: str, why: str) -> Transient:
    """Return that a serial line cannot do what is asked of it."""
    return Transient(
        f"{path} does not take this baud, parity or stop_bits ({why})",
        "settings",
        "give those that adapter and meters have",
    )
