"""The unified social credit code of an enterprise (统一社会信用代码), GB 32100-2015, and its check characters."""

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ORGANISATION_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def check_character(first: str) -> str:
    """The 18th character for the first 17: weights are powers of 3 modulo 31.

    Raises ValueError for another length or for a character that the code doesn't use (I, O, S, V, Z, lower case).

    >>> check_character("91350100M000100Y4")
    '3'
    """
    if len(first) != 17 or not set(first) <= set(_ALPHABET):
        raise ValueError("must be 17 digits or capital letters without I, O, S, V and Z")
    weighted = sum(_ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(first))
    return _ALPHABET[-weighted % 31]


def organisation_check(first: str) -> str:
    """The ninth character of an organisation code for its first eight, GB 11714-1997.

    >>> organisation_check("M000100Y")
    '4'
    """
    weighted = zip(first, _ORGANISATION_WEIGHTS, strict=True)
    remainder = 11 - sum(_ORGANISATION_ALPHABET.index(character) * weight for character, weight in weighted) % 11
    return {10: "X", 11: "0"}.get(remainder, str(remainder))
