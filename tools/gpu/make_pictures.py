#!/usr/bin/env python3
"""Makes pictures of 28 by 28 and their classes as IDX files: chance alone, to measure with.

    make_pictures.py FOLDER [TRAINED] [TESTED]
"""
import os
import struct
import sys


def write(folder, part, count):
    with open(f"{folder}/{part}-images-idx3-ubyte", "wb") as file:
        file.write(struct.pack(">4I", 0x803, count, 28, 28) + os.urandom(count * 28 * 28))
    with open(f"{folder}/{part}-labels-idx1-ubyte", "wb") as file:
        file.write(struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count)))


def main(folder, trained="65536", tested="256"):
    os.makedirs(folder, exist_ok=True)
    write(folder, "train", int(trained))
    write(folder, "t10k", int(tested))


if __name__ == "__main__":
    main(*sys.argv[1:])
