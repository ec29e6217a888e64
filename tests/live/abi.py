"""Asks libvirt's ABI check without a guest: ``save-image-define`` on an image that never was one.

libvirt lets the XML in a save image be replaced by any that virDomainDefCheckABIStability
allows. A migration asks the same function about the XML for its destination, so the way home is
checked by it. What a migrate hook makes of the XML, on the way out, libvirt takes as it is: there
this is the only check. An image needs a header (qemu_saveimage.h, libvirt 9.0; later versions
read it, too), the XML, and no memory.
"""

import json
import struct
from typing import Any, NamedTuple

from lxml import etree

from tests.live import guest
from tests.live.private_host import PrivateHost
from uuidfs.localmigration import devices
from uuidfs.localmigration.devices.facts import Link
from uuidfs.localmigration.domain_xml import parse

_HEADER = struct.Struct("<16s5I56x")
_VERSION = 2  # 3 is written for sparse images only (libvirt 11.2)
_ROOM = 65536  # the new XML is written into the place of the old one, and may be longer

IMAGE = "/run/abi.save"


def image(xml: str) -> bytes:
    """A save image of a domain that was running, not compressed, with no cookie and no memory."""
    text = xml.encode() + b"\0"
    text = text.ljust(len(text) + _ROOM, b"\0")
    return _HEADER.pack(b"LibvirtQemudSave", _VERSION, len(text), 1, 0, 0) + text


class Question(NamedTuple):
    """May a domain that is ``before`` be called ``after``?"""

    before: str
    after: str


# Reads a list of pairs: the hex digits of an image, and XML. Writes what libvirt says of each:
# null, or why it refuses. One process for all, since starting virsh takes longer than asking.
_ASK = r"""
import json, sys, libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
host = libvirt.open("qemu:///system")
path, answers = sys.argv[1], []
for image, xml in json.load(sys.stdin):
    with open(path, "wb") as file:
        file.write(bytes.fromhex(image))
    try:
        answers.append(host.saveImageDefineXML(path, xml) and "failed")
    except libvirt.libvirtError as error:
        answers.append(str(error))
print(json.dumps([answer or None for answer in answers]))
"""

# Reads a list of XML; writes each as libvirt has it once it is defined, with every address given,
# as it would send it to a daemon of the same version; or [reason]. Nothing stays defined.
_DEFINE = r"""
import json, sys, libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
host = libvirt.open("qemu:///system")
defined = []
for xml in json.load(sys.stdin):
    try:
        domain = host.defineXML(xml)
    except libvirt.libvirtError as error:
        defined.append([str(error)])
        continue
    defined.append(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE
        | libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE))
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)
print(json.dumps(defined))
"""


def ask(host: PrivateHost, questions: list[Question]) -> list[str | None]:
    """libvirt's answer to each: None where it allows the change, or its reason."""
    words = [(image(before).hex(), after) for before, after in questions]
    answers: list[str | None] = _run(host, _ASK, words, IMAGE)
    return answers


class NotDefined(NamedTuple):
    """This libvirt does not take the XML."""

    reason: str


def as_defined(host: PrivateHost, xmls: list[str]) -> list[str | NotDefined]:
    """Each XML as libvirt completes it: addresses, controllers, defaults."""
    answers: list[str | list[str]] = _run(host, _DEFINE, xmls)
    return [one if isinstance(one, str) else NotDefined(*one) for one in answers]


def _run(host: PrivateHost, code: str, data: object, *words: str) -> Any:
    said = host.run("/usr/bin/python3", "-c", code, *words, text=json.dumps(data)).ok().out
    return json.loads(said)


def as_running(defined: str) -> etree._Element:
    """The XML of a guest that runs, which names a network's bridge, aliases, taps and ptys."""
    domain = parse(defined)
    for number, device in enumerate(domain.iterfind("devices/*")):
        if device.tag not in {"emulator", "graphics"}:
            etree.SubElement(device, "alias", name=f"{device.tag}{number}")
    for number, net in enumerate(domain.iterfind("devices/interface")):
        source = net.find("source")
        if source is not None and net.get("type") == "network":
            source.set("bridge", "virbr0")
            source.set("portid", guest.uuid(number))
        if net.find("target") is None:
            etree.SubElement(net, "target", dev=f"vnet{number}")
    for cid in domain.iterfind("devices/vsock/cid"):
        cid.set("address", cid.get("address", "77"))
    for seat in domain.xpath("//serial[@type='pty'] | //console[@type='pty']"):  # type: ignore[union-attr] # elements
        seat.set("tty", "/dev/pts/7")  # type: ignore[union-attr] # an element
    return domain


# Taps of others are on a bridge, and no filter needs an address that is not given.
FACTS = devices.HostFacts({"tap7": Link("br0")}, {"clean-traffic": True})


def on_the_way(defined: str) -> tuple[Question, Question]:
    """What libvirt is asked for: first by the hop out, then by the hop home."""
    live = as_running(defined)
    migratable = etree.tostring(live, encoding="unicode")
    return (
        Question(migratable, devices.in_peer(migratable, live, None, FACTS)),
        Question(migratable, devices.at_home(migratable, None)),
    )
