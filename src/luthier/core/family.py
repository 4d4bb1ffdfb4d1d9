"""A family of parts that can be named: tasks, methods, checks, schedules, report sections.

A family is a list `name -> "module:object"`; the module is imported when the member is first used, so that listing a
family costs nothing. Adding a member is one file and one line in that list.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar

from luthier.core.names import describe_unknown
from luthier.errors import SpecError

Member = TypeVar("Member")


class Family(Generic[Member]):
    """Members by name, imported on use.

    Args:
        noun: What a member is called in messages: `task`, `method`.
        members: `name -> "module:object"`.

    Example:
        >>> shapes: Family[object] = Family("shape", {"ordered-dict": "collections:OrderedDict"})
        >>> shapes["ordered-dict"].__name__
        'OrderedDict'
        >>> shapes["ordered-dcit"]
        Traceback (most recent call last):
        ...
        luthier.errors.SpecError: Unknown shape 'ordered-dcit'. Did you mean 'ordered-dict'? Known: ordered-dict.
          Try: ordered-dict
    """

    def __init__(self, noun: str, members: Mapping[str, str]) -> None:
        self.noun = noun
        self._members = dict(members)

    def __getitem__(self, name: str) -> Member:
        if name not in self._members:
            raise SpecError(describe_unknown(self.noun, name, self._members), remedy=" | ".join(sorted(self._members)))
        module, _, attribute = self._members[name].partition(":")
        member: Member = getattr(import_module(module), attribute)
        return member

    def target(self, name: str) -> str:
        """Where a member lives, as `"module:object"`."""
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __len__(self) -> int:
        return len(self._members)

    def add(self, name: str, target: str) -> None:
        """Add a member that lives elsewhere (a plug-in's): `target` is `"module:object"`.

        Raises:
            SpecError: the name is taken by another target.
        """
        if self._members.setdefault(name, target) != target:
            raise SpecError(
                f"The {self.noun} '{name}' is already {self._members[name]}.", remedy="choose another name for the new member"
            )
