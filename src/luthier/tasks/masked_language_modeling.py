"""Texts told by a network that sees both sides of what is hidden: some words of each text are masked, anew in every epoch.

Columns: a text. What is reported is the perplexity of the masked tokens given all others, in masks that never change on
validation and test. It is no perplexity of the text as a whole, and compares models with the same tokenizer only.

Source: Devlin et al., BERT, 2019; Gururangan et al. 2020, "Don't stop pretraining" (adaptation to a domain).
"""

from luthier.tasks.language_task import LanguageTask

TASK = LanguageTask(name="masked-language-modeling", network="masked-lm", what="of masked words given the others around them")
