"""DER, as little as the simulators need: they must also write what a library would refuse to write."""
import datetime

def tlv(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    if n < 128:
        return bytes([tag, n]) + body
    size = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(size)]) + size + body

def seq(*parts): return tlv(0x30, *parts)
def set_of(*parts): return tlv(0x31, *sorted(parts))
def octets(b): return tlv(0x04, b)
def bits(b): return tlv(0x03, b"\0", b)
def null(): return b"\x05\0"
def enum(n): return tlv(0x0a, bytes([n]))
def ctx(n, *parts): return tlv(0xa0 | n, *parts)
def integer(n): return tlv(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True))

def oid(dotted):
    a, b, *rest = (int(x) for x in dotted.split("."))
    out = bytearray()
    for n in [a * 40 + b] + rest:
        part = [n & 127]
        while n := n >> 7:
            part.append(n & 127 | 128)
        out += bytes(reversed(part))
    return tlv(0x06, bytes(out))

def gtime(t): return tlv(0x18, t.strftime("%Y%m%d%H%M%SZ").encode())
def utctime(t): return tlv(0x17, t.strftime("%y%m%d%H%M%SZ").encode())
def now(): return datetime.datetime.utcnow().replace(microsecond=0)

SHA1, SHA256 = "1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1"
def algorithm(dotted, params=True): return seq(oid(dotted), null() if params else b"")

def digest_info(hash256):
    return seq(algorithm(SHA256), octets(hash256))

class Bad(ValueError):
    """Not the DER that was expected."""

def read(data, at=0):
    """-> tag, content, whole element, position after it"""
    try:
        tag, n, start = data[at], data[at + 1], at + 2
        if n & 128:
            size = n & 127
            if not 1 <= size <= 4:
                raise Bad("length")
            n, start = int.from_bytes(data[start:start + size], "big"), start + size
        if start + n > len(data):
            raise Bad("truncated")
    except IndexError:
        raise Bad("truncated") from None
    return tag, data[start:start + n], data[at:start + n], start + n

def children(data):
    at, out = 0, []
    while at < len(data):
        tag, content, whole, at = read(data, at)
        out.append((tag, content, whole))
    return out
