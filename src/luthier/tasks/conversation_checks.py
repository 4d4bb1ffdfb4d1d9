"""What can be wrong with conversations and with prompts and completions: rows are named, and left out if they cannot be used.

How many tokens are learnt depends on the model; what is said here about shares counts words.
"""

import numpy as np

from luthier.data.conversations import Conversation, spoken_by
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.wording import percent
from luthier.tasks.fault_findings import Fault, fault_findings

NAME = "conversations"
FORM = '[{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]'
FAULTS = {
    "no_list": Fault(what="no list of messages", remedy=f"write conversations as {FORM}"),
    "no_answer": Fault(
        what="no message of the assistant: there is nothing to learn", remedy="add the answer as the last message"
    ),
    "no_weight": Fault(
        what="weight 0 on every message of the assistant: nothing would be learnt",
        remedy="give the message that is to be learnt weight 1, or leave its weight out",
    ),
    "bad_weight": Fault(
        what="a weight that is neither 0 nor 1, or stands on a message that is not the assistant's",
        remedy='"weight": 0 or "weight": 1, on messages of the assistant only',
    ),
    "unknown_role": Fault(
        what="a role that is not known", remedy="system, developer, user, assistant, tool or function, in small letters"
    ),
    "empty_content": Fault(what="a message without content", remedy="fill it in, or leave the message out"),
    "no_text": Fault(what="content that is no text (pictures and sound are not read)", remedy="leave these parts out"),
    "bad_call": Fault(
        what="tool calls that are written in another way",
        remedy='{"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]}',
    ),
    "bad_tools": Fault(what="tools that are no list of schemas", remedy='[{"type": "function", "function": {"name": "f"}}]'),
    "goes_on": Fault(
        what="further messages behind the last one of the assistant",
        remedy="nothing to do: what stands behind the last answer is not read",
        harmless=True,
    ),
}


def check_conversations(dataset: Dataset, conversations: list[Conversation]) -> list[Finding]:
    """Faults, and how much of the words is learnt.

    Args:
        conversations: Of each row of the table.
    """
    found: dict[str, dict[int, str]] = {}
    for row, conversation in enumerate(conversations):
        for name, example in conversation.faults.items():
            found.setdefault(name, {})[row] = example
    return [*fault_findings(dataset, NAME, FAULTS, found), *_share_learnt(conversations)]


def _share_learnt(conversations: list[Conversation]) -> list[Finding]:
    learnt = total = withheld = 0
    for conversation in conversations:
        for place, message in enumerate(conversation.messages):
            words = len(spoken_by(message).split())
            total += words
            learnt += words if place in conversation.learnt else 0
            withheld += message.get("role") == "assistant" and place not in conversation.learnt
    if not total:
        return []
    zero = f"; {withheld:,} messages of the assistant have weight 0" if withheld else ""
    return [
        Finding(
            check=NAME,
            severity="info",
            problem=f"{percent(learnt / total)} of the words are the assistant's, and learnt; the others are only read{zero}.",
            remedy="nothing to do; how many tokens that is for a model: luthier tune --plan",
            count=int(np.sum([len(conversation.learnt) > 0 for conversation in conversations])),
            evidence={"words": total, "words_learnt": learnt},
        )
    ]
