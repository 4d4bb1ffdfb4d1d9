"""Chat templates: how a model writes conversations as one text, and where in it the answers stand.

A template is Jinja, rendered by transformers in its sandbox. Where an answer begins and ends is found in one of two ways.
If the template marks answers itself (`{% generation %}`), its marks count. Else the text up to an answer is rendered with
the opening of an answer, the text with the answer without it, and both must be true beginnings of the whole: what lies
between them is the answer, with whatever ends it. Templates that rewrite earlier turns (those that leave out what was
thought, say) fail that for these turns; such answers are read and not learnt.

Source: transformers' guide to chat templates.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.errors import ModelError, SpecError
from luthier.models.refusal import MAX_CONFIG_BYTES
from luthier.models.strict_json import read_strict_json

CHAT_TEMPLATE = "chat_template.jinja"
NONE, AUTO = "none", "auto"
# For models without a template: who speaks, a colon, the words; what is said last ends the text.
PLAIN_TEMPLATE = """\
{{- opening }}{% if tools %}{{ 'Tools: ' + (tools | tojson) + '\\n' }}{% endif %}
{%- for message in messages %}
{%- if message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] }}
{%- for call in message['tool_calls'] or [] %}{{ (call['function'] if 'function' in call else call) | tojson }}{% endfor %}
{{- eos_token + '\\n' }}
{%- else %}{{ message['role'] | capitalize + ': ' + message['content'] + '\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""
_MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A conversation as one text.

    Attributes:
        text: All of it; where nothing is to be learnt, up to where the assistant is to speak.
        learnt: Where the answers that are learnt begin and end, in characters.
        opens: Where the last of them begins: what stands before it is what the model is given to answer.
        lost: Answers that could not be found again in the whole.
    """

    text: str
    learnt: tuple[tuple[int, int], ...]
    opens: int
    lost: int = 0


@dataclass(frozen=True, kw_only=True)
class ChatTemplate:
    """A template with the tokens it may name.

    Attributes:
        source: Jinja.
        tokens: `bos_token`, `eos_token` and the like; `opening` is what every text of the tokenizer begins with.

    Example:
        >>> template = ChatTemplate(source=PLAIN_TEMPLATE, tokens={"eos_token": "</s>"})
        >>> messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
        >>> made = template.rendered(messages, learnt=[1])
        >>> [made.text[start:end] for start, end in made.learnt], made.text[:made.opens]
        ([' Hello</s>\\n'], 'User: Hi\\nAssistant:')
    """

    source: str
    tokens: Mapping[str, str] = field(default_factory=dict)

    def rendered(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] = (), learnt: Sequence[int]
    ) -> Rendered:
        """The text of a conversation, and where its answers stand.

        Args:
            learnt: Places of the messages that are learnt; none: the assistant is to speak next.

        Raises:
            ModelError: the template refuses the conversation.
        """
        if not learnt:
            text = self.text(messages, tools=tools, opens=True)
            return Rendered(text=text, learnt=(), opens=len(text))
        if _MARKS.search(self.source):
            return self._by_marks(messages, tools, learnt)
        whole = self.text(messages, tools=tools, opens=False)
        found = [span for place in learnt if (span := self._between(messages, tools, place, whole)) is not None]
        last = self.text(messages[: learnt[-1]], tools=tools, opens=True)
        opens = len(last) if whole.startswith(last) else found[-1][0] if found else len(whole)
        return Rendered(text=whole, learnt=tuple(found), opens=opens, lost=len(learnt) - len(found))

    def _between(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], place: int, whole: str
    ) -> tuple[int, int] | None:
        """Where one answer stands; None where the texts before it are no beginnings of the whole."""
        before = self.text(messages[:place], tools=tools, opens=True)
        after = whole if place + 1 == len(messages) else self.text(messages[: place + 1], tools=tools, opens=False)
        if not (whole.startswith(after) and after.startswith(before)) or len(after) == len(before):
            return None
        return len(before), len(after)

    def _by_marks(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], learnt: Sequence[int]
    ) -> Rendered:
        """By the template's own marks: there is one pair for each message of the assistant."""
        text, marks = self._run(messages, tools, opens=False, marked=True)
        places = [place for place, message in enumerate(messages) if message.get("role") == "assistant"]
        if len(marks) != len(places):
            return Rendered(text=text, learnt=(), opens=len(text), lost=len(learnt))
        chosen = tuple((start, end) for place, (start, end) in zip(places, marks, strict=True) if place in learnt)
        return Rendered(text=text, learnt=chosen, opens=chosen[-1][0])

    def text(self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] = (), opens: bool) -> str:
        """The text of some messages; with `opens` also what an answer begins with.

        Raises:
            ModelError: the template refuses them.
        """
        return self._run(messages, tools, opens=opens, marked=False)[0]

    def _run(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], *, opens: bool, marked: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        try:
            made = render_jinja_template(
                conversations=[[dict(message) for message in messages]],
                tools=[dict(tool) for tool in tools] or None,
                chat_template=self.source,
                add_generation_prompt=opens,
                return_assistant_tokens_mask=marked,
                **self.tokens,
            )
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            said = " ".join(str(error).split())[:200]
            roles = ", ".join(str(message.get("role")) for message in messages[:8])
            raise ModelError(
                f"The model's chat template refuses a conversation ({roles}): {said}.",
                remedy="--chat-template none, or a template that takes such conversations",
            ) from error
        return made[0][0], [(int(start), int(end)) for start, end in made[1][0]] if marked else []


def read_template(folder: Path) -> str | None:
    """The chat template of a model folder; None if it has none."""
    path = folder / CHAT_TEMPLATE
    if path.is_file() and path.stat().st_size <= MAX_CONFIG_BYTES:
        return path.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    content = read_strict_json(config, max_bytes=MAX_CONFIG_BYTES) if config.is_file() else {}
    found = content.get("chat_template") if isinstance(content, dict) else None
    if isinstance(found, list):
        named = {item.get("name"): item.get("template") for item in found if isinstance(item, dict)}
        found = named.get("default")
    return found if isinstance(found, str) and found else None


def chosen_template(asked: str, own: str | None) -> str | None:
    """The template that was asked for: the model's own (`auto`), `none`, or the content of a file.

    Raises:
        SpecError: there is no such file.
    """
    if asked in (AUTO, NONE):
        return own if asked == AUTO else None
    path = Path(asked)
    if not path.is_file():
        raise SpecError(f"--chat-template names {asked}, which is no file.", remedy="--chat-template auto, none, or a file")
    return path.read_text(encoding="utf-8")
