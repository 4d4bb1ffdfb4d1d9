"""Processes that are killed on purpose: forked from one that has imported everything, ended by SIGKILL at a chosen moment.

A child says where it is by single letters through a pipe: `B` it has begun, `S` a save begins, `E` that save has ended. Threads
do not survive a fork, so nothing may have used more than one before.
"""

import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Tell = Callable[[str], None]
Work = Callable[[Tell], None]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When a child is killed: so many seconds after the N-th time it has said a letter."""

    letter: str
    number: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a child ended.

    Attributes:
        exit_code: 0 where it came to its end; negative where it was killed.
        in_save: Whether it was between `S` and `E` when it was killed.
        said: What it said, with the seconds since its start.
    """

    exit_code: int
    in_save: bool
    said: list[tuple[str, float]]

    @property
    def was_killed(self) -> bool:
        """Whether it was killed before it came to its end."""
        return self.exit_code == -signal.SIGKILL

    def seconds_from(self, letter: str) -> float:
        """From the first time it said a letter to its end."""
        return self.said[-1][1] - next(when for said, when in self.said if said == letter)

    def saves(self) -> list[float]:
        """How long each save took."""
        times = [(letter, when) for letter, when in self.said if letter in "SE"]
        return [end - begin for (_, begin), (_, end) in zip(times[::2], times[1::2], strict=False)]


def run_child(work: Work, *, log: Path, moment: Moment | None = None) -> Ended:
    """Run some work in a fork of this process, and kill it at a moment.

    Args:
        work: Gets the function by which it says letters.
        log: What it prints goes here.
    """
    reading, writing = os.pipe()
    start = time.perf_counter()
    child = os.fork()
    if not child:
        os.close(reading)
        _work(work, writing, log)
    os.close(writing)
    said: list[tuple[str, float]] = []
    deadline = None
    while True:
        left = None if deadline is None else max(0.0, deadline - time.perf_counter())
        ready, _, _ = select.select([reading], [], [], left)
        if not ready:
            os.kill(child, signal.SIGKILL)
            break
        letters = os.read(reading, 4096).decode()
        now = time.perf_counter()
        said += [(letter, now - start) for letter in letters]
        if not letters:
            break
        if moment is not None and deadline is None and [letter for letter, _ in said].count(moment.letter) >= moment.number:
            deadline = now + moment.seconds
    _, status = os.waitpid(child, 0)
    # What it still said between our decision and its end counts: only then is it known where it was.
    said += [(letter, time.perf_counter() - start) for letter in os.read(reading, 4096).decode()]
    os.close(reading)
    letters = [letter for letter, _ in said if letter in "SE"]
    said.append((".", time.perf_counter() - start))
    return Ended(exit_code=os.waitstatus_to_exitcode(status), in_save=letters[-1:] == ["S"], said=said)


def _work(work: Work, writing: int, log: Path) -> None:
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        work(lambda letter: os.write(writing, letter.encode()) and None)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def random_moment(straight: Ended, generator: random.Random, *, in_save: bool) -> Moment:
    """A moment at which a child that does what an undisturbed one did is killed.

    Args:
        in_save: Inside one of its saves; otherwise anywhere between its beginning and its end.
    """
    if not in_save:
        return Moment(letter="B", number=1, seconds=generator.uniform(0, straight.seconds_from("B")))
    saves = straight.saves()
    number = generator.randrange(len(saves))
    return Moment(letter="S", number=number + 1, seconds=generator.uniform(0, saves[number]))


def kill_at_random(work: Work, straight: Ended, generator: random.Random, *, log: Path, in_save: bool) -> Ended:
    """Kill a child at random; once more where it was quicker than that. The work must begin from the same state each time."""
    while True:
        ended = run_child(work, log=log, moment=random_moment(straight, generator, in_save=in_save))
        if ended.was_killed and (ended.in_save or not in_save) and any(letter == "B" for letter, _ in ended.said):
            return ended
