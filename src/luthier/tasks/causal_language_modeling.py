"""Texts told by a network that reads from left to right: every token from those before it.

Columns: a text. What is reported is the perplexity of the text, up to the start of a block each token given all before it in
the block; it compares models with the same tokenizer only.

Source: Radford et al. 2019 (GPT-2); Gururangan et al. 2020, "Don't stop pretraining" (adaptation to a domain).
"""

from luthier.tasks.language_task import LanguageTask

TASK = LanguageTask(name="causal-language-modeling", network="causal-lm", what="each token given those before it")
