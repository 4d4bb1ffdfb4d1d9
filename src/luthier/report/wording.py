"""How the report says things: the plain names of models, measures and rungs, and numbers that do not break across lines.

How many digits a number has is decided in `evaluation.display`, for the terminal and the report alike.
"""

import math
from collections.abc import Mapping

from luthier.evaluation.display import as_heading, format_difference, format_p, format_score, format_seconds, measure_title
from luthier.evaluation.records import Interval

# No-break space: "93.4" and "%" stay on one line.
NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"

Described = Mapping[str, tuple[str, str]]
NOTHING: Described = {}
MODELS = {
    "majority": ("Most frequent label", "Always gives the label that is most common in training."),
    "persistence": ("Last answer", "Gives each row the answer of the row before it in time."),
    "classic": ("Classic model", "A simple method without a neural network, trained on the same examples."),
    "pretrained": (
        "Pre-trained, untuned",
        "The pre-trained model as it comes: each example gets the label whose average is nearest.",
    ),
    "probe": ("Probe", "The pre-trained model is left as it is; only a new last layer is trained."),
    "scratch": ("From scratch", "The same architecture with a random start: what pre-training is worth."),
    "tuned": ("Tuned", "The pre-trained model, with some or all of its own weights trained further."),
}

MEANINGS = {
    "accuracy": "the share of test examples that get the right label",
    "top_3_accuracy": "the right label is among the three most likely",
    "macro_f1": "every label counts the same, however rare it is",
    "weighted_f1": "labels count by how often they occur",
    "macro_precision": "how often an answer is right, averaged over the labels",
    "macro_recall": "how many of each label are found, averaged over the labels",
    "expected_calibration_error": "how far stated confidence and reality differ; lower is better",
    "log_loss": "the penalty for confident wrong answers; lower is better",
    "brier": "the squared error of the probabilities; lower is better",
    "roc_auc": "how well the probabilities rank right labels above wrong ones; 1 is perfect",
    "entity_f1": "the balance of entities found in vain and entities missed; one counts if its words and its type are right",
    "entity_precision": "of the entities found, the share that is right",
    "entity_recall": "of the entities there are, the share that is found",
    "token_accuracy": "the share of words whose tag is right",
    "micro_f1": "the balance of labels given in vain and labels missed, over all labels together",
    "micro_precision": "of the labels given, the share that is right",
    "micro_recall": "of the labels there are, the share that is given",
    "subset_accuracy": "the share of test examples whose labels are all right, and none missed",
    "mean_average_precision": "how well each label's examples rank above the others; 1 is perfect",
    "mae": "how far an answer is from the truth on average; lower is better",
    "rmse": "the same, with large errors counting more; lower is better",
    "r2": "the share of the differences between examples that is explained; 1 is perfect, 0 is the mean for everyone",
    "pearson": "how closely answers and truth lie on a line; 1 is perfect, 0 is no connection",
    "spearman": "how well the order of the answers is that of the truth; 1 is perfect, 0 is no connection",
    "answer_f1": "how many words an answer shares with an accepted one, over the questions; 1 is perfect",
    "perplexity": "among how many equally likely tokens the model hesitates on average; lower is better",
    "token_loss": "how unlikely the right text is to the model, per token (nats); lower is better",
    "same_text": "the share of answers that are the right text, but for white space",
    "exact_match": "the share of questions answered exactly, but for case, articles and punctuation",
    "span_f1": "the balance of pieces named in vain and pieces missed; a piece counts only if it is whole",
    "span_precision": "of the pieces named, the share that is right",
    "span_recall": "of the pieces to be found, the share that is found whole",
    "span_macro_f1": "the same for each name by itself, then the mean",
    "chrf": "how many groups of one to six characters the texts share with the right ones; 1 is perfect",
    "bleu": "how many groups of one to four words stand in the right texts, less what is too short; 1 is perfect",
    "rouge_1": "how many words the texts share with a right one; 1 is perfect",
    "rouge_2": "how many pairs of words they share; 1 is perfect",
    "rouge_l": "how many words they share in the same order; 1 is perfect",
    "mcc": "agreement beyond chance; 1 is perfect, 0 is guessing",
}
NOUNS = {
    "majority": "most frequent label",
    "persistence": "last answer",
    "classic": "classic model",
    "pretrained": "pre-trained model as it comes",
    "scratch": "model from scratch",
    "tuned": "tuned model",
}


