"""Fine-tuning jobs as they are written for OpenAI's service, as specs: what a job says, what of it holds here, and what
cannot.

A job is the JSON body of `POST /v1/fine_tuning/jobs`. Files are named by their paths here; the model is a folder here. What
this program cannot do (preference and reinforcement tuning) is refused by name; what only concerns the service is told.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.decision import Decision
from luthier.core.names import nearest_name
from luthier.errors import LuthierError, SpecError, raise_together
from luthier.spec import Given

KNOWN = ("training_file", "validation_file", "model", "suffix", "seed", "hyperparameters", "method")
OF_THE_SERVICE = {
    "integrations": "reports to other services are not sent: everything is in the run folder",
    "metadata": "it is the service's own",
    "object": "it is the service's own",
    "id": "it is the service's own",
    "created_at": "it is the service's own",
    "status": "it is the service's own",
    "organization_id": "it is the service's own",
    "user_provided_suffix": "it is the service's own; suffix counts",
}
# Name -> the key it becomes, what its values are, and that in words.
HYPERPARAMETERS: Mapping[str, tuple[str, tuple[type, ...], str]] = {
    "n_epochs": ("training.num_epochs", (int, float), "a number above 0"),
    "batch_size": ("training.batch_size", (int,), "a whole number above 0"),
    "learning_rate_multiplier": ("training.learning_rate_multiplier", (int, float), "a number above 0"),
}
METHODS = {"dpo": "preferences between two answers", "reinforcement": "the marks of a grader"}
MAX_BYTES = 1 << 20
LATER = "given in the command, which counts more"


@dataclass(frozen=True, kw_only=True)
class OpenAiJob:
    """A job as settings of a spec.

    Attributes:
        given: Values, to be overruled by what the command says.
        decisions: What became of each thing that the job says.
    """

    given: tuple[Given, ...]
    decisions: tuple[Decision[Any], ...]


def read_openai_job(path: Path, *, model: str | None = None) -> OpenAiJob:
    """The settings that a job file means.

    Args:
        path: JSON.
        model: The pre-trained model that the command names, if it does.

    Raises:
        SpecError: it cannot be read, or says something that does not hold here; all of that together.
    """
    content = _parsed(path)
    problems: list[LuthierError] = [_unknown(path, key) for key in content if key not in (*KNOWN, *OF_THE_SERVICE)]
    reader = _Reader(path, problems)
    reader.files(content)
    reader.model(content.get("model"), model)
    reader.hyperparameters(content)
    reader.rest(content)
    raise_together(problems)
    return OpenAiJob(given=tuple(reader.given), decisions=tuple(reader.decisions))


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SpecError(
                f"{path} is too large for a job.", remedy="--openai-job JOB.json: the body of the request, not its data"
            )
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}.", remedy="--openai-job JOB.json") from error
    except ValueError as error:
        raise SpecError(f"{path} is no JSON: {error}.", remedy='{"training_file": "chats.jsonl", "model": "..."}') from error
    if not isinstance(content, dict):
        raise SpecError(
            f"{path} holds no job: it is no JSON object.", remedy='{"training_file": "chats.jsonl", "model": "..."}'
        )
    return content


def _unknown(path: Path, key: str) -> SpecError:
    guess = nearest_name(key, KNOWN)
    hint = f" Did you mean '{guess}'?" if guess else ""
    return SpecError(f"{path}: a job has no '{key}'.{hint}", remedy=f"{guess or 'leave ' + key + ' out'}")


class _Reader:
    """Reads a job part by part.

    Args:
        path: Of the job: its files are found beside it.
        problems: Gets what does not hold here.
    """

    def __init__(self, path: Path, problems: list[LuthierError]) -> None:
        self.path, self.problems = path, problems
        self.given: list[Given] = []
        self.decisions: list[Decision[Any]] = []

    def files(self, content: Mapping[str, Any]) -> None:
        """Data: all of one file, cut into parts, or one file to learn from and one to validate."""
        found = {key: self._file(key, content[key]) for key in ("training_file", "validation_file") if content.get(key)}
        if "training_file" not in found:
            self._refuse("a job needs a training_file", 'add "training_file": "chats.jsonl"')
        if "validation_file" not in found:
            self._set("sources", [found.get("training_file")], "training_file", "a part of it is kept for validation and test")
            return
        self._set("data.train", found.get("training_file"), "training_file", "a part of it is kept to choose the best step")
        self._set(
            "data.test", found["validation_file"], "validation_file", "held out: nothing is chosen on it, it is scored once"
        )

    def _file(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            self._refuse(f"{key} is {value!r}; expected the path of a file", f'"{key}": "chats.jsonl"')
            return ""
        path = Path(value) if Path(value).is_absolute() else self.path.parent / value
        if not path.exists() and value.startswith("file-"):
            header = "Authorization: Bearer $OPENAI_API_KEY"
            fetch = f'curl https://api.openai.com/v1/files/{value}/content -H "{header}" -o chats.jsonl'
            self._refuse(f"{key} is '{value}', a file that OpenAI's service keeps", f"{fetch}, then write its path")
        return str(path)

    def model(self, named: Any, given: str | None) -> None:
        """The pre-trained model: a folder, named by the command or by the job itself."""
        if given is not None:
            reason = f"{LATER}; '{named}' of the job is OpenAI's own" if named else LATER
            self.decisions.append(Decision(name="model", value=given, reason=reason))
            return
        if isinstance(named, str):
            for path in (self.path.parent / named, Path(named)):
                if path.is_dir():
                    self._set("model.name", str(path), "model", "a folder of that name is there")
                    return
        self._refuse(
            f"the model '{named}' runs at OpenAI only; nobody else has its weights", "--model FOLDER, a causal language model"
        )

    def hyperparameters(self, content: Mapping[str, Any]) -> None:
        """Epochs, batches and rates, where jobs of today and of former days have them."""
        method = content.get("method") or {}
        kind = method.get("type", "supervised") if isinstance(method, dict) else method
        if kind != "supervised":
            what = METHODS.get(str(kind), "something else than answers")
            self._refuse(f"method '{kind}' learns from {what}, which is not done here", '"method": {"type": "supervised"}')
            return
        told = {key: value for key, value in method.items() if key not in ("type", "supervised")} if method else {}
        for key in told:
            self._refuse(f"method has no '{key}' for supervised jobs", f"leave {key} out")
        inner = (method.get("supervised") or {}).get("hyperparameters") or {}
        for name, value in {**(content.get("hyperparameters") or {}), **inner}.items():
            self._hyperparameter(name, value)

    def _hyperparameter(self, name: str, value: Any) -> None:
        if name not in HYPERPARAMETERS:
            guess = nearest_name(name, HYPERPARAMETERS)
            hint = f" (did you mean '{guess}'?)" if guess else ""
            self._refuse(f"supervised jobs have no hyperparameter '{name}'{hint}", guess or f"leave {name} out")
            return
        key, kinds, expected = HYPERPARAMETERS[name]
        if value == "auto" or value is None:
            self.decisions.append(Decision(name=name, value="auto", reason="chosen here, by method and data"))
        elif isinstance(value, bool) or not isinstance(value, kinds) or not float(value) > 0:  # type: ignore[arg-type]
            self._refuse(f'{name} is {value!r}; expected {expected}, or "auto"', f'"{name}": "auto"')
        else:
            self._set(key, value, name, "as the job says")

    def rest(self, content: Mapping[str, Any]) -> None:
        """The name and the seed; and what only the service can do something about."""
        seed, suffix = content.get("seed"), content.get("suffix")
        if seed is not None:
            if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
                self._refuse(f"seed is {seed!r}; expected a whole number from 0 on", '"seed": 0')
            else:
                self._set("training.seed", seed, "seed", "as the job says")
        if suffix is not None:
            if not isinstance(suffix, str) or not suffix.strip() or "/" in suffix or len(suffix) > 64:
                self._refuse(f"suffix is {suffix!r}; expected at most 64 letters, without a slash", '"suffix": "support"')
            else:
                folder = f"runs/{suffix.strip()}-{time.strftime('%Y%m%d-%H%M%S')}"
                self._set("output.out", folder, "suffix", f"'{suffix}' names the run folder")
        for key, reason in OF_THE_SERVICE.items():
            if content.get(key):
                self.decisions.append(Decision(name=key, value="not used", reason=reason))

    def _set(self, key: str, value: Any, name: str, reason: str) -> None:
        self.given.append(Given(written=key, value=value, where=f"{self.path}: "))
        shown = value[0] if isinstance(value, list) else value
        self.decisions.append(Decision(name=name, value=shown, reason=reason, evidence={"key": key}))

    def _refuse(self, problem: str, remedy: str) -> None:
        self.problems.append(SpecError(f"{self.path}: {problem}.", remedy=remedy))
