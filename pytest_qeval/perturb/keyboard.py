"""Neighbouring keys of a QWERTY keyboard, for typing errors."""

from __future__ import annotations

from collections.abc import Mapping

KEYS = "qwertyuiopasdfghjklzxcvbnm"
NEIGHBOURS: Mapping[str, str] = {
    "q": "wa", "w": "qeas", "e": "wrsd", "r": "etdf", "t": "ryfg", "y": "tugh", "u": "yihj", "i": "uojk", "o": "ipkl",
    "p": "ol", "a": "sqwz", "s": "adwezx", "d": "sferxc", "f": "dgrtcv", "g": "fhtyvb", "h": "gjyubn", "j": "hkuinm",
    "k": "jliom", "l": "kop", "z": "xas", "x": "zcsd", "c": "xvdf", "v": "cbfg", "b": "vngh", "n": "bmhj", "m": "njk",
}  # fmt: skip
"""The keys around each letter: of the same row, the row above and the row below."""
