"""A disk after its power failed: of all that was written to it, what was written before its last flush.

    flushed.py LOG DISK     brings DISK, as it was at the start, to that state; prints how many writes were lost

LOG is QEMU's blklogwrites, the format of Linux's dm-log-writes: a superblock, then for each write a block that says where,
and its data. It marks flushes, and not single writes that were forced through: the disk must be one that its driver flushes
instead. A write that ended while a flush was under way stands before it and is kept, though a disk might lose it."""

import struct
import sys

MAGIC = 0x6A736677736872
FLUSH, DISCARD = 1, 4


def entries(log):
    """Where on the disk, where in the log, how long, and flags."""
    magic, version, at_last_flush, block = struct.unpack("<QQQI", log.read(28))
    if magic != MAGIC or version != 1:
        sys.exit("no log of writes")
    place, number = block, 0
    while True:
        log.seek(place)
        head = log.read(32)
        if len(head) < 32 or head == bytes(32):
            # As many were there when it was flushed. Where they cannot be read now, nothing can be said of the machine.
            if number < at_last_flush:
                sys.exit(f"the log of writes has a gap: {number} of {at_last_flush} are before it")
            return
        number += 1
        sector, count, flags, _ = struct.unpack("<QQQQ", head)
        place += block
        yield sector * block, place, count * block, flags
        if not flags & DISCARD:
            place += count * block


def main():
    with open(sys.argv[1], "rb") as log, open(sys.argv[2], "r+b") as disk:
        found = list(entries(log))
        flushes = [number for number, entry in enumerate(found) if entry[3] & FLUSH]
        last = flushes[-1] if flushes else -1
        lost = 0
        for number, (where, place, length, flags) in enumerate(found):
            if length == 0:
                continue
            if number > last:
                lost += 1
                continue
            # What was discarded may come back as zeros or as it was.
            if flags & DISCARD:
                continue
            log.seek(place)
            data = log.read(length)
            # The end of the log, where the machine ended in the middle of it.
            if len(data) == length:
                disk.seek(where)
                disk.write(data)
        print(lost)


main()
