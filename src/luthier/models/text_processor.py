"""Texts to token ids without transformers: a `tokenizer.json`, run by the tokenizers library, no padding, flat arrays out."""

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from tokenizers import Tokenizer

from luthier.core.decision import Decision
from luthier.core.storage import write_json, write_text
from luthier.errors import ModelError
from luthier.models.blocks import BlockForm, BlockRows, encode_blocks, frame_around, special_ids_of
from luthier.models.chat_template import CHAT_TEMPLATE, read_template
from luthier.models.marked import MarkedRows, encode_marked
from luthier.models.refusal import MAX_CONFIG_BYTES, MAX_TOKENIZER_BYTES
from luthier.models.strict_json import read_strict_json
from luthier.models.windows import WindowRows, encode_windows
from luthier.models.word_windows import WordRows, build_word_tokenizer, encode_sentences, frame_of, word_pieces

TOKENIZER = "tokenizer.json"
PROCESSOR = "processor.json"
SPECIAL = ("pad", "mask", "unk", "cls", "sep", "bos", "eos")
DEFAULT_LIMIT = 512  # for models that state none (relative positions): attention costs grow with its square
COVERED_FRACTION = 0.995
COVERED_BY_FIRST_WINDOW, LEAST_WINDOW = 0.95, 128
STEP = 8  # lengths are rounded up to this, which matrix units like
VOCABULARIES = ("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
ROBERTA_LIKE = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "xmod", "mpnet", "longformer", "data2vec-text"}
)
# What transformers' own tokenizers need of tokenizer_config.json; nothing else is handed to it.
KNOWN_KEYS = frozenset(
    {"tokenizer_class", "do_lower_case", "model_max_length", "strip_accents", "tokenize_chinese_chars", "add_prefix_space"}
    | {f"{name}_token" for name in SPECIAL}
    | {"add_bos_token", "add_eos_token", "legacy", "sp_model_kwargs", "additional_special_tokens", "added_tokens_decoder"}
)


@dataclass(frozen=True, kw_only=True)
class TokenRows:
    """Token ids of many texts, end to end: text `i` is `ids[offsets[i] : offsets[i + 1]]`.

    Attributes:
        ids: All ids.
        offsets: Where each text begins, and where the last one ends.
        type_ids: 0 for the first text of a pair and 1 for the second; None for single texts.
    """

    ids: Int[np.ndarray, " tokens"]
    offsets: Int[np.ndarray, " rows_plus_1"]
    type_ids: UInt8[np.ndarray, " tokens"] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int[np.ndarray, " rows"]:
        """Tokens of each text."""
        return np.diff(self.offsets)

    def row(self, number: int) -> Int[np.ndarray, " tokens"]:
        """The ids of one text."""
        return self.ids[self.offsets[number] : self.offsets[number + 1]]


