"""Pre-processing without transformers gives what transformers gives; what is unfit is refused."""

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from luthier.errors import DataError, ModelError
from luthier.models.catalogue import find_entry
from luthier.models.image_processor import ImageProcessor, center_crop, open_image, short_edge_size
from luthier.models.image_settings import settings_from_config
from luthier.models.processors import TextProcessor, choose_max_length, load_processor
from luthier.models.settings import ModelSettings
from luthier.models.source import resolve_model

ODD = [
    "",
    " ",
    "a",
    "ÄÖÜ ß straße",
    "\x00nul\x07",
    "emoji 👩‍👩‍👧 🇻🇳",
    "中文 tiếng Việt العربية",
    "[MASK] [SEP] <s>",
    "x" * 900,
    "a " * 600,
]
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "my",
    "card",
    "never",
    "arrived",
    "##s",
    "Card",
    ".",
    "##d",
    "c",
    "a",
    "##r",
]


@pytest.fixture(scope="module")
def minilm() -> Path:
    return resolve_model(ModelSettings(), modality="text").folder


@pytest.fixture
def vocabulary_folder(tmp_path: Path) -> Path:
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": 32}))
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "pad_token": "[PAD]", "auto_map": {"x": "y.Z"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return tmp_path


def ids_of(rows: Any) -> list[list[int]]:
    return [rows.row(number).tolist() for number in range(len(rows))]


@pytest.mark.shared_data
def test_ids_equal_those_of_transformers_on_real_texts(shared: Path, minilm: Path) -> None:
    from transformers import AutoTokenizer

    with (shared / "data" / "banking77" / "train.csv").open(newline="", encoding="utf-8") as file:
        texts = [row[0] for row, _ in zip(csv.reader(file), range(300), strict=False)] + ODD
    oracle = AutoTokenizer.from_pretrained(minilm, local_files_only=True)
    for max_length in (8, 64, 512):
        processor = TextProcessor.load(minilm).with_max_length(max_length)
        expected = oracle(texts, truncation=True, max_length=max_length)["input_ids"]
        assert ids_of(processor.encode(texts)) == expected


def test_pairs_carry_the_types_that_transformers_gives(minilm: Path) -> None:
    from transformers import AutoTokenizer

    first, second = ["my card", "a b c d e f g h"], ["never arrived at all", "x"]
    rows = TextProcessor.load(minilm).with_max_length(8).encode(first, second)
    expected = AutoTokenizer.from_pretrained(minilm, local_files_only=True)(first, second, truncation=True, max_length=8)
    assert ids_of(rows) == expected["input_ids"]
    assert rows.type_ids is not None
    assert rows.type_ids.tolist() == [number for row in expected["token_type_ids"] for number in row]


def make_tokenizer_folder(family: str, folder: Path) -> Path:
    """A small tokenizer of a family, trained here and saved as transformers saves it."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    corpus = ["my card never arrived", "where is my parcel?", "Ärger mit der Karte", "the card was declined twice"] * 3
    if family == "t5":
        unigram = Tokenizer(models.Unigram())
        unigram.pre_tokenizer = pre_tokenizers.Metaspace()
        special = ["<pad>", "</s>", "<unk>"]
        unigram.train_from_iterator(corpus, trainers.UnigramTrainer(vocab_size=60, special_tokens=special, unk_token="<unk>"))
        pieces = [tuple(piece) for piece in json.loads(unigram.to_str())["model"]["vocab"]]
        transformers.T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder)
        return folder
    special = {"gpt2": ["<|endoftext|>"], "roberta": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]}[family]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=alphabet))
    model = json.loads(bpe.to_str())["model"]
    kind = {"gpt2": transformers.GPT2Tokenizer, "roberta": transformers.RobertaTokenizer}[family]
    kind(vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]]).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", ["roberta", "gpt2", "t5"])
def test_ids_equal_those_of_transformers_for_other_families(family: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = make_tokenizer_folder(family, tmp_path)
    oracle = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    processor = TextProcessor.load(folder).with_max_length(12)
    texts = [*ODD, "my card never arrived", "Where is the card? <mask> </s> it was declined twice, twice, twice and twice"]
    assert ids_of(processor.encode(texts)) == oracle(texts, truncation=True, max_length=12)["input_ids"]
    assert processor.special_ids["eos"] == oracle.eos_token_id
    assert processor.pad_id == (oracle.eos_token_id if family == "gpt2" else oracle.pad_token_id)


def test_a_folder_with_only_a_vocabulary_gets_a_tokenizer(vocabulary_folder: Path) -> None:
    processor = TextProcessor.load(vocabulary_folder)
    tokens = [processor.token_of(number) for number in processor.encode(["my Card cards never"]).row(0)]
    assert tokens == ["[CLS]", "my", "Card", "card", "##s", "never", "[SEP]"]
    assert processor.limit == 32


def test_special_ids_and_limit_come_from_the_folder(minilm: Path) -> None:
    processor = TextProcessor.load(minilm)
    vocabulary = (minilm / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert processor.pad_id == vocabulary.index("[PAD]")
    assert processor.special_ids["mask"] == vocabulary.index("[MASK]")
    assert processor.limit == json.loads((minilm / "config.json").read_text())["max_position_embeddings"]
    assert processor.vocabulary_size == len(vocabulary)


def test_a_saved_text_processor_comes_back_the_same(minilm: Path, tmp_path: Path) -> None:
    before = TextProcessor.load(minilm).with_max_length(24)
    before.save(tmp_path)
    after = load_processor(tmp_path, "text")
    assert isinstance(after, TextProcessor)
    assert after.fingerprint() == before.fingerprint()
    assert ids_of(after.encode(ODD)) == ids_of(before.encode(ODD))


def test_a_fingerprint_changes_with_the_length_and_with_the_vocabulary(minilm: Path, vocabulary_folder: Path) -> None:
    processor = TextProcessor.load(minilm)
    prints = {
        processor.fingerprint(),
        processor.with_max_length(64).fingerprint(),
        TextProcessor.load(vocabulary_folder).fingerprint(),
    }
    assert len(prints) == 3


def test_a_length_above_the_limit_is_refused(minilm: Path) -> None:
    with pytest.raises(ModelError, match="at most 512 tokens; 600") as caught:
        TextProcessor.load(minilm).with_max_length(600)
    assert caught.value.remedy == "--max-length 512"


def test_a_damaged_tokenizer_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0", "model": {}}')
    with pytest.raises(ModelError, match="cannot be read"):
        TextProcessor.load(tmp_path)


def test_a_folder_without_any_tokenizer_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        TextProcessor.load(tmp_path)


def test_roberta_positions_begin_behind_the_padding(vocabulary_folder: Path) -> None:
    TextProcessor.load(vocabulary_folder).save(vocabulary_folder)
    (vocabulary_folder / "processor.json").unlink()
    config = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    (vocabulary_folder / "config.json").write_text(json.dumps(config))
    assert TextProcessor.load(vocabulary_folder).limit == 512


def test_counting_tokens_ignores_the_cut(minilm: Path) -> None:
    processor = TextProcessor.load(minilm).with_max_length(8)
    assert processor.count_tokens(["a " * 100]).tolist() == [102]
    assert processor.encode(["a " * 100]).lengths.tolist() == [8]


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=60), st.integers(16, 1024))
def test_the_chosen_length_keeps_the_tokens_or_is_the_limit(lengths: list[int], model_max: int) -> None:
    decision = choose_max_length(np.array(lengths), model_max)
    kept = sum(min(length, decision.value) for length in lengths) / sum(lengths)
    assert decision.value <= model_max
    assert kept >= 0.995 or decision.value == model_max
    assert decision.evidence["texts_cut"] == sum(length > decision.value for length in lengths)


def test_the_chosen_length_is_no_longer_than_needed() -> None:
    lengths = np.array([20] * 990 + [300] * 2)
    assert choose_max_length(lengths, 512).value < 300
    assert choose_max_length(np.array([40, 41, 33]), 512).value == 48


# ------------------------------------------------------------------------------------------------------------- images


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.shared_data
def test_pixels_equal_those_of_transformers_on_photographs(shared: Path) -> None:
    from transformers import AutoImageProcessor

    folder = shared / "weights" / "mobilenet_v2_hf"
    oracle = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    processor = ImageProcessor.load(folder)
    paths = sorted((shared / "data" / "hymenoptera").rglob("*.jpg"))[::20]
    assert len(paths) > 10
    for path in paths:
        with Image.open(path) as image:
            assert image.getexif().get(274, 1) == 1, "parity holds for images without an orientation"
            expected = oracle(image.convert("RGB"), return_tensors="np")["pixel_values"][0]
        pixels = processor.normalise(processor.read(path))
        assert pixels.dtype == np.float32
        np.testing.assert_array_equal(pixels, expected)


CONFIGS: dict[str, dict[str, Any]] = {
    "vit": {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 24}, "image_mean": [0.5] * 3},
    "vit, old form": {"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "resample": 2},
    "convnext, below 384": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 32}, "resample": 3},
    "resnet, old form": {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 32, "crop_pct": 0.875, "resample": 3},
    "dinov2": {
        "image_processor_type": "BitImageProcessor",
        "size": {"shortest_edge": 40},
        "crop_size": {"height": 32, "width": 32},
        "resample": 3,
    },
    "crop larger than the image": {
        "image_processor_type": "BitImageProcessor",
        "do_resize": False,
        "crop_size": {"height": 91, "width": 90},
    },
    "no normalisation": {"image_processor_type": "ViTImageProcessor", "size": 32, "do_normalize": False},
    "deit": {"image_processor_type": "DeiTImageProcessor", "size": 40, "crop_size": 32, "resample": 3},
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("shape", [(70, 50), (50, 71), (33, 33)])
def test_pixels_equal_those_of_transformers_for_other_families(name: str, shape: tuple[int, int], tmp_path: Path) -> None:
    from transformers import AutoImageProcessor

    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CONFIGS[name]))
    noise(*shape).save(tmp_path / "image.png")
    oracle = AutoImageProcessor.from_pretrained(tmp_path, local_files_only=True)
    with Image.open(tmp_path / "image.png") as image:
        expected = oracle(image, return_tensors="np")["pixel_values"][0]
    processor = ImageProcessor.load(tmp_path)
    np.testing.assert_allclose(processor.normalise(processor.read(tmp_path / "image.png")), expected, rtol=0, atol=1e-6)


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    upright = noise(40, 20)
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: rotate by 270 degrees to see it upright
    upright.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    upright.save(tmp_path / "upright.png")
    assert np.array_equal(np.asarray(open_image(tmp_path / "turned.png")), np.asarray(open_image(tmp_path / "upright.png")))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_colour_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    suffix = ".tiff" if mode == "CMYK" else ".png"
    grey = Image.fromarray(np.full((8, 8), 204, dtype=np.uint8))
    image = (
        Image.fromarray(np.full((8, 8), 204 * 256, dtype=np.uint16)) if mode == "I;16" else grey.convert("RGB").convert(mode)
    )
    image.save(tmp_path / f"image{suffix}")
    pixels = np.asarray(open_image(tmp_path / f"image{suffix}"))
    assert pixels.shape == (8, 8, 3)
    assert abs(pixels.mean() - 204) <= (51 if mode == "1" else 2)  # black and white alone are dithered


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of one pixel with another size in its header: small on disk, huge when decoded."""
    from struct import pack
    from zlib import crc32

    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = pack(">II", width, height)
    content[29:33] = pack(">I", crc32(bytes(content[12:29])))
    return bytes(content)


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_a_huge_image_is_refused_from_its_header(side: int, tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png_that_claims(side, side))
    with pytest.raises(DataError, match=r"bomb\.png has .* at most 50 million"):
        open_image(tmp_path / "bomb.png")


def test_a_long_strip_is_refused_before_it_is_scaled(tmp_path: Path) -> None:
    Image.new("RGB", (200_000, 1)).save(tmp_path / "strip.png")
    config = settings_from_config(CONFIGS["dinov2"], tmp_path)
    with pytest.raises(DataError, match=r"strip\.png has the shape 200,000 x 1, which scales to 8,000,000 x 40"):
        ImageProcessor(config).read(tmp_path / "strip.png")


def test_broken_files_are_named(tmp_path: Path) -> None:
    noise(64, 64).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    broken = {
        "half.jpg": content[: len(content) // 2],
        "empty.jpg": b"",
        "text.png": b"not an image",
        "cut.png": png_that_claims(9, 9),
    }
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=rf"{name} cannot be read as an image"):
            open_image(tmp_path / name)
    with pytest.raises(DataError, match="There is no file"):
        open_image(tmp_path / "missing.jpg")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks on damaged TIFF tags
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_anywhere_gives_an_image_or_our_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    format_name = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"]))
    buffer = io.BytesIO()
    noise(12, 12).save(buffer, format_name)
    content = bytearray(buffer.getvalue())
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=12)):
        content[place] = value
    path = tmp_path_factory.mktemp("damaged") / "image"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(DataError):
        assert open_image(path).mode == "RGB"


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 400))
def test_the_short_edge_gets_its_length(height: int, width: int, edge: int) -> None:
    assert min(short_edge_size(height, width, edge)) == edge


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_a_crop_has_the_size_asked_for(height: int, width: int, crop_height: int, crop_width: int) -> None:
    cropped = center_crop(np.ones((3, height, width), np.uint8), (crop_height, crop_width))
    assert cropped.shape == (3, crop_height, crop_width)
    assert cropped.sum() == 3 * min(height, crop_height) * min(width, crop_width)


