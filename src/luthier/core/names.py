"""Names a user typed, matched against names that exist."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, if one is alike enough to be a slip of the fingers.

    Example:
        >>> nearest_name("loar", ["full", "lora", "probe"])
        'lora'
        >>> nearest_name("xyz", ["full", "lora", "probe"]) is None
        True
    """
    matches = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def describe_unknown(noun: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist.

    Example:
        >>> describe_unknown("method", "loar", ["probe", "lora", "full"])
        "Unknown method 'loar'. Did you mean 'lora'? Known: full, lora, probe."
    """
    names = sorted(known)
    guess = nearest_name(name, names)
    hint = f" Did you mean '{guess}'?" if guess else ""
    return f"Unknown {noun} '{name}'.{hint} Known: {', '.join(names)}."


def count_of(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, in the right number.

    Example:
        >>> count_of(1, "row"), count_of(1200, "row"), count_of(2, "class", "classes")
        ('1 row', '1,200 rows', '2 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def all_of(names: Sequence[str]) -> str:
    """Names as a sentence lists them.

    Example:
        >>> all_of(["train"]), all_of(["train", "validation", "test"])
        ('train', 'train, validation and test')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
