"""One engine of pysnmp, which several devices share: v2c and v3, by its asyncio API.

Importing this module imports pysnmp (and cryptography), so it is done in a thread and only where
an SNMP meter is set: `collectors/snmp_engines.py`.
"""

from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Any, Final

from pysnmp.carrier.asyncio.dispatch import AsyncioDispatcher  # type: ignore[import-untyped]
from pysnmp.error import PySnmpError  # type: ignore[import-untyped]
from pysnmp.hlapi.v3arch.asyncio import (  # type: ignore[import-untyped]
    USM_AUTH_HMAC96_MD5,
    USM_AUTH_HMAC96_SHA,
    USM_AUTH_HMAC128_SHA224,
    USM_AUTH_HMAC192_SHA256,
    USM_AUTH_HMAC256_SHA384,
    USM_AUTH_HMAC384_SHA512,
    USM_PRIV_CBC56_DES,
    USM_PRIV_CFB128_AES,
    USM_PRIV_CFB192_AES,
    USM_PRIV_CFB192_AES_BLUMENTHAL,
    USM_PRIV_CFB256_AES,
    USM_PRIV_CFB256_AES_BLUMENTHAL,
    CommunityData,
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    Udp6TransportTarget,
    UdpTransportTarget,
    UsmUserData,
    get_cmd,
)
from pysnmp.proto.api import v2c  # type: ignore[import-untyped]
from pysnmp.proto.rfc3412 import MsgAndPduDispatcher  # type: ignore[import-untyped]

from collectors.snmp_access import Access, Community, User
from collectors.snmp_cells import Cell, Kind, Reply
from collectors.snmp_reports import Refused, Silent, unreachable

AUTH: Final = {
    "md5": USM_AUTH_HMAC96_MD5,
    "sha": USM_AUTH_HMAC96_SHA,
    "sha224": USM_AUTH_HMAC128_SHA224,
    "sha256": USM_AUTH_HMAC192_SHA256,
    "sha384": USM_AUTH_HMAC256_SHA384,
    "sha512": USM_AUTH_HMAC384_SHA512,
}
PRIVACY: Final = {
    "des": USM_PRIV_CBC56_DES,
    "aes": USM_PRIV_CFB128_AES,
    # keys by Blumenthal's draft, as net-snmp makes them; those with "c" by Reeder's, as Cisco does
    "aes192": USM_PRIV_CFB192_AES_BLUMENTHAL,
    "aes256": USM_PRIV_CFB256_AES_BLUMENTHAL,
    "aes192c": USM_PRIV_CFB192_AES,
    "aes256c": USM_PRIV_CFB256_AES,
}
MIBS: Final = (
    "SNMP-COMMUNITY-MIB",
    "SNMP-TARGET-MIB",
    "SNMP-USER-BASED-SM-MIB",
    "SNMPv2-TM",
    "TRANSPORT-ADDRESS-MIB",
    "PYSNMP-SOURCE-MIB",
    "PYSNMP-USM-MIB",
)
"""What pysnmp's engine would load at the first request, on the event loop."""
TICK_SECONDS: Final = 0.25
"""How often pysnmp looks for lost requests; its own 0.1 s cost 0.3 % of a core, all day."""
V3: Final = 3
"""The engine's number for the message processing of SNMPv3 (RFC 3411 section 5)."""
KINDS: Final[dict[Any, Kind]] = {
    v2c.Integer.tagSet: "integer",
    v2c.Gauge32.tagSet: "gauge32",
    v2c.Counter32.tagSet: "counter32",
    v2c.Counter64.tagSet: "counter64",
}
MISSING: Final = {
    v2c.NoSuchObject.tagSet: "noSuchObject",
    v2c.NoSuchInstance.tagSet: "noSuchInstance",
    v2c.EndOfMibView.tagSet: "endOfMibView",
}