class TextProcessor:
    """Turns texts into ids as the model's own tokenizer does.

    Args:
        tokenizer_json: Content of a `tokenizer.json`. Its padding and truncation are not used.
        max_length: Longest row in tokens, special tokens included; longer texts are cut at their end.
        limit: The longest row the model can take.
        special_ids: Ids of the special tokens that the tokenizer has: pad, mask, unk, cls, sep, bos, eos; and of an
            encoder-decoder `start`, which its decoder reads first.
        chat_template: How the model writes conversations, in Jinja, if it says so.
    """

    kind = "text"

    def __init__(
        self,
        tokenizer_json: str,
        *,
        max_length: int,
        limit: int,
        special_ids: Mapping[str, int],
        chat_template: str | None = None,
    ) -> None:
        self.max_length = max_length
        self.limit = limit
        self.special_ids = dict(special_ids)
        self.chat_template = chat_template
        self._json = tokenizer_json
        self._tokenizer = _build_tokenizer(tokenizer_json)
        self._tokenizer.enable_truncation(max_length)

    @property
    def pad_id(self) -> int:
        """What batches are padded with. Models without a padding token never look at it: it is masked."""
        return self.special_ids.get("pad", self.special_ids.get("eos", 0))

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, added ones included."""
        return int(self._tokenizer.get_vocab_size())

    def token_of(self, token_id: int) -> str:
        """The token of an id, for people."""
        return self._tokenizer.id_to_token(token_id) or ""

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """The text of some tokens, without special ones unless they are asked for."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=not special))

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> TokenRows:
        """Token ids of texts, or of pairs of texts, cut to `max_length`, special tokens included."""
        inputs = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        encodings = self._tokenizer.encode_batch_fast(inputs)
        lengths = np.fromiter((len(encoding) for encoding in encodings), np.int64, count=len(encodings))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        ids, type_ids = np.empty(offsets[-1], np.int32), np.zeros(offsets[-1], np.uint8)
        for number, encoding in enumerate(encodings):
            ids[offsets[number] : offsets[number + 1]] = encoding.ids
            if pairs is not None:
                type_ids[offsets[number] : offsets[number + 1]] = encoding.type_ids
        return TokenRows(ids=ids, offsets=offsets, type_ids=type_ids if pairs is not None else None)

    def encode_windows(self, texts: Sequence[str], questions: Sequence[str] | None = None) -> WindowRows:
        """Texts as windows of at most `max_length` tokens, each behind its question where there is one; nothing is lost.

        Raises:
            ModelError: `max_length` leaves no room for the texts.
        """
        return encode_windows(_build_tokenizer(self._json), texts, questions, max_length=self.max_length)

    def count_tokens(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Int[np.ndarray, " rows"]:
        """Tokens of each text before it is cut, special tokens included."""
        uncut = _build_tokenizer(self._json)
        inputs = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        return np.fromiter((len(encoding) for encoding in uncut.encode_batch_fast(inputs)), np.int64, count=len(inputs))

    def encode_words(self, sentences: Sequence[Sequence[str]]) -> WordRows:
        """Token ids of sentences given as words; those longer than `max_length` in windows, so that no word is lost."""
        tokenizer = build_word_tokenizer(self._json)
        frame = frame_of(tokenizer, unknown=self._unknown_id)
        return encode_sentences(tokenizer, sentences, frame=frame, max_length=self.max_length)

    def encode_documents(self, texts: Sequence[str], *, forwards: bool) -> BlockRows:
        """Texts as blocks of at most `max_length` tokens, so that nothing is lost and no block holds two texts.

        Args:
            texts: The documents.
            forwards: Whether each token is told from those before it: then blocks overlap by a token, and the end of a text
                is told too, where the tokenizer has a token for it and does not set it itself.

        Raises:
            ModelError: `max_length` leaves no room for the texts.
        """
        tokenizer = _build_tokenizer(self._json)
        before, after = frame_around(tokenizer)
        end = self.special_ids.get("eos") if forwards else None
        after = tuple(mark for mark in after if mark != end)
        form = BlockForm(before=before, after=after, max_length=self.max_length, end=end, overlaps=forwards)
        return encode_blocks(tokenizer, texts, form)

    @property
    def ordinary_ids(self) -> Int[np.ndarray, " V"]:
        """The ids that stand for text: all but the special ones."""
        special = special_ids_of(self._json) | set(self.special_ids.values())
        return np.setdiff1d(np.arange(self.vocabulary_size), np.fromiter(special, np.int64, count=len(special)))

    def count_word_tokens(self, sentences: Sequence[Sequence[str]]) -> Int[np.ndarray, " rows"]:
        """Tokens of each sentence in one piece, special tokens included."""
        tokenizer = build_word_tokenizer(self._json)
        frame = frame_of(tokenizer, unknown=self._unknown_id)
        pieces = word_pieces(tokenizer, sentences, unknown=frame.unknown)
        special = len(frame.before) + len(frame.after)
        return np.array([special + sum(map(len, words)) for words in pieces], dtype=np.int64)

    @property
    def _unknown_id(self) -> int:
        return self.special_ids.get("unk", self.pad_id)

    def with_max_length(self, max_length: int) -> "TextProcessor":
        """The same processor with another longest row.

        Raises:
            ModelError: the model cannot take rows so long.
        """
        if max_length > self.limit:
            raise ModelError(
                f"The model takes at most {self.limit} tokens; {max_length} were asked for.",
                remedy=f"--max-length {self.limit}",
            )
        return self._with(max_length=max_length, chat_template=self.chat_template)

    def with_special(self, ids: Mapping[str, int]) -> "TextProcessor":
        """The same processor with more special tokens, by name."""
        made = self._with(max_length=self.max_length, chat_template=self.chat_template)
        made.special_ids |= ids
        return made

    def with_chat_template(self, template: str | None) -> "TextProcessor":
        """The same processor with another chat template, or none."""
        return self._with(max_length=self.max_length, chat_template=template)

    def _with(self, *, max_length: int, chat_template: str | None) -> "TextProcessor":
        return TextProcessor(
            self._json, max_length=max_length, limit=self.limit, special_ids=self.special_ids, chat_template=chat_template
        )

    def special_tokens(self) -> dict[str, str]:
        """The special tokens as templates call them (`eos_token`), and as `opening` the one that every text begins with."""
        tokens = {f"{name}_token": self.token_of(number) for name, number in self.special_ids.items()}
        first = self._tokenizer.encode("").ids[:1]
        begins = first == [self.special_ids.get("bos")]
        return {**tokens, "opening": tokens["bos_token"] if begins else ""}

    def encode_marked(self, texts: Sequence[str]) -> MarkedRows:
        """Token ids of texts as they stand, with the characters of each token: nothing is put around them or cut off."""
        return encode_marked(_build_tokenizer(self._json), texts)

    def settings(self) -> dict[str, Any]:
        """All that decides the ids, beside the tokenizer itself: JSON types."""
        special = dict(sorted(self.special_ids.items()))
        return {
            "kind": self.kind,
            "max_length": self.max_length,
            "limit": self.limit,
            "special_ids": special,
            "schema_version": 1,
            **({} if self.chat_template is None else {"chat_template": self.chat_template}),
        }

    def fingerprint(self) -> str:
        """A digest of the tokenizer and all settings: equal fingerprints give equal ids."""
        settings = json.dumps(self.settings(), sort_keys=True)
        return hashlib.sha256(f"{settings}\n{self._json}".encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `processor.json` into a folder; `load` reads them back, byte for byte."""
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / TOKENIZER, self._json)
        write_json(folder / PROCESSOR, self.settings())
        if self.chat_template is not None:
            write_text(folder / CHAT_TEMPLATE, self.chat_template)

    @classmethod
    def from_settings(cls, saved: Mapping[str, Any], folder: Path) -> "TextProcessor":
        """From what `settings` gave, and the tokenizer in a folder."""
        text, template = _tokenizer_json(folder), saved.get("chat_template")
        sizes = {"max_length": saved["max_length"], "limit": saved["limit"]}
        return cls(text, **sizes, special_ids=saved["special_ids"], chat_template=template)

    @classmethod
    def load(cls, folder: Path) -> "TextProcessor":
        """From a folder that `save` wrote, or from any Hugging Face folder with a tokenizer.

        Raises:
            ModelError: there is no tokenizer, or it cannot be read.
        """
        saved = _read(folder / PROCESSOR)
        if saved.get("kind") == cls.kind:
            return cls.from_settings(saved, folder)
        text, limit, template = _tokenizer_json(folder), _limit(folder), read_template(folder)
        return cls(text, max_length=limit, limit=limit, special_ids=_special_ids(folder, text), chat_template=template)


def choose_max_length(lengths: Int[np.ndarray, " rows"], model_max: int, *, windows: bool = False) -> Decision[int]:
    """The shortest row length, a multiple of 8, that keeps 99.5 % of all tokens; never above the model's limit.

    Where longer texts are read in windows nothing is lost, and batches are padded to their longest row: from 128 on it is
    enough that 95 % of all tokens stand in the first window of their text.

    Args:
        lengths: Tokens of each training text, uncut.
        model_max: The longest row the model can take.
        windows: Longer texts are read in several windows, and not cut.

    Example:
        >>> choose_max_length(np.array([10, 12, 30]), 512).value
        32
    """
    longest, total = int(lengths.max(initial=1)), int(lengths.sum())
    shortest_fit = _shortest_fit(lengths, COVERED_FRACTION)
    if windows and shortest_fit > LEAST_WINDOW:
        shortest_fit = max(LEAST_WINDOW, _shortest_fit(lengths, COVERED_BY_FIRST_WINDOW))
    value = min(max(shortest_fit, 2 * STEP), model_max)
    cut = int((lengths > value).sum())
    kept = float(np.minimum(lengths, value).sum() / total) if total else 1.0
    keeps = f"{'the first window holds' if windows else 'keeps'} {kept:.1%} of the tokens"
    why = "the model's limit" if value == model_max and longest > value else keeps
    outcome = "longer, and read in several windows" if windows else "cut"
    return Decision(
        name="max_length",
        value=value,
        reason=f"{why}; {cut:,} of {len(lengths):,} texts are {outcome}" if cut else "no text is longer",
        evidence={"longest": longest, "texts_cut": cut, "tokens_kept_fraction": round(kept, 6), "model_limit": model_max},
        override="--max-length N",
    )


def _shortest_fit(lengths: Int[np.ndarray, " rows"], fraction: float) -> int:
    """The shortest row length that keeps such a fraction of all tokens."""
    fit = STEP
    while np.minimum(lengths, fit).sum() < fraction * lengths.sum():
        fit = fit + STEP if fit < 512 else math.ceil(fit * 1.25 / STEP) * STEP
    return fit


def _build_tokenizer(tokenizer_json: str) -> Tokenizer:
    """A tokenizer that neither pads nor cuts."""
    try:
        tokenizer = Tokenizer.from_str(tokenizer_json)
    except Exception as error:  # the library raises plain Exception, nothing narrower
        raise ModelError(
            f"The tokenizer cannot be read: {error}.", remedy="take tokenizer.json from the model's own source again"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _read(path: Path) -> dict[str, Any]:
    content = read_strict_json(path, max_bytes=MAX_CONFIG_BYTES) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _tokenizer_json(folder: Path) -> str:
    path = folder / TOKENIZER
    if not path.is_file():
        return _converted(folder)
    if path.stat().st_size > MAX_TOKENIZER_BYTES:
        raise ModelError(f"{path} is too large to be a tokenizer.", remedy="take it from the model's own source again")
    return path.read_text(encoding="utf-8")


def _converted(folder: Path) -> str:
    """`tokenizer.json` of a folder that has only a vocabulary, made by transformers from a copy of the known files."""
    from transformers import AutoTokenizer

    present = [folder / name for name in VOCABULARIES if (folder / name).is_file()]
    if not present:
        raise ModelError(
            f"{folder} has no tokenizer.json, nor a vocabulary to make one from.",
            remedy=f"copy tokenizer.json from the model's own source into {folder}",
        )
    present += [folder / name for name in ("config.json", "special_tokens_map.json") if (folder / name).is_file()]
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for path in present:
            shutil.copyfile(path, copy / path.name)
        known = {key: value for key, value in _read(folder / "tokenizer_config.json").items() if key in KNOWN_KEYS}
        write_json(copy / "tokenizer_config.json", known)
        try:
            tokenizer = AutoTokenizer.from_pretrained(copy, local_files_only=True, trust_remote_code=False)
            return str(tokenizer.backend_tokenizer.to_str())
        except (OSError, ValueError, AttributeError, ImportError, TypeError) as error:
            held = ", ".join(path.name for path in present)
            raise ModelError(
                f"{folder} has no tokenizer.json, and none can be made from {held} ({error}).",
                remedy=f"put the model's tokenizer.json into {folder}",
            ) from error


def _limit(folder: Path) -> int:
    """The longest row: the smallest of what the tokenizer's and the model's configuration state."""
    stated = [_read(folder / "tokenizer_config.json").get("model_max_length")]
    config = _read(folder / "config.json")
    positions = config.get("max_position_embeddings", config.get("n_positions", config.get("max_target_positions")))
    if isinstance(positions, int) and config.get("model_type") in ROBERTA_LIKE:
        positions -= int(config.get("pad_token_id") or 0) + 1  # their positions start behind the padding id
    stated.append(positions)
    usable = [int(number) for number in stated if isinstance(number, int | float) and 0 < number < 1_000_000]
    return min(usable, default=DEFAULT_LIMIT)


def _special_ids(folder: Path, tokenizer_json: str) -> dict[str, int]:
    named = {**_read(folder / "special_tokens_map.json"), **_read(folder / "tokenizer_config.json")}
    tokenizer = _build_tokenizer(tokenizer_json)
    found = {}
    for name in SPECIAL:
        token = named.get(f"{name}_token")
        content = token.get("content") if isinstance(token, dict) else token
        number = tokenizer.token_to_id(content) if isinstance(content, str) else None
        if number is not None:
            found[name] = int(number)
    for name in ("config.json", "generation_config.json"):  # of an encoder-decoder: what its decoder reads first
        if isinstance(start := _read(folder / name).get("decoder_start_token_id"), int):
            found["start"] = start
    return found
