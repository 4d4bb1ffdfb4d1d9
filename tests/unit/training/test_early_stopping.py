"""When to stop."""

from hypothesis import given
from hypothesis import strategies as st

from luthier.training.early_stopping import EarlyStopping

scores_strategy = st.lists(st.integers(0, 5).map(lambda value: value / 5), min_size=1, max_size=30)


@given(scores=scores_strategy, patience=st.integers(1, 5))
def test_it_stops_once_the_best_is_as_many_evaluations_ago_as_patience(scores: list[float], patience: int) -> None:
    stopping = EarlyStopping(patience=patience)
    for number in range(len(scores)):
        so_far = scores[: number + 1]
        best_place = so_far.index(max(so_far))
        assert stopping.update(scores[number]) == (number - best_place >= patience)
        assert stopping.is_best == (best_place == number)
        assert stopping.best == max(so_far)


def test_patience_does_not_run_out_while_nothing_is_answered() -> None:
    stopping = EarlyStopping(patience=2, silence=-1.0)
    assert [stopping.update(score) for score in (-1.3, -1.0, -1.0, -1.0, -1.0, -0.9, -0.9, -0.95)] == [False] * 7 + [True]
