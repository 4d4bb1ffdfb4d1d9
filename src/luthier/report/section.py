"""What a section of the report is: a title, a template, and the facts that the template lays out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section.

    Attributes:
        title: Its heading, and its entry in the contents.
        template: File name in `templates/`.
        facts: What the template needs beside the run itself.
    """

    title: str
    template: str
    facts: Mapping[str, Any] = field(default_factory=dict)
