"""How long a failed job waits."""

from __future__ import annotations

from random import Random

from ironforge.job import BackoffPolicy

_LARGEST_EXPONENT = 40  # beyond it 2^n outgrows any sensible cap


def delay_s(failure: int, policy: BackoffPolicy, rng: Random) -> float:
    """Seconds before the next attempt: min(cap, base * 2^(failure - 1)), plus at most `jitter` of that.

    Jitter is added, never taken away, so that nobody is surprised by a retry that comes early.

    Args:
        failure: failed attempts so far, this one included, from 1.
        policy: base, cap and jitter.
        rng: seeded by the caller where a test wants to repeat it.

    Raises:
        ValueError: failure < 1.
    """
    if failure < 1:
        raise ValueError(f"failures count from 1, got {failure}")
    wait_s = min(policy.cap_s, policy.base_s * 2 ** min(failure - 1, _LARGEST_EXPONENT))
    return wait_s * (1 + policy.jitter * rng.random())
