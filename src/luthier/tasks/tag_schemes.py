"""Ways to write entities as tags of words: recognised in what train holds, and read as one of them, IOB2.

IOB2 (BIO): `B-` begins an entity, `I-` goes on with it. IOB1: `B-` only where an entity follows one of the same type at once.
BIOES and BILOU also mark the last word (`E`, `L`) and entities of one word (`S`, `U`).

Source: Ramshaw & Marcus, Text chunking using transformation-based learning, 1995 (IOB1); Tjong Kim Sang & Veenstra,
Representing text chunks, 1999 (IOB2, IOE); Ratinov & Roth, Design challenges and misconceptions in NER, 2009 (BILOU).
"""

from collections.abc import Iterable, Sequence

from luthier.core.decision import Decision
from luthier.data.words import OUTSIDE, is_entity_tag

PLAIN = "plain"
SPANS = "spans"
_AS_BIOES = {"L": "E", "U": "S", "M": "I"}


def recognise_scheme(sentences: Iterable[Sequence[str]]) -> Decision[str]:
    """How entities are written: `iob2`, `iob1`, `bioes`, `bilou`; `plain` if most tags are no entity tags at all.

    Example:
        >>> recognise_scheme([["I-LOC", "O", "I-PER", "B-PER"]]).value, recognise_scheme([["S-LOC", "O"]]).value
        ('iob1', 'bioes')
    """
    letters: set[str] = set()
    starts = {"I": 0, "B": 0, "B after its own": 0}
    plain = total = 0
    for tags in sentences:
        before = OUTSIDE
        for tag in tags:
            total += 1
            if not is_entity_tag(tag):
                plain += 1
                before = OUTSIDE
                continue
            letters.add(tag[0])
            goes_on = before != OUTSIDE and before[2:] == tag[2:]
            if tag[0] == "I" and not goes_on:
                starts["I"] += 1
            elif tag[0] == "B":
                starts["B after its own" if goes_on else "B"] += 1
            before = tag
    value, reason = _judged(letters, starts, is_plain=2 * plain > total)
    return Decision(name="tag_scheme", value=value, reason=reason, evidence={"letters": sorted(letters), **starts})


def _judged(letters: set[str], starts: dict[str, int], *, is_plain: bool) -> tuple[str, str]:
    if is_plain:
        return PLAIN, "most tags are not of the form O or LETTER-TYPE: they say what each word is"
    if letters & {"L", "U"}:
        return "bilou", "tags with L- or U- mark the last and the only word of an entity; read as IOB2"
    if letters & {"E", "S"}:
        return "bioes", "tags with E- or S- mark the last and the only word of an entity; read as IOB2"
    if starts["I"] and not starts["B"]:
        return "iob1", "entities begin with I-, and with B- only where one follows another of its type; read as IOB2"
    broken = f"; {starts['I']:,} begin with I- all the same and are read as if they began with B-" if starts["I"] else ""
    return "iob2", f"entities begin with B- and go on with I-{broken}"


def as_iob2(tags: Sequence[str], scheme: str) -> list[str]:
    """The same entities in IOB2; tags that are no entity tags stay as they are.

    Which words are an entity follows seqeval's reading (that of conlleval), also where the tags are not well formed: an `I-`
    after `O` or after another type begins one.

    Example:
        >>> as_iob2(["U-LOC", "O", "B-PER", "L-PER"], "bilou"), as_iob2(["I-LOC", "B-LOC"], "iob1")
        (['B-LOC', 'O', 'B-PER', 'I-PER'], ['B-LOC', 'B-LOC'])
    """
    if scheme == PLAIN:
        return list(tags)
    letter_before, type_before, found = OUTSIDE, "", []
    for tag in tags:
        letter, kind = _AS_BIOES.get(tag[:1], tag[:1]), tag[2:]
        if letter not in "BIES" or not is_entity_tag(tag):
            found.append(tag)
            letter_before, type_before = OUTSIDE, ""
            continue
        begins = letter in "BS" or letter_before in f"ES{OUTSIDE}" or kind != type_before
        found.append(f"{'B' if begins else 'I'}{tag[1:2]}{kind}")
        letter_before, type_before = letter, kind
    return found
