"""Which column plays which role: by flag, else by name and kind. Every guess is a decision that can be overridden."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from luthier.core.decision import Decision
from luthier.core.names import nearest_name
from luthier.data.kinds import infer_columns
from luthier.data.schema import Column, Kind, Schema
from luthier.data.settings import DataSettings
from luthier.data.talk import guess_conversation, guess_exchange
from luthier.data.text_pairs import guess_written_pair
from luthier.errors import DataError, LuthierError, SpecError, raise_together

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_flags", "infer_columns", "infer_schema"]

TARGET_NAMES = (
    "label", "labels", "target", "class", "category", "intent", "sentiment", "emotion", "topic", "gold", "answers", "answer",
    "outcome", "rating", "stars", "score", "tag", "type", "y", "intents", "topics", "tags", "categories",
)  # fmt: skip
# Of columns that hold lists: the tags of words, and the words.
TAG_NAMES = ("tags", "ner_tags", "pos_tags", "entities", "spans", "labels", "label", "slots", "target")
WORD_NAMES = ("tokens", "words")
TEXT_NAMES = (
    "text", "message", "sentence", "review", "content", "body", "comment", "tweet", "question", "utterance", "query",
    "document", "description", "title",
)  # fmt: skip
GROUP_NAMES = ("user", "customer", "author", "patient", "subject", "speaker", "session", "video", "account", "client", "group")
FLAGGED = ("target", "text", "text_pair", "negative", "answer_start", "image", "audio", "group", "time")
TRANSCRIPT_NAMES = ("transcript", "transcription", "sentence", "text", "utterance", "normalized_text", "words")
ANSWER_NAMES = ("answers", "answer")
FEATURE_KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.DATETIME, Kind.TEXT, Kind.IMAGE)
NO_FEATURES = ("target", "group", "time", "id", "audio")  # roles whose columns no model of tables reads
# Names of two columns whose texts are read together; others are paired by --text-pair only.
PAIRED_NAMES = (
    ("sentence_a", "sentence_b"), ("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("text_a", "text_b"),
    ("text1", "text2"), ("text", "text_pair"), ("premise", "hypothesis"), ("question1", "question2"), ("query", "passage"),
    ("query", "document"), ("claim", "evidence"), ("question", "context"),
    ("question", "passage"), ("question", "paragraph"),
)  # fmt: skip
ANCHOR_NAMES = ("anchor", "query", "question")  # beside a column named `positive`
_LONG_LABEL_WORDS = 4

Assign = Callable[[Sequence[Column]], Decision[str | None]]


def infer_schema(
    table: "pa.Table",
    settings: DataSettings,
    *,
    name: str = "the table",
    require_target: bool = True,
    given: Mapping[str, str] | None = None,
) -> tuple[Schema, list[Decision[Any]]]:
    """Kinds of the columns, and their roles.

    Args:
        table: As loaded.
        settings: Flags for roles, and columns to ignore.
        name: What messages call the table.
        require_target: Whether there must be a column with the answer (not when predicting, say).
        given: Role -> column, where the format of the source says it; flags overrule it.

    Raises:
        SpecError: flags that name no column, or contradict each other; all of them are reported.
        DataError: no column looks like the answer.
    """
    columns = infer_columns(table)
    check_flags(settings, [column.name for column in columns], name=name)
    free = [column for column in columns if column.name not in settings.ignore]
    decisions = [_by_flag(role, column) for role in FLAGGED if (column := getattr(settings, role))]
    decisions += _by_format(given or {}, decisions, free)
    decisions += guess_conversation(free, decisions)
    if not {"text", "text_pair", "target"} & {decision.name for decision in decisions}:
        left = _unassigned(free, decisions)
        decisions += guess_exchange(left) or guess_written_pair(left)
    decided = {decision.name for decision in decisions}
    rules: tuple[tuple[str, Assign], ...] = (
        ("answer_start", _guess_answer_start),
        ("image", partial(_guess_files, role="image", noun="pictures")),
        ("audio", partial(_guess_files, role="audio", noun="recordings")),
        ("target", _guess_target),
        ("text", _guess_text),
        ("id", _guess_id),
    )
    if not decided & {"text", "target"}:
        decisions += _guess_triplet(_unassigned(free, decisions))
        decided |= {decision.name for decision in decisions}
    if not decided & {"text", "text_pair"}:
        decisions += _guess_pair(_unassigned(free, decisions))
        decided |= {decision.name for decision in decisions}
    for role, guess in rules:
        if role not in decided:
            heard = any(decision.name == "audio" and decision.value for decision in decisions)
            columns_left = _unassigned(free, decisions)
            decisions.append(_guess_transcript(columns_left) if heard and role == "target" else guess(columns_left))
    roles = {decision.name: decision.value for decision in decisions if decision.value is not None}
    if "target" not in roles and require_target:
        raise _no_target(columns, settings, name=name)
    decisions += _candidates(_unassigned(free, decisions), decided)
    kept = [decision for decision in decisions if decision.value is not None or decision.name in ("target", "group", "time")]
    features = _features(free, roles, settings)
    return Schema(columns=columns, roles=roles, num_rows=table.num_rows, features=features), list(kept)


def _features(columns: Sequence[Column], roles: Mapping[str, str], settings: DataSettings) -> tuple[str, ...]:
    """The columns that a model of tables would read: those asked for, or all that hold something and play no other part."""
    if settings.features:
        return settings.features
    taken = {roles[role] for role in NO_FEATURES if role in roles}
    return tuple(column.name for column in columns if column.kind in FEATURE_KINDS and column.name not in taken)


def check_flags(settings: DataSettings, columns: Sequence[str], *, name: str) -> None:
    """Refuse flags that name no column, a column twice, or one that is to be ignored; all at once.

    Raises:
        SpecError: names the nearest column and lists them all.
    """
    flags = [(role, column) for role in FLAGGED if (column := getattr(settings, role))]
    lists = [(name, column) for name in ("ignore", "features") for column in getattr(settings, name)]
    errors: list[LuthierError] = [
        _unknown_column(role, column, columns=columns, name=name) for role, column in [*flags, *lists] if column not in columns
    ]
    errors += _contradicting_features(settings)
    by_column: dict[str, list[str]] = {}
    for role, column in flags:
        by_column.setdefault(column, []).append(role)
    for column, roles in by_column.items():
        if len(roles) > 1:
            both = " and ".join(flag_of(role) for role in roles)
            problem = f"{both} both name '{column}'; a column plays one role."
            errors.append(SpecError(problem, remedy=f"{flag_of(roles[0])} {column}"))
        if column in settings.ignore:
            flag = flag_of(roles[0])
            errors.append(SpecError(f"{flag} and --ignore both name '{column}'.", remedy=f"{flag} {column}"))
    raise_together(errors)


def _contradicting_features(settings: DataSettings) -> list[SpecError]:
    """Columns that a model is to read, and that are for nothing, or for something that it must not see."""
    flags = {"--ignore": settings.ignore}
    flags |= {flag_of(role): (column,) for role in NO_FEATURES if (column := getattr(settings, role, None))}
    return [
        SpecError(f"{flag} and --features both name '{column}'.", remedy=f"take '{column}' out of one of them")
        for flag, columns in flags.items()
        for column in columns
        if column in settings.features
    ]


def _unknown_column(role: str, column: str, *, columns: Sequence[str], name: str) -> SpecError:
    folded = {known.lower(): known for known in columns}
    guess = folded.get(column.lower()) or nearest_name(column, columns)
    hint = f" Did you mean '{guess}'?" if guess else ""
    return SpecError(
        f"{flag_of(role)} names '{column}', which is no column of {name}.{hint} Columns: {', '.join(columns)}.",
        remedy=f"{flag_of(role)} {guess or (columns[0] if columns else 'COLUMN')}",
    )


def _by_flag(role: str, column: str) -> Decision[str | None]:
    flag = flag_of(role)
    return Decision(name=role, value=column, reason=f"you said {flag} {column}", override=f"{flag} COLUMN")


def _by_format(
    given: Mapping[str, str], decided: Sequence[Decision[str | None]], free: Sequence[Column]
) -> list[Decision[str | None]]:
    """Roles that the format of the source gives, where no flag says something else."""
    taken = {decision.name for decision in decided} | {decision.value for decision in decided}
    usable = {column.name for column in free}
    return [
        Decision(
            name=role,
            value=column,
            reason="the format of the source says so",
            override=f"{flag_of(role)} COLUMN" if role in FLAGGED else "",
        )
        for role, column in given.items()
        if role not in taken and column in usable - taken
    ]


def flag_of(role: str) -> str:
    """The flag that names the column of a role.

    Example:
        >>> flag_of("text_pair")
        '--text-pair'
    """
    return f"--{role.replace('_', '-')}"


def _unassigned(columns: Sequence[Column], decisions: Sequence[Decision[str | None]]) -> list[Column]:
    taken = {decision.value for decision in decisions}
    return [column for column in columns if column.name not in taken]


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]


def _described(columns: Sequence[Column]) -> dict[str, str]:
    return {column.name: f"{column.kind}, {column.distinct:,} distinct values" for column in columns}


def _named(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    """The column with the most usual name; one that ends with such a name comes after all that are named so.

    Numbers must be named so exactly: `monthly_score` is more often an input than the answer.
    """
    exact = [column for name in names for column in columns if column.name.lower() == name]
    ending = [
        column for name in names for column in columns if column.kind is not Kind.NUMBER and _words(column.name)[-1:] == [name]
    ]
    return next(iter(exact + ending), None)


def _may_be_target(column: Column) -> bool:
    if (
        column.kind in (Kind.CATEGORY, Kind.CONSTANT, Kind.LIST, Kind.ANSWERS, Kind.BOXES)
        or column.name.lower() in ANSWER_NAMES
    ):
        return True
    return column.kind is Kind.NUMBER or (column.kind in (Kind.TEXT, Kind.IDENTIFIER) and column.mean_words < _LONG_LABEL_WORDS)


def _holds_words(column: Column) -> bool:
    return column.kind is Kind.LIST and column.name.lower() in WORD_NAMES


def _guess_tags(columns: Sequence[Column]) -> Decision[str | None] | None:
    """A column with marks on another: spans, tags that mark entities, any tags beside a list of words, boxes on pictures."""
    marks = [column for column in columns if column.kind in (Kind.TAGS, Kind.SPANS, Kind.SLOTS, Kind.BOXES)]
    if any(map(_holds_words, columns)):
        marks += [column for column in columns if column.kind is Kind.LIST and column.name.lower() in TAG_NAMES]
    if not marks:
        return None
    named = next((column for name in TAG_NAMES for column in marks if column.name.lower() == name), marks[0])
    what = "spans of characters" if named.kind in (Kind.SPANS, Kind.SLOTS) else "a tag for each word"
    what = "boxes on pictures" if named.kind is Kind.BOXES else what
    others = [column.name for column in marks if column is not named]
    also = f"; so could {' or '.join(others[:3])}" if others else ""
    return Decision(
        name="target",
        value=named.name,
        reason=f"its values are {what}{also}",
        evidence=_described(marks),
        override="--target COLUMN",
    )


def _guess_target(columns: Sequence[Column]) -> Decision[str | None]:
    if marks := _guess_tags(columns):
        return marks
    columns = [column for column in columns if not _holds_words(column)]
    lists = [column for column in columns if column.kind in (Kind.LIST, Kind.ANSWERS)]
    categories = lists or [column for column in columns if column.kind is Kind.CATEGORY]
    named = _named([column for column in columns if _may_be_target(column)], TARGET_NAMES)
    chosen = named or (categories[-1] if categories else None)
    others = [column for column in categories if column is not chosen]
    also = f"; it could also be {' or '.join(column.name for column in others[:3])}" if others else ""
    if chosen is None:
        reason = "no column has a name that is usual for the answer, and none holds categories"
    elif named:
        reason = f"'{chosen.name}' is a usual name for the column with the answer{also}"
    else:
        holds = "lists of labels" if lists else "categories"
        reason = f"no column has a name that is usual for the answer; '{chosen.name}' is the last one that holds {holds}{also}"
    evidence = {"candidates": _described([chosen, *others] if chosen else [])}
    return Decision(
        name="target", value=chosen.name if chosen else None, reason=reason, evidence=evidence, override="--target COLUMN"
    )


def _guess_text(columns: Sequence[Column]) -> Decision[str | None]:
    words_of = next(filter(_holds_words, columns), None)
    if words_of is not None:
        return Decision(name="text", value=words_of.name, reason="its values are lists of words", override="--text COLUMN")
    texts = sorted((column for column in columns if column.kind is Kind.TEXT), key=lambda column: -column.mean_words)
    words = {column.name: column.mean_words for column in texts}
    if texts:
        others = f"; {texts[1].name} has {texts[1].mean_words:.1f}" if len(texts) > 1 else ""
        reason = f"its values are the longest texts: {texts[0].mean_words:.1f} words on average{others}"
        return Decision(
            name="text", value=texts[0].name, reason=reason, evidence={"mean_words": words}, override="--text COLUMN"
        )
    wordy = [column for column in columns if column.kind in (Kind.CATEGORY, Kind.IDENTIFIER, Kind.CONSTANT)]
    named = next((column for name in TEXT_NAMES for column in wordy if column.name.lower() == name), None)
    reason = "no column holds longer texts" + (f"; '{named.name}' is a usual name for a text" if named else "")
    return Decision(name="text", value=named.name if named else None, reason=reason, override="--text COLUMN")


def _guess_pair(columns: Sequence[Column]) -> list[Decision[str | None]]:
    """Two columns whose names belong together."""
    words = {column.name.lower(): column.name for column in columns if column.kind in (Kind.TEXT, Kind.CATEGORY)}
    for first, second in PAIRED_NAMES:
        if first in words and second in words:
            reason = f"'{words[first]}' and '{words[second]}' are usual names of two texts that belong together"
            return [
                Decision(name="text", value=words[first], reason=reason, override="--text COLUMN"),
                Decision(name="text_pair", value=words[second], reason=reason, override="--text COLUMN, which is then alone"),
            ]
    return []


def _guess_triplet(columns: Sequence[Column]) -> list[Decision[str | None]]:
    """A text, one that belongs to it, and perhaps one that does not, by the names that such columns have."""
    names = {column.name.lower(): column.name for column in columns if column.kind in (Kind.TEXT, Kind.CATEGORY)}
    anchor = next((names[name] for name in ANCHOR_NAMES if name in names), None)
    if anchor is None or "positive" not in names:
        return []
    found = {"text": anchor, "target": names["positive"], "negative": names.get("negative")}
    reason = f"'{anchor}' and '{names['positive']}' are usual names of a text and of one that belongs to it"
    return [
        Decision(name=role, value=column, reason=reason, override=f"{flag_of(role)} COLUMN")
        for role, column in found.items()
        if column is not None
    ]


def _guess_answer_start(columns: Sequence[Column]) -> Decision[str | None]:
    """A column that is named so, beside one with answers."""
    names = {column.name.lower(): column.name for column in columns}
    name = names.get("answer_start") if any(answer in names for answer in ANSWER_NAMES) else None
    reason = f"'{name}' is the usual name for where an answer begins" if name else "no column is named answer_start"
    return Decision(name="answer_start", value=name, reason=reason, override="--answer-start COLUMN")


def _guess_files(columns: Sequence[Column], *, role: str, noun: str) -> Decision[str | None]:
    files = [column.name for column in columns if column.kind == role]
    return Decision(
        name=role,
        value=files[0] if files else None,
        reason=f"its values are paths of {noun} that exist" if files else f"no column holds paths of {noun}",
        evidence={"candidates": files},
        override=f"{flag_of(role)} COLUMN",
    )


def _guess_transcript(columns: Sequence[Column]) -> Decision[str | None]:
    """The answer to a recording: a column of labels, or else the text that is spoken in it."""
    label = _guess_target(columns)
    texts = [column for column in columns if column.kind is Kind.TEXT]
    named = _named(texts, TRANSCRIPT_NAMES)
    if label.value is not None or named is None:
        return label
    reason = f"'{named.name}' is a usual name for what is said in a recording, and no column looks like its label"
    return replace(label, value=named.name, reason=reason, evidence={"candidates": _described(texts)})


def _guess_id(columns: Sequence[Column]) -> Decision[str | None]:
    identifiers = [column.name for column in columns if column.kind is Kind.IDENTIFIER]
    return Decision(
        name="id",
        value=identifiers[0] if identifiers else None,
        reason="its values are all different and a single word or number each; nothing can be learned from them",
        evidence={"candidates": identifiers},
    )


def _candidates(columns: Sequence[Column], decided: set[str]) -> list[Decision[str | None]]:
    """Roles that are never guessed, because a wrong guess would cost rows: what could play them is only named."""
    groups = [column.name for column in columns if column.distinct > 1 and set(_words(column.name)) & set(GROUP_NAMES)]
    times = [column.name for column in columns if column.kind is Kind.DATETIME]
    found: Mapping[str, list[str]] = {"group": groups, "time": times}
    purpose = {"group": "rows of one group may stand on both sides of the split", "time": "the split does not follow time"}
    return [
        Decision(
            name=role,
            value=None,
            reason=f"not said, so {purpose[role]}; {' or '.join(names)} could be it",
            evidence={"candidates": names},
            override=f"--{role} {names[0]}",
        )
        for role, names in found.items()
        if names and role not in decided
    ]


def _no_target(columns: Sequence[Column], settings: DataSettings, *, name: str) -> DataError:
    shown = ", ".join(f"'{column.name}' ({column.kind})" for column in columns) or "none"
    text = settings.text or next((column.name for column in columns if column.kind is Kind.TEXT), None)
    left = [column.name for column in columns if column.name not in (text, *settings.ignore)]
    flags = f"--text {text} " if text else ""
    return DataError(
        f"A column with the answer (the label) is needed, and no column of {name} looks like one: {shown}.",
        remedy=f"luthier tune {name} {flags}--target {left[-1] if left else 'COLUMN'}",
    )
