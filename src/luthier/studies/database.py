"""The database of a study: a file of SQLite or anything SQLAlchemy knows; what it complains of, without passwords."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, ProgrammingError, SQLAlchemyError

from luthier.errors import MissingExtraError, ResourceError, UsageError

HEARTBEAT_SECONDS, GRACE_SECONDS = 10, 60
WAIT_SECONDS = 60  # for a file of SQLite that another process writes to


def open_database(url: str) -> RDBStorage:
    """Optuna's storage in a database, its tables made if they are not there."""
    is_file = file_of(url) is not None
    engine = {"connect_args": {"timeout": WAIT_SECONDS}} if is_file else {"pool_pre_ping": True}
    for is_last in (False, False, True):
        try:
            database = RDBStorage(url, engine_kwargs=engine, heartbeat_interval=HEARTBEAT_SECONDS, grace_period=GRACE_SECONDS)
            break
        except (ProgrammingError, IntegrityError):  # another machine makes the tables at this moment
            if is_last:
                raise
            time.sleep(1)
    if is_file:
        _write_ahead(database)
    return database


def file_of(url: str) -> Path | None:
    """The file of an SQLite database; None for servers, and for what is only in memory."""
    address = make_url(url)
    return Path(address.database) if address.get_backend_name() == "sqlite" and address.database else None


@contextmanager
def naming_the_study(url: str) -> Iterator[None]:
    """What the database complains of, without the password.

    Raises:
        ResourceError: it cannot be reached, or went away meanwhile.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise ResourceError(
            f"The study {shown_url(url)} cannot be read or written: {first_line(error.__cause__ or error)}",
            remedy="see that the database is there and takes connections, and go on with --resume; no trial is lost",
        ) from None


def _write_ahead(database: RDBStorage) -> None:
    """Let SQLite sync its log now and then instead of at each of the some 25 writes of a trial.

    A killed process loses nothing by it; a power cut may lose the last trials, which are then made again.
    """

    def set_up(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(database.engine, "connect", set_up)
    database.engine.dispose()


def refuse_address(url: str) -> None:
    """Refuse a URL that is none, or whose driver is missing.

    Raises:
        UsageError: it is none.
        MissingExtraError: the driver is not installed.
    """
    try:
        if "@" in (make_url(url).host or ""):
            raise ValueError("an @ in a user's name or password is written %40")
        make_url(url).get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise UsageError(
            f"The study cannot be opened: {first_line(error)}",
            remedy="--study postgresql+psycopg://user@host/database, or leave it out: a file in the search folder",
        ) from None
    except ImportError:
        raise MissingExtraError("postgres", needed_for=f"the study {shown_url(url)}") from None


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Neither lines in the log nor warnings that heartbeats (and the like) may change: the version is pinned."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def shown_url(url: str) -> str:
    """A URL as anybody may read it.

    Example:
        >>> shown_url("postgresql+psycopg://ada:secret@host/db")
        'postgresql+psycopg://ada:***@host/db'
    """
    return make_url(url).render_as_string(hide_password=True)


def without_password(url: str) -> str:
    """A URL as it may be kept in a file.

    Example:
        >>> without_password("postgresql+psycopg://ada:secret@host/db")
        'postgresql+psycopg://ada@host/db'
    """
    parts = make_url(url)
    bare = URL.create(parts.drivername, parts.username, None, parts.host, parts.port, parts.database, parts.query)
    return bare.render_as_string(hide_password=False)


def first_line(error: BaseException) -> str:
    """What an error says, in a line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
