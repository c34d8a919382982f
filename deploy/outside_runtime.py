"""Print what of this environment the platform in service does not need, one distribution a line, for pip uninstall.

The lock has the development tools too: an image is installed from it with its hashes, then loses them.
"""

import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution, distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SERVED = Requirement("shouwang[notify,postgres,reports]")


def needed(wanted: Iterable[Requirement]) -> set[str]:
    """The names of these and of all that they need here, with the extras that are asked for."""
    found: set[tuple[str, str]] = set()
    waiting = list(wanted)
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        for extra in ("", *asked.extras):
            if (name, extra) not in found:
                found.add((name, extra))
                waiting += needs(distribution(name), extra)
    return {name for name, _ in found}


def needs(package: Distribution, extra: str) -> list[Requirement]:
    """What a distribution needs on this machine for an extra; "": without any."""
    asked = [Requirement(line) for line in package.requires or []]
    return [each for each in asked if each.marker is None or each.marker.evaluate({"extra": extra})]


def outside() -> list[str]:
    """What is installed and not needed, in order."""
    installed = {canonicalize_name(each.metadata["Name"]) for each in distributions()}
    return sorted(installed - needed([SERVED]))


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}\n" for name in outside()))
