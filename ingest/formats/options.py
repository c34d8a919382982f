"""A gateway's registered options (its attributes), read with every fault told at once."""

from collections.abc import Sequence


class OptionsRefused(ValueError):
    """Options that a format can't use; `problems` has one line "key: problem" for each fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)
