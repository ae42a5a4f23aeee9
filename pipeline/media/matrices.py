"""The known color matrices. Imports nothing heavy: the decoder process needs it at start-up."""

from __future__ import annotations

LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""Kr and Kb by FFmpeg's matrix number (ITU-T H.273, table 4)."""
KNOWN_MATRICES = frozenset(LUMA_WEIGHTS) | {2}
