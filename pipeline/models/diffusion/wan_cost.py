"""Cost of a window of Wan's models: attention grows with the square of its tokens, everything else linearly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.settings import AnimateSettings, VaceSettings

FRAMES_A_LATENT = 4
"""Temporal factor of Wan's autoencoder; the first frame has its own latent."""
_TOKEN_PX = 16
"""Side of the square patch that is one token."""


@dataclass(frozen=True, slots=True)
class Polynomial:
    """TFLOP of ``x`` tokens, or frames."""

    constant: float
    linear: float
    quadratic: float = 0.0

    def at(self, x: float) -> float:
        """Return its value."""
        return self.constant + self.linear * x + self.quadratic * x * x


def padded_frames(frames: int, at_least: int = 1) -> int:
    """Return how many frames, 4k + 1, the model generates for a window of this length."""
    return -(-(max(frames, at_least) - 1) // FRAMES_A_LATENT) * FRAMES_A_LATENT + 1


def num_tokens(frames: int, size_wh: tuple[int, int]) -> int:
    """Return the tokens of a padded window with its reference picture, which is one latent frame more."""
    latents = (frames - 1) // FRAMES_A_LATENT + 2
    return latents * (size_wh[0] // _TOKEN_PX) * (size_wh[1] // _TOKEN_PX)


def window_tflop(
    frames: int, settings: VaceSettings | AnimateSettings, costs: Mapping[str, Mapping[str, float]]
) -> float:
    """Return TFLOP of a window: every step, plus encoding and decoding."""
    made = padded_frames(frames, 5 if isinstance(settings, AnimateSettings) else 1)
    step = Polynomial(**costs[settings.backend]).at(num_tokens(made, settings.crop_size_wh))
    area = settings.crop_size_wh[0] * settings.crop_size_wh[1] / 1e6
    encode, decode = (Polynomial(**costs[name]) for name in ("encode", "decode"))
    # Encoded twice: kept picture and control; plus the reference.
    looked_at = 2 * encode.at(made) + encode.at(1)
    halves = 2 if settings.guidance > 1 else 1
    return settings.steps * halves * step + area * (looked_at + decode.at(made))
