"""The family of measures. Those that are functions of sums (`Measure`) come with their per-example statistics, so that
intervals and tests are right; those that are not (`IndexedMeasure`) are computed anew for each resample.

With one label per example micro-averaged precision, recall and F1 all equal the accuracy; they are for several labels.
"""

from luthier.core.family import Family
from luthier.evaluation.records import IndexedMeasure, Measure

AnyMeasure = Measure | IndexedMeasure

MEASURES: Family[AnyMeasure] = Family(
    "measure",
    {
        "accuracy": "luthier.evaluation.measures.accuracy:ACCURACY",
        "top_3_accuracy": "luthier.evaluation.measures.accuracy:TOP_3_ACCURACY",
        "macro_f1": "luthier.evaluation.measures.class_counts:MACRO_F1",
        "macro_precision": "luthier.evaluation.measures.class_counts:MACRO_PRECISION",
        "macro_recall": "luthier.evaluation.measures.class_counts:MACRO_RECALL",
        "weighted_f1": "luthier.evaluation.measures.class_counts:WEIGHTED_F1",
        "micro_f1": "luthier.evaluation.measures.class_counts:MICRO_F1",
        "micro_precision": "luthier.evaluation.measures.class_counts:MICRO_PRECISION",
        "micro_recall": "luthier.evaluation.measures.class_counts:MICRO_RECALL",
        "subset_accuracy": "luthier.evaluation.measures.accuracy:SUBSET_ACCURACY",
        "mean_average_precision": "luthier.evaluation.measures.ranking:MEAN_AVERAGE_PRECISION",
        "mcc": "luthier.evaluation.measures.class_counts:MCC",
        "log_loss": "luthier.evaluation.measures.probability:LOG_LOSS",
        "brier": "luthier.evaluation.measures.probability:BRIER",
        "roc_auc": "luthier.evaluation.measures.ranking:ROC_AUC",
        "mae": "luthier.evaluation.measures.errors_of_numbers:MAE",
        "rmse": "luthier.evaluation.measures.errors_of_numbers:RMSE",
        "r2": "luthier.evaluation.measures.errors_of_numbers:R2",
        "pearson": "luthier.evaluation.measures.errors_of_numbers:PEARSON",
        "spearman": "luthier.evaluation.measures.rank_correlation:SPEARMAN",
        "entity_f1": "luthier.evaluation.measures.entities:ENTITY_F1",
        "entity_precision": "luthier.evaluation.measures.entities:ENTITY_PRECISION",
        "entity_recall": "luthier.evaluation.measures.entities:ENTITY_RECALL",
        "token_accuracy": "luthier.evaluation.measures.entities:TOKEN_ACCURACY",
        "wer": "luthier.evaluation.measures.error_rates:WER",
        "cer": "luthier.evaluation.measures.error_rates:CER",
        "ndcg_at_10": "luthier.evaluation.measures.retrieval:NDCG_AT_10",
        "recall_at_10": "luthier.evaluation.measures.retrieval:RECALL_AT_10",
        "recall_at_100": "luthier.evaluation.measures.retrieval:RECALL_AT_100",
        "mrr_at_10": "luthier.evaluation.measures.retrieval:MRR_AT_10",
        "average_precision": "luthier.evaluation.measures.average_precision:AVERAGE_PRECISION",
        "expected_calibration_error": "luthier.evaluation.measures.calibration_error:EXPECTED_CALIBRATION_ERROR",
        "answer_f1": "luthier.evaluation.measures.answer_text:ANSWER_F1",
        "exact_match": "luthier.evaluation.measures.answer_text:EXACT_MATCH",
        "bleu": "luthier.evaluation.measures.bleu:BLEU",
        "chrf": "luthier.evaluation.measures.chrf:CHRF",
        "rouge_1": "luthier.evaluation.measures.rouge:ROUGE_1",
        "rouge_2": "luthier.evaluation.measures.rouge:ROUGE_2",
        "rouge_l": "luthier.evaluation.measures.rouge:ROUGE_L",
        "perplexity": "luthier.evaluation.measures.language:PERPLEXITY",
        "token_loss": "luthier.evaluation.measures.language:TOKEN_LOSS",
        "same_text": "luthier.evaluation.measures.language:SAME_TEXT",
        "span_f1": "luthier.evaluation.measures.spans:SPAN_F1",
        "span_precision": "luthier.evaluation.measures.spans:SPAN_PRECISION",
        "span_recall": "luthier.evaluation.measures.spans:SPAN_RECALL",
        "span_macro_f1": "luthier.evaluation.measures.spans:SPAN_MACRO_F1",
        "box_map": "luthier.evaluation.measures.boxes:BOX_MAP",
        "box_map50": "luthier.evaluation.measures.boxes:BOX_MAP50",
        "box_map75": "luthier.evaluation.measures.boxes:BOX_MAP75",
    },
)
