"""Which task adapts a pre-trained model to texts: its own architecture says how it tells them. No torch."""

from luthier.core.decision import Decision
from luthier.errors import ModelError, SpecError
from luthier.models.source import resolve_model
from luthier.pipeline.plain_texts import tells_texts
from luthier.spec import TuneSpec

MASKED, CAUSAL = "masked-language-modeling", "causal-language-modeling"
# How the classes of networks with such a head end in transformers.
ENDINGS = {"ForMaskedLM": MASKED, "ForPreTraining": MASKED, "ForCausalLM": CAUSAL, "LMHeadModel": CAUSAL}
WAYS = {MASKED: "hidden words from all others", CAUSAL: "each token from those before it"}
NO_HEAD = (
    "--model FOLDER, of a network that was saved with its head (…ForMaskedLM or …ForCausalLM in its config.json); "
    "examples/pretraining/language_model.py makes a small one"
)


def adaptation_of(spec: TuneSpec) -> tuple[TuneSpec, Decision[str]]:
    """The spec with the task that adapts its model to texts.

    Args:
        spec: With any task that tells texts, or `auto`.

    Raises:
        ModelError: the model cannot tell texts: it has no head over tokens, or is none that was found.
        SpecError: another task is asked for, or no model.
    """
    if spec.task != "auto":
        if not tells_texts(spec.task):
            problem = f"'{spec.task}' is no task that adapts a model to texts; luthier adapt does nothing else."
            raise SpecError(problem, remedy=f"luthier tune --task {spec.task}, or leave --task out")
        return spec, Decision(name="task", value=spec.task, reason="as asked")
    if spec.model.name is None:
        raise SpecError(
            "No model is named, and the default for text is a sentence encoder: it has no head that tells tokens, and a new "
            "one would have nothing to start from.",
            remedy=NO_HEAD,
        )
    source = resolve_model(spec.model, modality="text")
    names = [str(name) for name in source.config.get("architectures") or ()]
    task = next((task for ending, task in ENDINGS.items() for name in names if name.endswith(ending)), None)
    if task is None:
        is_written = f"a {names[0]}" if names else "of no class that its config.json names"
        raise ModelError(f"{source.name} is {is_written}: it has no head that tells tokens of a text.", remedy=NO_HEAD)
    reason = f"{source.name} is a {names[0]}: it tells {WAYS[task]}"
    return spec.with_values({"task": task}), Decision(name="task", value=task, reason=reason, override="--task NAME")
