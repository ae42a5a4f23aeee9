"""Files whose tables claim contents that they do not have, byte by byte."""

from __future__ import annotations

import struct


def box(kind: bytes, *content: bytes) -> bytes:
    """Return one box of an MP4."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def lying_mp4(
    samples: int, tracks: int = 1, *, sound: bool = False, ticks: int = 512, where: str = "stsz", media: int = 4096
) -> bytes:
    """Return an MP4 whose tables claim ``samples`` samples in each track, and whose ``mdat`` has ``media`` bytes.

    ``where`` is the table with false entries: sizes ("stsz"), times ("stts"), offsets of times ("ctts"), or a fragment
    ("trun").
    """
    traks = b"".join(_trak(number + 1, samples, sound, ticks, where) for number in range(tracks))
    head = box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41")
    movie = struct.pack(">IIIII", 0, 0, 0, 1000, 1000) + struct.pack(">IH10x", 0x10000, 0x100) + _MATRIX + bytes(24)
    extends = box(b"mvex", *(box(b"trex", struct.pack(">6I", 0, n + 1, 1, ticks, 1, 0)) for n in range(tracks)))
    moov = box(b"moov", box(b"mvhd", movie + struct.pack(">I", tracks + 1)), traks, extends if where == "trun" else b"")
    fragments = b""
    if where == "trun":
        fragments = b"".join(
            box(
                b"moof",
                box(b"mfhd", struct.pack(">II", 0, n + 1)),
                box(
                    b"traf",
                    box(b"tfhd", struct.pack(">II", 0x20000, n + 1)),
                    box(b"tfdt", struct.pack(">II", 0, 0)),
                    box(b"trun", struct.pack(">II", 0, samples)),
                ),
            )
            for n in range(tracks)
        )
    return head + moov + fragments + box(b"mdat", bytes(media))


_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _trak(number: int, samples: int, sound: bool, ticks: int, where: str) -> bytes:
    claimed = {name: samples if name == where else 1 for name in ("stsz", "stts", "ctts")}
    if where == "stsz":
        claimed["stts"] = samples
    if where == "trun":
        claimed = dict.fromkeys(claimed, 0)
    tkhd = struct.pack(">IIIII", 3, 0, 0, number, 0) + struct.pack(">I8xHHHH", 1000, 0, 0, 0, 0) + _MATRIX
    tkhd += struct.pack(">II", 96 << 16, 64 << 16)
    mdhd = struct.pack(">IIIIIHH", 0, 0, 0, 15360, samples % 2**31, 0x55C4, 0)
    hdlr = struct.pack(">II4s12x", 0, 0, b"soun" if sound else b"vide") + b"\0"
    if sound:
        entry = box(b"sowt", struct.pack(">6xH8xHHIHH", 1, 1, 16, 0, 0, 0)[:-4] + struct.pack(">I", 48000 << 16))
    else:
        picture = struct.pack(">6xH16xHHIII H32xHh".replace(" ", ""), 1, 96, 64, 0x480000, 0x480000, 0, 1, 24, -1)
        entry = box(b"mp4v", picture)
    table = box(
        b"stbl",
        box(b"stsd", struct.pack(">II", 0, 1), entry),
        box(b"stts", struct.pack(">IIII", 0, 1, claimed["stts"], ticks)),
        box(b"ctts", struct.pack(">IIII", 0, 1, claimed["ctts"], 0)) if where == "ctts" else b"",
        box(b"stsc", struct.pack(">IIIII", 0, 1, 1, max(claimed["stsz"], 1), 1)),
        box(b"stsz", struct.pack(">III", 0, 1, claimed["stsz"])),
        box(b"stco", struct.pack(">III", 0, 1, 40)),
    )
    dinf = box(b"dinf", box(b"dref", struct.pack(">II", 0, 1), box(b"url ", struct.pack(">I", 1))))
    head = box(b"smhd", bytes(8)) if sound else box(b"vmhd", bytes(12))
    media = box(b"mdia", box(b"mdhd", mdhd), box(b"hdlr", hdlr), box(b"minf", head, dinf, table))
    return box(b"trak", box(b"tkhd", tkhd), media)
