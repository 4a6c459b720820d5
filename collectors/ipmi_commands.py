"""Command lines of the two families of IPMI tools, and what their errors mean.

A password is never on a command line or in the environment, where every user of the host could
read it: it is passed in an inherited memory file that has no name (memfd_create(2)).
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple, NoReturn

from agent.collector import Transient
from collectors.ipmi_settings import IpmiSettings
from collectors.tool import Output

Family = Literal["freeipmi", "ipmitool"]
_IPMITOOL_PRIVILEGES: Final = {"user": "USER", "operator": "OPERATOR", "admin": "ADMINISTRATOR"}
LONGEST_PASSWORD: Final = 20
"""IPMI 2.0 section 22.30."""


class Unsupported(Exception):
    """The BMC does not have this command."""


class _Meaning(NamedTuple):
    pattern: re.Pattern[str]
    reason: str
    why: str
    remedy: str


def _means(pattern: str, reason: str, why: str, remedy: str = "") -> _Meaning:
    return _Meaning(re.compile(pattern, re.IGNORECASE), reason, why, remedy)


# First match wins. Texts of ipmitool 1.8.19 (with -v) and FreeIPMI 1.6.10, seen with ipmi_sim.
_MEANINGS: Final = (
    _means(
        r"insufficient permission on driver device|/dev/ipmi\S*.*Permission denied",
        "permission",
        "the IPMI device may not be opened by this user",
        "let the service open it: sudo wattlas install --drop-in ipmi",
    ),
    _means(
        r"privilege level (?:insufficient|cannot be obtained)|Insufficient privilege",
        "privilege",
        "the account's rights at the BMC do not suffice",
        'set privilege = "operator" or "admin", or give the account that right',
    ),
    _means(
        r"password invalid|username invalid|RAKP 2 HMAC is invalid|unauthorized name"
        r"|invalid password|invalid user|Activate Session (?:command failed|error)"
        r"|password verification timeout|k_g invalid|RAKP . message indicates an error",
        "auth",
        "the BMC refuses this user and password",
        "look at user and password_file; a BMC may lock an account after some refusals",
    ),
    _means(
        r"cipher suite|invalid authentication algorithm|invalid integrity algorithm"
        r"|authentication type unavailable",
        "io",
        "the BMC does not have the cipher suite that was asked for",
        "set cipher_suite, e.g. 17 or 3",
    ),
    _means(
        r"ipmi 2\.0 unavailable",
        "io",
        "the BMC speaks IPMI 1.5 only",
        'set protocol = "1.5", which is neither encrypted nor safe',
    ),
    _means(r"invalid hostname|Address lookup", "io", "the BMC's name is not known", "look at host"),
    _means(
        r"connection timeout|session timeout|Get Auth Capabilities error"
        r"|Get Channel Authentication Capabilities|IPMI over LAN is disabled",
        "timeout",
        "the BMC does not answer",
        "look at host and port, and whether IPMI over LAN is enabled in the BMC",
    ),
    _means(r"BMC busy|Node busy", "busy", "the BMC is busy"),
    _means(
        r"driver timeout|message timeout|Timeout \(c3\)|No data available",
        "timeout",
        "the BMC did not answer in time",
    ),
    _means(
        r"Unable to establish",
        "auth",
        "the BMC opens no session: it refuses user or password, or the line is bad",
        "look at user, password_file and cipher_suite; run ipmitool -vv by hand",
    ),
    _means(
        r"could not find inband device|No such file or directory|driver device.*not found",
        "gone",
        "the IPMI device is not there",
        "modprobe ipmi_devintf ipmi_si",
    ),
)
# With -v, ipmitool also tells of other commands that the BMC does not have: only DCMI's count.
_UNSUPPORTED: Final = re.compile(
    r"ipmi_cmd_dcmi_\w+: (?:command invalid or unsupported|bad completion code)"
    r"|DCMI request failed because: (?:Invalid command|Invalid data field|Illegal"
    r"|Parameter not supported|Parameter out of range|Requested sensor, data)"
    r"|A valid DCMI command was not returned",
    re.IGNORECASE,
)
_CHATTER: Final = re.compile(r"IANA PEN|Channel Cipher Suites|HPM\.x Capabilities", re.IGNORECASE)


def judge(output: Output) -> NoReturn:
    """Raise `Unsupported` or `Transient` for what a tool says besides a figure."""
    lines = [line.strip() for line in (output.text + output.errors).splitlines()]
    said = [line for line in lines if line and not _CHATTER.search(line)]
    text = " ".join(said)
    if _UNSUPPORTED.search(text):
        raise Unsupported(said[-1])
    for meaning in _MEANINGS:
        if meaning.pattern.search(text):
            raise Transient(meaning.why, meaning.reason, meaning.remedy)
    why = said[-1][:120] if said else f"nothing, with exit status {output.status}"
    raise Transient(f"the BMC gives no figure; the tool says: {why}", "io")


def has_no_records(output: Output) -> bool:
    """Return whether a list of sensors that is empty is all there is."""
    is_silent = not output.status and not output.text.strip() and not output.errors.strip()
    return is_silent or "SDR record count invalid" in output.errors  # FreeIPMI: there are none


class Commands:
    """Command lines of one family for one BMC."""

    def __init__(self, family: Family, settings: IpmiSettings, device: str) -> None:
        """`device`: e.g. /dev/ipmi0, in band."""
        self.family = family
        self.folder = ""
        """Where sensor records are cached; set it before sensors are read."""
        self._settings = settings
        self._device = device

    def dcmi(self, secret: str) -> list[str]:
        """Return what asks for DCMI "Get Power Reading". `secret`: the file of `secrets`."""
        if self.family == "freeipmi":
            return ["ipmi-dcmi", *self._freeipmi(secret), "--get-system-power-statistics"]
        return ["ipmitool", *self._ipmitool(secret), "dcmi", "power", "reading"]

    def dump(self, secret: str) -> list[str]:
        """Return what fills ipmitool's cache of sensor records; FreeIPMI's fills itself."""
        return ["ipmitool", *self._ipmitool(secret), "sdr", "dump", self._cache]

    def sensors(self, secret: str, records: tuple[str, ...], names: tuple[str, ...]) -> list[str]:
        """Return what reads some sensors, or all of them where none is given."""
        if self.family == "ipmitool":
            what = ["sdr", "get", *names] if names else ["sdr", "elist", "all"]
            options = self._ipmitool(secret)
            if not names and "-v" in options:
                options.remove("-v")  # which would make it another, longer list
            return ["ipmitool", *options, "-S", self._cache, *what]
        which = [f"--record-ids={','.join(records)}"] if records else []
        return [
            "ipmi-sensors",
            *self._freeipmi(secret),
            f"--sdr-cache-directory={self.folder}",
            "--sdr-cache-recreate",
            "--quiet-cache",
            "--comma-separated-output",
            "--no-header-output",
            "--output-event-bitmask",
            *which,
        ]

    def drop_cache(self) -> None:
        """Forget the sensor records: the BMC's have changed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        Path(self.folder).mkdir(mode=0o700, exist_ok=True)

    @property
    def _cache(self) -> str:
        return f"{self.folder}/sdr"

    def _freeipmi(self, secret: str) -> list[str]:
        settings = self._settings
        flags = [f"--workaround-flags={','.join(settings.workarounds)}"]
        flags = flags if settings.workarounds else []
        if not settings.host:
            return ["--driver-type=OPENIPMI", f"--driver-device={self._device}", *flags]
        # It is to end and to say why before it is killed.
        milliseconds = max(1000, int(settings.timeout_seconds * 800))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        cipher = settings.cipher_suite
        return [
            f"--driver-type={'LAN_2_0' if settings.protocol == '2.0' else 'LAN'}",
            f"--hostname={host}:{settings.port}",
            f"--config-file={secret}",
            f"--privilege-level={settings.privilege}",
            f"--session-timeout={milliseconds}",
            *([f"--cipher-suite-id={cipher}"] if cipher is not None else []),
            *flags,
        ]

    def _ipmitool(self, secret: str) -> list[str]:
        settings = self._settings
        if not settings.host:
            number = re.search(r"\d+$", self._device)
            return ["-I", "open", "-d", number.group() if number else "0"]
        cipher = settings.cipher_suite
        return [
            *("-v", "-I", "lanplus" if settings.protocol == "2.0" else "lan"),
            *("-H", settings.host, "-p", str(settings.port), "-U", settings.user, "-f", secret),
            *("-L", _IPMITOOL_PRIVILEGES[settings.privilege]),
            # Three tries of one second and more: it ends before it is killed, and says why.
            *("-N", "1", "-R", "2"),
            *(("-C", str(cipher)) if cipher is not None else ()),
        ]


