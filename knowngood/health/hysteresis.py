"""Hysteresis: only breaches in a row count (GUIDE rule 4)."""

from knowngood.health.judgement import Verdict


def breaches_after(breaches: int, verdict: Verdict) -> int:
    """Return the consecutive breaches after one more verdict.

    A breach counts one more and ok clears; inconclusive and an error of the source do neither.
    """
    match verdict:
        case Verdict.BREACH:
            return breaches + 1
        case Verdict.OK:
            return 0
        case Verdict.INCONCLUSIVE | Verdict.SOURCE_ERROR:
            return breaches