class _Ear(MsgAndPduDispatcher):  # type: ignore[misc]
    """What comes in, only from addresses that were asked.

    The engine's sockets are open to all senders, and some bytes that are not SNMP make pysnmp's
    parser raise out of the event loop's callback: they are dropped, as those are that it rejects.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[tuple[str, int]] = set()

    def receive_message(self, engine: Any, domain: Any, address: Any, data: bytes) -> Any:
        """Hand on a datagram."""
        if (address[0], address[1]) not in self.asked:
            return b""
        try:
            return super().receive_message(engine, domain, address, data)
        except Exception:  # noqa: BLE001 - strange bytes make its parser raise anything
            return b""


class Engine:
    """An engine; making one takes a quarter of a second, so not on the event loop."""

    def __init__(self) -> None:
        self._ear = _Ear()
        self._engine = SnmpEngine(msgAndPduDsp=self._ear)
        self._engine.get_mib_builder().load_modules(*MIBS)
        self.users: dict[str, User] = {}
        """By name: pysnmp's table holds one set of passphrases for a user."""

    def knows(self, target: Any) -> bool:
        """Return whether the device has told its SNMPv3 engine id lately."""
        model = self._engine.message_processing_subsystems[V3]
        told = model.get_peer_engine_info(target.TRANSPORT_DOMAIN, target.transport_address)
        return told[0] is not None

    async def get(self, target: Any, access: Access, oids: Sequence[str]) -> Reply:
        """Ask for OIDs. Raises `Silent`, `Refused`."""
        if self._engine.transport_dispatcher is None:  # not before: it wants a running event loop
            self._engine.register_transport_dispatcher(AsyncioDispatcher(timeout=TICK_SECONDS))
        self._ear.asked.add(target.transport_address[:2])
        asked = [ObjectType(ObjectIdentity(oid)) for oid in oids]
        try:
            trouble, status, index, found = await get_cmd(
                self._engine, _shown(access), target, ContextData(), *asked, lookupMib=False
            )
        except PySnmpError as error:
            raise Refused(_name_of(error)) from None
        if trouble:
            name = type(trouble).__name__
            raise Silent if name == "RequestTimedOut" else Refused(name, str(trouble))
        return Reply(int(status), int(index), {str(oid): _cell(value) for oid, value in found})

    def close(self) -> None:
        """Close the sockets."""
        self._engine.close_dispatcher()


def _shown(access: Access) -> Any:
    """Return who reads as pysnmp has it."""
    if isinstance(access, Community):
        return CommunityData(access.secret.encode())
    with_privacy = access.privacy != "none"
    return UsmUserData(
        access.name,
        authKey=access.auth_passphrase.encode() if access.auth != "none" else None,
        authProtocol=AUTH.get(access.auth),
        privKey=access.privacy_passphrase.encode() if with_privacy else None,
        privProtocol=PRIVACY.get(access.privacy),
    )


def _name_of(error: Any) -> str:
    """Return what was wrong already before anything was sent."""
    try:
        return type(error["errorIndication"]).__name__
    except (TypeError, KeyError, AttributeError):
        return type(error).__name__


async def target_of(host: str, port: int, lane: int, seconds: float, retries: int) -> Any:
    """Return a device's address, resolved; IPv4 first. Raises `Transient`.

    `lane` picks one of the engine's sockets, with an engine id of the device for each: "transport
    domains" as pysnmp has them, with a number of one's own at the end.
    """
    kinds = [Udp6TransportTarget] if _is_v6(host) else [UdpTransportTarget, Udp6TransportTarget]
    why: BaseException | None = None
    for kind in kinds:
        try:
            target = await kind.create((host, port), timeout=seconds, retries=retries)
        except (OSError, UnicodeError, PySnmpError) as error:
            why = why or (error.__context__ if isinstance(error, PySnmpError) else error)
            continue
        target.TRANSPORT_DOMAIN = (*kind.TRANSPORT_DOMAIN, lane)
        return target
    raise unreachable(host, why)


def _is_v6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _cell(value: Any) -> Cell:
    tags = value.tagSet
    if tags in KINDS:
        return Cell(KINDS[tags], int(value))
    if tags == v2c.OctetString.tagSet:
        return Cell("text", text=bytes(value).decode("utf-8", "replace"))
    if tags in MISSING:
        return Cell("missing", text=MISSING[tags])
    return Cell("other", text=type(value).__name__)
