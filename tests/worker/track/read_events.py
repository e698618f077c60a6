#!/usr/bin/env python3
"""Reads a file of TensorBoard's by the rules of its format, and prints what it says as JSON lines."""

import json
import struct
import sys

TABLE = []
for byte in range(256):
    crc = byte
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    TABLE.append(crc)


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    while data:
        length, length_crc = struct.unpack_from("<QI", data)
        assert masked_crc(data[:8]) == length_crc, "the checksum of a length"
        body = data[12:12 + length]
        assert len(body) == length, "a record that is cut off"
        assert struct.unpack_from("<I", data, 12 + length)[0] == masked_crc(body), "a checksum"
        yield body
        data = data[16 + length:]


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif wire == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            assert wire == 2, "a wire type"
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
        yield number, value


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    for record in records(data):
        event = {"values": {}}
        for number, value in fields(record):
            if number == 1:
                event["time"] = value
            elif number == 2:
                event["step"] = value
            elif number == 3:
                event["version"] = value.decode()
            elif number == 5:
                for _, one in fields(value):
                    parts = dict(fields(one))
                    event["values"][parts[1].decode()] = parts[2]
        print(json.dumps(event))


main()
