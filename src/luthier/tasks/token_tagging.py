"""A tag for every word, such as its part of speech. Columns: lists of words and lists of tags.

Every word counts alike (token accuracy); tags that mark entities (`B-`, `I-`, `O`) are `token-classification`.
"""

from luthier.data.schema import Kind
from luthier.tasks.token_task import TokenTask

TASK = TokenTask(
    name="token-tagging",
    measures=("token_accuracy",),
    kinds=(Kind.LIST,),
    answer_kind="tags",
    example='["Time", "flies"]',
)