def model_name(name: str, described: Described = NOTHING) -> str:
    """What a model is called in the report.

    Args:
        name: Of the model.
        described: By model: its title and what it does, where the task says so (`Metrics.described`).
    """
    return described[name][0] if name in described else MODELS[name][0] if name in MODELS else name


def model_meaning(name: str, described: Described = NOTHING) -> str:
    """What a model is, in a sentence."""
    return described[name][1] if name in described else MODELS[name][1] if name in MODELS else ""


def model_noun(name: str, described: Described = NOTHING) -> str:
    """What a model is called inside a sentence, after "the".

    Example:
        >>> model_noun("classic"), model_noun("probe"), model_noun("majority", {"majority": ("Mean of train", "")})
        ('classic model', 'probe', 'mean of train')
    """
    title = model_name(name, described)
    is_usual = name not in described or title == MODELS.get(name, ("",))[0]
    return NOUNS.get(name, name) if is_usual else title[:1].lower() + title[1:]


def measure_name(name: str) -> str:
    """What a measure is called at the start of a line.

    Example:
        >>> measure_name("macro_f1"), measure_name("word_error_rate")
        ('Macro F1', 'Word error rate')
    """
    return as_heading(measure_title(name))


def measure_meaning(name: str) -> str:
    """What a measure counts, in half a sentence."""
    return MEANINGS.get(name, "")


def rung_name(rung: str) -> str:
    """What a rung of the ladder is called in the report.

    Example:
        >>> rung_name("probe"), rung_name("top-blocks:2"), rung_name("full"), rung_name("pretrained")
        ('Probe', 'Top 2 blocks', 'All blocks', 'As it comes')
    """
    if rung.startswith("top-blocks:"):
        number = rung.partition(":")[2]
        return "Top block" if number == "1" else f"Top {number} blocks"
    if rung.partition(":")[0] == "gradual":
        return "One block after the other"
    return {"probe": "Probe", "full": "All blocks", "pretrained": "As it comes"}.get(rung, rung)


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage.

    Example:
        >>> percent(0.934).replace(NBSP, " "), percent(None)
        ('93.4 %', '–')
    """
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}{NBSP}%"


def score(measure: str, value: float | None) -> str:
    """A score with its unit: a percentage where the measure is a share."""
    return "–" if value is None else _glued(format_score(measure, value))


def tick(measure: str, value: float) -> str:
    """A round score beside an axis, without zeros that say nothing.

    Example:
        >>> tick("accuracy", 0.9).replace(NBSP, " "), tick("token_loss", 100.0), tick("r2", 0.25)
        ('90 %', '100', '0.25')
    """
    number, _, unit = score(measure, value).partition(NBSP)
    whole = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{whole}{NBSP}{unit}" if unit else whole


def score_range(measure: str, interval: Interval) -> str:
    """An interval with its unit.

    Example:
        >>> score_range("accuracy", Interval(value=0.93, low=0.921, high=0.944)).replace(NBSP, " ")
        '92.1 to 94.4 %'
    """
    return f"{format_score(measure, interval.low, unit=False)} to {score(measure, interval.high)}"


def signed(measure: str, value: float | None, *, unit: bool = True) -> str:
    """A difference of scores: percentage points where the measure is a share.

    Example:
        >>> signed("accuracy", 0.0124).replace(NBSP, " "), signed("log_loss", -0.5)
        ('+1.2 points', '−0.500')
    """
    return "–" if value is None else _glued(format_difference(measure, value, unit=unit))


def signed_range(measure: str, low: float, high: float) -> str:
    """An interval of a difference of scores."""
    return f"{signed(measure, low, unit=False)} to {signed(measure, high)}"


def p_value(p: float) -> str:
    """A p-value to the precision worth reading."""
    return _glued(format_p(p))


def duration(seconds: float) -> str:
    """A time."""
    return _glued(format_seconds(seconds))


def _glued(text: str) -> str:
    return text.replace(" ", NBSP).replace("-", MINUS)


def thousands(number: int) -> str:
    """A whole number with separators."""
    return f"{number:,}"


def shortened(text: str, length: int = 320) -> str:
    """A text cut to a length, with a sign that it was cut."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def sentence(text: str) -> str:
    """A text that starts with a capital and ends with a stop; one that starts with a name or a flag stays as it is.

    Example:
        >>> sentence("nothing to do: they are left out"), sentence("`--overlap drop`")
        ('Nothing to do: they are left out.', '`--overlap drop`.')
    """
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?:" or not text else ".")