@contextmanager
def secrets(family: Family, settings: IpmiSettings) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give the path of a file with the password for the tool, and the descriptor to hand on.

    Raises `Transient` when the password cannot be read; no message has it.
    """
    if not settings.host:
        yield "", ()
        return
    password = _password(settings.password_file) if settings.password_file else ""
    if family == "freeipmi":
        text = f"username {_quoted(settings.user)}\n" if settings.user else ""
        text += f"password {_quoted(password)}\n" if password else ""
    else:
        text = f"{password}\n"
    descriptor = os.memfd_create("wattlas-ipmi", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def _quoted(word: str) -> str:
    """Return a word as FreeIPMI's configuration file wants it.

    There `#` begins a comment also between quotation marks, and only those let a space in.
    """
    for special in ("\\", "#", '"'):
        word = word.replace(special, f"\\{special}")
    return f'"{word}"' if " " in word else word


def _password(path: str) -> str:
    remedy = f"put the password into the first line of {path} and let this user read it"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            raw = os.read(descriptor, 4096)
        finally:
            os.close(descriptor)
        password = raw.decode().partition("\n")[0].rstrip("\r")
    except OSError as error:
        why = f"the password file {path} cannot be read ({error.strerror})"
        raise Transient(why, "permission", remedy) from None
    except UnicodeDecodeError:
        password = ""
    if not password or not password.isprintable() or len(password.encode()) > LONGEST_PASSWORD:
        why = f"the first line of {path} is no IPMI password (1 to {LONGEST_PASSWORD} bytes)"
        raise Transient(why, "permission", remedy)
    return password
