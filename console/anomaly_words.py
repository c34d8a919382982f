"""What a warning of the models of normal says, in a plain sentence."""

from collections.abc import Mapping
from typing import Any

from console.language import grouped, named, number, text


def sentence(language: str, evidence: Mapping[str, Any], unit: str = "", decimals: int = 2) -> str:
    """What is odd, by how much, how rare that is, and what may explain it; "" for evidence of another kind.

    >>> sentence("en", {"part": "point", "value": 9.0, "score": 6.0}, "ppm")
    'A sudden leap: it read 9 ppm; normally about one reading of this series in 1,000,000 is so odd.'
    """
    part = evidence.get("part")
    if not part or evidence.get("score") is None:
        return ""
    words = {"value": _measured(evidence.get("value"), decimals, unit)}
    key = "valued"
    if evidence.get("low") is not None:
        key = "band"
        words |= {"low": number(evidence["low"], decimals), "high": _measured(evidence["high"], decimals, unit)}
    odds = text(language, "anomalies.odds", odds=grouped(_rounded(10 ** min(float(evidence["score"]), 12.0))))
    band = text(language, f"anomalies.{key}", **words)
    said = text(language, "anomalies.sentence", what=named(language, "anomaly_part", part), band=band, odds=odds)
    if evidence.get("alike"):
        said += text(language, "anomalies.common", alike=evidence["alike"])
    return said


def _measured(value: float | None, decimals: int, unit: str) -> str:
    return f"{number(value, decimals)} {unit}".rstrip()


def _rounded(count: float) -> int:
    """To one digit: the odds are no more exact than that."""
    return int(float(f"{count:.0e}"))
