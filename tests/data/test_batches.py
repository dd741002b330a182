"""Order, splits, padding, and the thread that works ahead."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from graphdsl.data import Batches, Bound, Dataset, Dense, EachSample, Feed, Wanted, arrays, bind, bucket, split
from graphdsl.data.augment import Flip, Shift
from graphdsl.data.prefetch import prefetch
from graphdsl.ir import BATCH, DType, TensorType, indices, symbol
from graphdsl.report import Failed, fail

T = symbol("T")


def numbers(count: int) -> Bound:
    return bind(arrays({"x": np.arange(float(count))}), [Wanted("x", "input", TensorType((BATCH, 1)))])


def seen(batches: Batches, epoch: int = 0, start: int = 0) -> list[int]:
    return [int(x) for batch in batches.epoch(epoch, start=start) for x in batch.arrays["x"][:, 0]]


def test_every_row_once_in_an_order_that_seed_and_epoch_decide() -> None:
    batches = Batches(numbers(100), 32, shuffle=True, seed=3)
    first, again, second = seen(batches), seen(batches), seen(batches, 1)
    assert sorted(first) == list(range(100)) == sorted(second)
    assert first == again != second
    assert first != seen(Batches(numbers(100), 32, shuffle=True, seed=4))
    assert seen(Batches(numbers(100), 32)) == list(range(100))


def test_the_last_batch_is_kept_unless_it_is_not_wanted() -> None:
    assert [len(b) for b in Batches(numbers(70), 32).epoch()] == [32, 32, 6]
    assert [len(b) for b in Batches(numbers(70), 32, drop_last=True).epoch()] == [32, 32]
    assert (len(Batches(numbers(70), 32)), len(Batches(numbers(64), 32))) == (3, 2)


def test_an_epoch_can_go_on_in_its_middle() -> None:
    batches = Batches(numbers(70), 32, shuffle=True)
    assert seen(batches, 5, start=1) == seen(batches, 5)[32:]


def people(labels: list[int]) -> Bound:
    data = arrays({"x": np.arange(float(len(labels))), "who": np.array(labels)})
    who = TensorType((BATCH,), DType.INT32, indices(5))
    return bind(data, [Wanted("x", "input", TensorType((BATCH, 1))), Wanted("who", "target", who)])


def test_so_many_of_each_class() -> None:
    """Groups of one class; a class with few is taken again, what is left over waits for another epoch."""
    labels = [0] * 9 + [1] * 2 + [2] * 4 + [4] * 8
    batches = Batches(people(labels), 8, shuffle=True, seed=1, each=4)
    assert len(batches) == 3
    rows: set[int] = set()
    for epoch in range(6):
        for batch in batches.epoch(epoch):
            groups = batch.arrays["who"].reshape(-1, 4)
            assert (groups == groups[:, :1]).all()
        order = seen(batches, epoch)
        assert len(order) == 24 and order == seen(batches, epoch)
        assert seen(batches, epoch, start=1) == order[8:]
        rows |= {*order}
    assert rows == {*range(len(labels))}
    assert seen(batches) != seen(batches, 1)


@pytest.mark.triggers("E0518")
def test_of_each_class_where_there_is_none() -> None:
    with pytest.raises(Failed, match=r"E0518.*0 targets are classes"):
        next(Batches(numbers(8), 4, each=2).epoch())


def test_splits() -> None:
    train, valid = split(10, 0.2, seed=1)
    assert sorted([*train, *valid]) == list(range(10)) and len(valid) == 2
    np.testing.assert_array_equal(split(10, 0.2, seed=1)[1], valid)
    assert split(1000, 0.2, seed=1)[1].tolist() != split(1000, 0.2, seed=2)[1].tolist()
    assert split(10, 0.2, shuffle=False)[1].tolist() == [8, 9], "without shuffling it is the end"
    assert len(split(10, 0.0)[1]) == 0
    for fraction in (0.01, 0.99):
        with pytest.raises(Failed, match="E0518"):
            split(10, fraction)


def test_a_split_of_bound_data() -> None:
    train, valid = (numbers(20).only(rows) for rows in split(20, 0.25, seed=7))
    assert sorted(seen(Batches(train)) + seen(Batches(valid))) == list(range(20))
    assert len(valid) == 5


def test_the_end_of_what_has_an_order_and_a_gap_before_it() -> None:
    train, valid = split(20, 0.25, shuffle=False, gap=3)
    assert (train.tolist(), valid.tolist()) == (list(range(12)), list(range(15, 20)))
    assert len(split(20, 0.0, shuffle=False, gap=3)[0]) == 20, "no end, no gap"
    with pytest.raises(Failed, match="leaves 5 to validate and 0 to train on"):
        split(20, 0.25, shuffle=False, gap=15)


@pytest.mark.parametrize(
    ("length", "size"), [(1, 8), (8, 8), (9, 12), (13, 16), (17, 24), (25, 32), (33, 48), (100, 128)]
)
def test_buckets(length: int, size: int) -> None:
    assert bucket(length) == size


def sequences(*lengths: int) -> list[np.ndarray]:
    return [np.full((n, 2), float(n)) for n in lengths]


def test_sequences_are_padded_with_zeros_to_a_common_bucket() -> None:
    data = arrays({"left": sequences(3, 9, 1, 40), "right": sequences(2, 2, 20, 2)})
    sides = [Wanted(name, "input", TensorType((BATCH, T, 2))) for name in ("left", "right")]
    one, two = Batches(bind(data, sides), 2).epoch()
    assert one.sizes == {"batch": 2, "T": 12}
    assert two.sizes == {"batch": 2, "T": 40}, "never beyond the longest of all, though the bucket is 48"
    assert one.lengths["left"].tolist() == [3, 9] and one.lengths["right"].dtype == np.int32
    assert one.arrays["right"].shape == (2, 12, 2), "one name is one size"
    assert one.arrays["left"][0, :, 0].tolist() == [3.0] * 3 + [0.0] * 9


def test_fixed_and_ragged_columns_may_share_a_size() -> None:
    data = arrays({"a": sequences(3, 9), "b": np.ones((2, 5))})
    wanted = [Wanted("a", "input", TensorType((BATCH, T, 2))), Wanted("b", "target", TensorType((BATCH, T)))]
    [batch] = Batches(bind(data, wanted)).epoch()
    assert batch.sizes["T"] == 9
    assert batch.arrays["b"][0].tolist() == [1.0] * 5 + [0.0] * 4
    assert batch.lengths["b"].tolist() == [5, 5]


def test_equally_long_rows_are_not_padded() -> None:
    [batch] = Batches(bind(arrays({"x": np.ones((3, 5))}), [Wanted("x", "input", TensorType((BATCH, T)))])).epoch()
    assert batch.sizes == {"batch": 3, "T": 5}
    assert batch.lengths["x"].tolist() == [5, 5, 5]


def pictures(*changes: Flip | Shift | EachSample) -> Bound:
    image = np.random.default_rng(0).random((40, 6, 6, 1)).astype(np.float32)
    return bind(arrays({"x": image}), [Wanted("x", "input", TensorType((BATCH, 6, 6, 1)))], augments={"x": changes})


def test_augmentation_is_decided_by_seed_epoch_and_batch() -> None:
    def epoch(number: int, start: int = 0, **settings: int) -> np.ndarray:
        batches = Batches(pictures(Flip(), Shift(0.2)), 16, training=True, **settings)  # type: ignore[arg-type]
        return np.concatenate([b.arrays["x"] for b in batches.epoch(number, start=start)])

    np.testing.assert_array_equal(epoch(1), epoch(1, ahead=0))
    np.testing.assert_array_equal(epoch(1)[16:], epoch(1, start=1))
    assert (epoch(1) != epoch(2)).any()
    assert (epoch(1) != epoch(1, seed=9)).any()


def test_validation_sees_pictures_as_they_are() -> None:
    bound = pictures(Flip(1.0))
    [still] = Batches(bound, 40).epoch()
    [moved] = Batches(bound, 40, training=True).epoch()
    np.testing.assert_array_equal(still.arrays["x"], moved.arrays["x"][:, :, ::-1])


def test_a_python_function_for_each_sample() -> None:
    bound = pictures(EachSample(lambda image, generator: image * 0 + generator.integers(5)))
    [batch] = Batches(bound, 40, training=True).epoch()
    assert len(np.unique(batch.arrays["x"])) > 1


# --- the thread ------------------------------------------------------------------------------------------------------


def working() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_all_items_in_order(ahead: int) -> None:
    assert list(prefetch(lambda: range(20), ahead)) == list(range(20))
    assert working() == 0


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_error_arrives_after_the_items_before_it(ahead: int) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise fail("E0507", "cannot read")

    stream = prefetch(items, ahead)
    assert next(stream) == 1
    with pytest.raises(Failed, match="E0507"):
        next(stream)
    assert working() == 0


def test_the_thread_ends_when_the_consumer_does() -> None:
    stream = prefetch(itertools.count, 2)
    assert next(stream) == 0 and working() == 1
    stream.close()  # type: ignore[attr-defined]
    assert working() == 0


def test_the_thread_ends_when_the_consumer_is_interrupted() -> None:
    def consume() -> None:
        for item in prefetch(itertools.count, 2):
            if item == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert working() <= 1, "the frame may live in the traceback"


def test_no_more_than_ahead_is_made() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    stream = prefetch(items, 2)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert len(made) <= 5


def test_three_parts_that_share_no_row() -> None:
    feed = Feed(Dataset({"x": Dense(np.zeros(100))}), valid=0.2, test=0.3)
    train, valid, test = feed.parts(100, seed=1)
    assert [len(train), len(valid), len(test)] == [50, 20, 30]
    assert sorted([*train, *valid, *test]) == list(range(100))
    assert test.tolist() != feed.parts(100, seed=2)[2].tolist()
    alone = Feed(Dataset({"x": Dense(np.zeros(100))}), valid=0.2)
    assert [part.tolist() for part in alone.parts(100, 0)[:2]] == [part.tolist() for part in split(100, 0.2)]
    for wrong in (Feed(feed.dataset, valid=0.5, test=0.5), Feed(feed.dataset, test=0.001)):
        with pytest.raises(Failed, match="E0518"):
            wrong.parts(100, 0)
