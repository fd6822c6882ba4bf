"""The binary framing of AWS event streams (``application/vnd.amazon.eventstream``).

A message is: total length, header length, CRC-32 of these two; headers; payload; CRC-32 of all before. Numbers are
big-endian. A header is: length of the name in one byte, name, 7 for "text", length of the value in two bytes, value.
"""

import struct
from zlib import crc32

_AROUND_PAYLOAD = 16


def encode(headers: dict[str, str], payload: bytes) -> bytes:
    head = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack(">II", _AROUND_PAYLOAD + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return message + struct.pack(">I", crc32(message))


def event(kind: str, payload: bytes) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode(headers, payload)


def exception(kind: str, payload: bytes) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode(headers, payload)


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(">B", len(name)) + name + b"\x07" + struct.pack(">H", len(value)) + value
