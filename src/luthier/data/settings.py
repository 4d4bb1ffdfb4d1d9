"""What can be said about the data of a run."""

from typing import Literal

from pydantic import Field

from luthier.core.settings import Settings


class DataSettings(Settings):
    """Columns, parts and cleaning."""

    target: str | None = Field(None, description="Column that holds the answer")
    text: str | None = Field(None, description="Column that holds the text")
    text_pair: str | None = Field(None, description="Column that holds a second text, to be read together with the first")
    negative: str | None = Field(
        None, description="Column that holds a text that does not belong to the first, though it may look so (a hard negative)"
    )
    answer_start: str | None = Field(
        None, description="Column that says at which character of the context the answer to a question begins"
    )
    image: str | None = Field(None, description="Column that holds the path of an image")
    audio: str | None = Field(None, description="Column that holds the path of a recording")
    group: str | None = Field(
        None, description="Column whose equal values must stay on one side of the split (a user, a video)"
    )
    time: str | None = Field(None, description="Column to split by: the oldest rows train, the newest test")
    in_order: bool = Field(
        False, description="Rows stand in order of time as they are, without a column that says so: the last ones test"
    )
    ignore: tuple[str, ...] = Field((), description="Columns to use for nothing")
    features: tuple[str, ...] = Field(
        (), description="Columns that a model of tables reads (default: all that play no other part)"
    )
    train: str | None = Field(None, description="File or folder of the training part")
    validation: str | None = Field(None, description="File or folder of the validation part")
    test: str | None = Field(None, description="File or folder of the test part")
    unlabelled: str | None = Field(
        None, description="File of further rows without answers: a table's network is pre-trained on them too"
    )
    split: str = Field("80/10/10", description="Percentages of train/validation/test, where they are not given")
    overlap: Literal["drop", "error", "keep"] = Field(
        "drop", description="What to do with train and validation rows that also occur in test (and train rows in validation)"
    )
    duplicates: Literal["drop", "keep"] = Field("drop", description="What to do with repeated rows inside a part")
    conflicts: Literal["drop", "keep", "error"] = Field(
        "drop", description="What to do with equal inputs that have different labels, outside of test"
    )
    rare_classes: Literal["drop", "keep", "error"] = Field(
        "error",
        description="What to do with classes of one row, which cannot be in train and be scored (keep: they only train)",
    )
    bad_rows: Literal["drop", "keep", "error"] = Field(
        "drop", description="What to do with rows that have too many or too few cells (keep: fill up or cut off)"
    )
    label_delimiter: str | None = Field(
        None, min_length=1, description="What stands between labels, where one cell of the target holds several: ';'"
    )
    delimiter: str | None = Field(None, description="Character between cells, where guessing is wrong")
    general: str | None = Field(
        None, description="Texts of no domain in particular (a file or folder): how well a model tells them before and after"
    )
    general_text: str | None = Field(None, description="Their column with the texts, if they are a table")
    general_share: float = Field(
        0.0, ge=0, lt=1, description="Share of general texts, in characters, among those that are learnt from"
    )
    max_rows: int | None = Field(None, ge=1, description="Use at most this many rows, drawn at random with the seed")
