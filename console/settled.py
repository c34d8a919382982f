"""What stands against a notice, in a person's words: our reason, then what the provider said."""

from alerts.channels.explanations import explained
from console.language import text, texts


def settled(language: str, error: str) -> str:
    """Reason, provider's code and detail as they are kept, for people; one without a known reason as it is.

    >>> settled("zh", "refused_for_good 93000 the robot was stopped: bot disabled")
    '通道拒收：93000 机器人已停用：bot disabled'
    """
    reason, _, rest = error.partition(" ")
    key = f"settled.{reason}"
    if key not in texts(language):
        return answered(language, error)
    said = texts(language).get(f"settled.{rest}", answered(language, rest))
    return text(language, "notice.settled", reason=text(language, key), said=said) if rest else text(language, key)


def answered(language: str, said: str) -> str:
    """A provider's code and what its adapter made of it, the latter in the language."""
    whole = explained(said, language)
    if whole != said:
        return whole
    code, _, detail = said.partition(" ")
    return f"{code} {explained(detail, language)}".rstrip()
