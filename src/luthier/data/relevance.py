"""Which documents are relevant to a query, as a cell says it: a JSON object of the documents' ids and their grades."""

import json
from collections.abc import Mapping
from numbers import Real

from luthier.core.records import to_json


def read_relevance(cell: object) -> dict[str, float] | None:
    """Id -> grade of the relevant documents (those with a grade above 0); None for anything else.

    Example:
        >>> read_relevance('{"184": 3, "29": 0}'), read_relevance("[1]"), read_relevance('{"a": "b"}'), read_relevance("{}")
        ({'184': 3.0}, None, None, None)
    """
    text = "" if cell is None else str(cell).strip()
    if not text.startswith("{"):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not content or not all(isinstance(grade, Real) and not isinstance(grade, bool) for grade in content.values()):
        return None
    return {str(name): float(grade) for name, grade in content.items() if grade > 0}


def write_relevance(grades: Mapping[str, float]) -> str | None:
    """The cell of a query; None where nothing is relevant to it.

    Example:
        >>> write_relevance({"184": 3.0}), write_relevance({})
        ('{"184": 3}', None)
    """
    if not grades:
        return None
    return to_json({name: int(grade) if float(grade).is_integer() else grade for name, grade in grades.items()})
