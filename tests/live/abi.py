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

from tests.live.private_host import PrivateHost

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
