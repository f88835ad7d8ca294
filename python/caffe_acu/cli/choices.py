"""Help texts for options that take one of several words."""

from collections.abc import Mapping


def explained(meanings: Mapping[str, str], default: str) -> str:
    """What each word means, and which is the default."""
    return "; ".join(f"{name}: {meaning}" for name, meaning in meanings.items()) + f" (default: {default})"
