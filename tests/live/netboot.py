"""Programs for the namespaces of test_migration_pings, run by ``python3 -c``."""

# Gives one guest an address and, by TFTP, a script that does nothing for ever: iPXE answers
# pings meanwhile. RFC 2131 and 1350, as much of them as iPXE needs. Ends with its input.
SERVER = r"""
import select, socket, sys
SERVER, GUEST = socket.inet_aton("10.9.0.1"), socket.inet_aton("10.9.0.9")
SCRIPT = b"#!ipxe\n:loop\nsleep 1\ngoto loop\n"
def plug(port):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"br0")
    made.bind(("", port))
    return made
dhcp, tftp = plug(67), plug(69)
print("up", flush=True)
while True:
    for one in select.select([dhcp, tftp, sys.stdin], [], [])[0]:
        if one is sys.stdin:
            sys.exit()
        data, sender = one.recvfrom(4096)
        if one is tftp and data[:2] == b"\0\1":
            with plug(0) as answer:
                answer.settimeout(1)
                for _ in range(5):
                    answer.sendto(b"\0\3\0\1" + SCRIPT, sender)
                    try:
                        answer.recv(4096)
                        break
                    except TimeoutError:
                        pass
        elif one is dhcp and data[236:240] == b"\x63\x82\x53\x63":
            asked = data[data.index(b"\x35\x01", 240) + 2]
            kind = {1: 2, 3: 5}.get(asked)  # discover: offer, request: acknowledge
            if kind:
                dhcp.sendto(
                    b"\2\1\6\0" + data[4:8] + data[8:12] + bytes(4) + GUEST + SERVER + bytes(4)
                    + data[28:44] + bytes(64) + b"loop".ljust(128, b"\0") + b"\x63\x82\x53\x63"
                    + bytes([53, 1, kind, 54, 4]) + SERVER + b"\x33\x04\0\0\xff\xff"
                    + b"\x01\x04\xff\xff\xff\0\xff", ("255.255.255.255", 68))
"""

# Pings every 20 ms until its standard input ends. Says "up" with the first answer, and at the
# end as JSON: how many pings were sent, which were not answered, the longest time in s without
# any answer, and the guest's hardware address.
PINGS = r"""
import json, select, socket, struct, sys, time
STEP = 0.02
plug = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
def ping(number):
    packet = struct.pack("!BBHHH", 8, 0, 0, 4242, number % 65536)
    total = sum(struct.unpack("!4H", packet))
    total = (total >> 16) + (total & 0xffff)
    packet = packet[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + packet[4:]
    try:
        plug.sendto(packet, ("10.9.0.9", 0))
    except OSError:
        pass  # no answer to ARP yet
sent, answered, last, longest, following = 0, set(), None, 0.0, time.monotonic()
ended = None
while ended is None or time.monotonic() < ended + 1:
    ready = select.select([plug, sys.stdin][:1 if ended else 2], [], [], STEP / 2)[0]
    now = time.monotonic()
    if plug in ready:
        packet = plug.recv(4096)
        kind, _, _, mark, number = struct.unpack("!BBHHH", packet[20:28])
        if kind == 0 and mark == 4242:
            answered.add(number)
            if last is None:
                print("up", flush=True)
                first = number
            else:
                longest = max(longest, now - last)
            last = now
    if sys.stdin in ready:
        ended = now
    if ended is None and now >= following:
        ping(sent)
        sent, following = sent + 1, now + STEP
with open("/proc/net/arp") as file:
    card = [line.split()[3] for line in file if line.startswith("10.9.0.9 ")]
lost = sorted(number - first for number in set(range(first, sent)) - answered)
print(json.dumps([sent - first, lost, longest, card]))
"""
