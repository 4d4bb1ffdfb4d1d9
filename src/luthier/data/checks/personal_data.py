"""Signs of personal data in texts: counted and located, never shown."""

import re

import numpy as np

from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Kind

NAME = "personal-data"
EMAIL = r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}"
PHONE = r"[+(]?\d[\d ()./-]{7,}\d"
CARD = r"(?:\d[ -]?){12,18}\d"


def check_personal_data(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Texts with what looks like an e-mail address, a phone number or a card number (Luhn's checksum holds).

    Looked at are the texts that a model reads: those that play a role, and columns of texts among others of a table.
    """
    schema = dataset.schema
    columns = [schema.roles[role] for role in ("text", "text_pair") if role in schema.roles]
    columns += [name for name in schema.features if schema.kind_of(name) is Kind.TEXT]
    return [finding for name in dict.fromkeys(columns) if (finding := _found_in(dataset, name))]


def _found_in(dataset: Dataset, name: str) -> Finding | None:
    """What one column of texts holds; None where it holds nothing of the kind."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = dataset.table.column(name).cast(pa.large_string())
    matches = {
        noun: np.flatnonzero(pc.match_substring_regex(texts, pattern).fill_null(False).to_numpy())
        for noun, pattern in (("e-mail address", EMAIL), ("phone number", PHONE), ("card number", CARD))
    }
    for noun, is_one in (("phone number", has_phone_number), ("card number", has_card_number)):
        valid = [is_one(text) for text in texts.take(matches[noun]).to_pylist()]
        matches[noun] = matches[noun][np.array(valid, dtype=bool)]
    counts = {noun: len(rows) for noun, rows in matches.items() if len(rows)}
    if not counts:
        return None
    rows = np.unique(np.concatenate(list(matches.values())))
    parts = [f"{count_of(count, 'text')} with what looks like {_article(noun)} {noun}" for noun, count in counts.items()]
    return Finding(
        check=NAME,
        severity="info",
        problem=f"Column '{name}' may hold personal data: {', '.join(parts)}.",
        remedy="take out what the task does not need before the model or its report is passed on",
        count=len(rows),
        rows=rows,
        evidence=counts,
    )


def has_phone_number(text: str) -> bool:
    """Whether a text holds a number written as phone numbers are: `+` and 9 to 15 digits, a leading 0, or 3-3-4 digits.

    Example:
        >>> has_phone_number("call +49 170 1234567"), has_phone_number("on 2024-03-31 12:30")
        (True, False)
    """
    return any(_is_phone(match.strip()) for match in re.findall(PHONE, text))


def _is_phone(number: str) -> bool:
    digits = re.sub(r"\D", "", number)
    if number.startswith("+"):
        return 9 <= len(digits) <= 15
    if number.startswith(("0", "(0")):
        return 9 <= len(digits) <= 13
    return re.fullmatch(r"\(?\d{3}\)?[ .-]{0,2}\d{3}[ .-]\d{4}", number) is not None


def has_card_number(text: str) -> bool:
    """Whether a text holds 13 to 19 digits that pass Luhn's checksum.

    Example:
        >>> has_card_number("paid with 4111 1111 1111 1111 today"), has_card_number("order 4111 1111 1111 1112")
        (True, False)
    """
    return any(_passes_luhn(re.sub(r"\D", "", match)) for match in re.findall(CARD, text))


def _passes_luhn(digits: str) -> bool:
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


CHECK = Check(name=NAME, about="E-mail addresses, phone and card numbers in texts", find=check_personal_data)
