"""How scores, differences, p-values and times are written for people: one place for terminal, card and report."""

import math

from luthier.core.names import count_of

_SHARES = {
    "accuracy", "top_3_accuracy", "macro_f1", "macro_precision", "macro_recall", "weighted_f1", "micro_f1", "micro_precision",
    "micro_recall", "subset_accuracy", "mean_average_precision", "entity_f1", "entity_precision", "entity_recall",
    "token_accuracy", "answer_f1", "exact_match", "span_f1", "span_precision", "span_recall", "span_macro_f1", "wer", "cer",
    "bleu", "chrf", "rouge_1", "rouge_2", "rouge_l",
    "same_text",
    "box_map", "box_map50", "box_map75",
}  # fmt: skip
_TITLES = {
    "top_3_accuracy": "top-3 accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "micro_f1": "micro F1",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "entity_f1": "entity F1",
    "answer_f1": "answer F1",
    "span_f1": "span F1",
    "span_macro_f1": "span macro F1",
    "mcc": "MCC",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "ndcg_at_10": "nDCG@10",
    "recall_at_10": "recall@10",
    "recall_at_100": "recall@100",
    "mrr_at_10": "MRR@10",
    "wer": "word error rate",
    "cer": "character error rate",
    "token_loss": "loss per token",
    "same_text": "exact match",
    "brier": "Brier score",
    "box_map": "mAP (IoU 0.50 to 0.95)",
    "box_map50": "mAP50",
    "box_map75": "mAP75",
    "roc_auc": "ROC AUC",
    "expected_calibration_error": "calibration error",
}


_SHORT = {
    "mae": "MAE",
    "rmse": "RMSE",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "mean_average_precision": "mAP",
    "box_map": "mAP",
}
# Of the numbers that are answered, or of tokens among which a model hesitates: they may be of any size.
_IN_UNITS = {"mae", "rmse", "perplexity"}


# What the scores by label count, where that is not examples.
COUNTED = {
    "entities": ("test entity", "test entities"),
    "tags": ("test word", "test words"),
    "slots": ("test piece", "test pieces"),
    "boxes": ("test box", "test boxes"),
}


def counted(number: int, answer_kind: str) -> str:
    """So many of what the scores by label count.

    Example:
        >>> counted(1, "label"), counted(2, "entities")
        ('1 test example', '2 test entities')
    """
    return count_of(number, *COUNTED.get(answer_kind, ("test example", "test examples")))


def measure_title(measure: str) -> str:
    """The measure's name for people.

    Example:
        >>> measure_title("macro_f1"), measure_title("log_loss")
        ('macro F1', 'log loss')
    """
    return _TITLES.get(measure, measure.replace("_", " "))


def short_title(measure: str) -> str:
    """The same where room is short, as in the heading of a column.

    Example:
        >>> short_title("mae"), short_title("macro_f1")
        ('MAE', 'macro F1')
    """
    return _SHORT.get(measure, measure_title(measure))


def as_heading(title: str) -> str:
    """A measure's name at the start of a line; one that is written in its own way stays so.

    Example:
        >>> as_heading("macro F1"), as_heading("chrF"), as_heading("mAP")
        ('Macro F1', 'chrF', 'mAP')
    """
    first = title.split()[0] if title.strip() else ""
    return title if first[1:] != first[1:].lower() else title[:1].upper() + title[1:]


def is_share(measure: str) -> bool:
    """Whether the measure runs from 0 to 1 and is written in per cent."""
    return measure in _SHARES


def format_score(measure: str, value: float, *, unit: bool = True) -> str:
    """A score: shares in per cent, others with three decimals.

    Example:
        >>> format_score("accuracy", 0.9381), format_score("accuracy", 0.9381, unit=False), format_score("log_loss", 0.2345)
        ('93.8 %', '93.8', '0.234')
        >>> format_score("mae", 0.4123), format_score("mae", 21345.6)
        ('0.412', '21,346')
    """
    if is_share(measure):
        return f"{100 * value:.1f}{' %' if unit else ''}"
    text = format_number(value) if measure in _IN_UNITS else f"{value:.3f}"
    return text if text.strip("-0.") else text.lstrip("-")  # what rounds to nothing has no minus


def format_number(value: float) -> str:
    """A number of any size to three digits, whole ones in full.

    Example:
        >>> [format_number(value) for value in (0.0, 3.14159, -27.53, 1234567.0, 0.000123)]
        ['0', '3.14', '-27.5', '1,234,567', '0.000123']
    """
    if not value or not math.isfinite(value):
        return f"{value:g}"
    decimals = min(9, max(0, 2 - math.floor(math.log10(abs(value)))))
    return f"{value:,.{decimals}f}"


def format_difference(measure: str, value: float, *, unit: bool = False) -> str:
    """A difference of two scores, with its sign: shares in percentage points. What rounds to nothing has no minus.

    Example:
        >>> format_difference("accuracy", 0.0764), format_difference("accuracy", -0.0764, unit=True)
        ('+7.6', '-7.6 points')
        >>> format_difference("mae", 0.01234), format_difference("mae", -2134.5)
        ('+0.0123', '-2,134')
    """
    if measure in _IN_UNITS:
        return ("+" if value >= 0 else "") + format_number(value)
    text = f"{100 * value:+.1f}" if is_share(measure) else f"{value:+.3f}"
    text = text.replace("-", "+") if not text.strip("+-0.") else text
    return f"{text} points" if unit and is_share(measure) else text


def format_p(p: float, *, equals: bool = False) -> str:
    """A p-value with three decimals at most.

    Args:
        p: The value.
        equals: Put the equals sign in front, for use in a sentence.

    Example:
        >>> format_p(0.00001), format_p(0.0421, equals=True), format_p(1.0), format_p(0.9999)
        ('< 0.001', '= 0.042', '1', '1')
    """
    if p < 0.001:
        return "< 0.001"
    text = f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
    text = "1" if float(text) == 1 else text
    return f"= {text}" if equals else text


def format_seconds(seconds: float) -> str:
    """A duration for people.

    Example:
        >>> [format_seconds(value) for value in (0.04, 7.26, 42.4, 250, 7260)]
        ['0.0 s', '7.3 s', '42 s', '4 min 10 s', '2 h 1 min']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def join_names(names: list[str]) -> str:
    """Names as in a sentence.

    Example:
        >>> join_names(["a"]), join_names(["a", "b"]), join_names(["a", "b", "c"])
        ('a', 'a and b', 'a, b and c')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def task_title(task: str) -> str:
    """The task's name for people.

    Example:
        >>> task_title("text-pair-regression"), task_title("image-multi-label")
        ('text pair regression', 'image multi-label')
    """
    return task.replace("-", " ").replace("multi label", "multi-label")
