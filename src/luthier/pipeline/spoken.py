"""The language that is spoken, for models that write down several: named by the user, a token in front of every transcript."""

from pathlib import Path
from typing import Any

from luthier.core.decision import Decision
from luthier.core.names import nearest_name
from luthier.errors import SpecError
from luthier.models.audio_processor import AudioProcessor
from luthier.models.backbone import Backbone
from luthier.models.processors import Processor
from luthier.models.refusal import MAX_CONFIG_BYTES
from luthier.models.strict_json import read_strict_json
from luthier.tasks.protocol import Task

GENERATION = "generation_config.json"
FLAG = "--spoken-language"


def with_language(
    processor: Processor, task: Task, folder: Path | None, asked: str | None
) -> tuple[Processor, list[Decision[Any]]]:
    """The processor that puts what a multilingual model is told in front of transcripts: language, task, no times.

    Raises:
        SpecError: a language was named for a model that knows one only; or none for one that knows several.
    """
    text = processor.text if isinstance(processor, AudioProcessor) else None
    told = _told(folder) if text is not None and folder is not None else {}
    languages = {token.strip("<|>"): number for token, number in told.get("lang_to_id", {}).items()}
    if text is None or not languages:
        if asked is not None:
            problem = f"{FLAG} is for models that write down several languages; this is none such."
            raise SpecError(problem, remedy=f"leave {FLAG} out")
        return (processor if text is None else _told_to(processor, _untimed(told))), []
    if asked not in languages:
        problem = f"The model writes down {len(languages)} languages, and " + (
            "nothing says which of them is spoken." if asked is None else f"'{asked}' is none of them."
        )
        guess = nearest_name(asked, list(languages)) if asked else None
        raise SpecError(problem, remedy=f"{FLAG} {guess or ('en' if 'en' in languages else next(iter(languages)))}")
    prompt = {"language": languages[asked], **_untimed(told)}
    if (number := told.get("task_to_id", {}).get("transcribe")) is not None:
        prompt["task"] = number
    decision = Decision(name="spoken_language", value=asked, reason="as asked", override=f"{FLAG} NAME")
    return _told_to(processor, prompt), [decision]


def speak(backbone: Backbone, processor: Processor) -> None:
    """Write the language into the network's own generation settings, so that it is told the same when it writes."""
    text = processor.text if isinstance(processor, AudioProcessor) else None
    if text is None or "language" not in text.special_ids:
        return
    config: Any = backbone.network.generation_config
    config.language = next(name for name, number in config.lang_to_id.items() if number == text.special_ids["language"])
    config.task = "transcribe"


def _told(folder: Path) -> dict[str, Any]:
    path = folder / GENERATION
    content = read_strict_json(path, max_bytes=MAX_CONFIG_BYTES) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _untimed(told: dict[str, Any]) -> dict[str, int]:
    number = told.get("no_timestamps_token_id")
    return {"untimed": number} if isinstance(number, int) else {}


def _told_to(processor: Processor, prompt: dict[str, int]) -> Processor:
    assert isinstance(processor, AudioProcessor)
    assert processor.text is not None
    return processor.with_text(processor.text.with_special(prompt)) if prompt else processor