def test_a_saved_image_processor_comes_back_the_same(tmp_path: Path) -> None:
    for name, config in CONFIGS.items():
        before = ImageProcessor(settings_from_config(config, tmp_path))
        before.save(tmp_path / name)
        after = load_processor(tmp_path / name, "image")
        assert after.fingerprint() == before.fingerprint()
    assert len({ImageProcessor.load(tmp_path / name).fingerprint() for name in CONFIGS}) >= len(CONFIGS) - 2


def test_steps_that_are_not_known_are_refused(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text('{"do_pad": true, "rescale_offset": true}')
    with pytest.raises(ModelError, match="do_pad, rescale_offset"):
        ImageProcessor.load(tmp_path)


def test_a_size_out_of_range_is_refused(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 1000000, "width": 1000000}}')
    with pytest.raises(ModelError, match="1000000 x 1000000"):
        ImageProcessor.load(tmp_path)


def test_the_default_text_model_is_small_enough_for_this_machine() -> None:
    assert find_entry("minilm").download_bytes < 100 * 1024**2


def test_long_texts_that_are_read_in_windows_need_no_row_as_long_as_the_longest() -> None:
    lengths = np.array([150] * 90 + [600] * 10)
    whole, windows = (choose_max_length(lengths, 512, windows=is_windowed) for is_windowed in (False, True))
    assert whole.value == 512
    assert 150 <= windows.value < 512
    assert windows.reason.startswith("the first window holds 95")
    assert windows.reason.endswith("10 of 100 texts are longer, and read in several windows")
    short = np.array([10] * 90 + [60] * 10)
    assert choose_max_length(short, 512, windows=True).value == choose_max_length(short, 512).value
