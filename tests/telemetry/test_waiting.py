"""The queue before an exporter: bounded in items and in what they weigh."""

from __future__ import annotations

from telemetry.waiting import MOST_TOGETHER, MOST_WAITING, Waiting, weight


def test_items_come_out_in_order_and_in_batches() -> None:
    waiting: Waiting[int] = Waiting(5, 2, None)
    assert [waiting.put(n) for n in range(6)] == [True] * 5 + [False]
    assert waiting.batch_waits
    assert [waiting.take() for _ in range(4)] == [[0, 1], [2, 3], [4], []]
    assert not waiting.batch_waits


def test_what_is_heavy_waits_in_smaller_number_and_goes_in_smaller_batches() -> None:
    heavy = "x" * (MOST_TOGETHER // 2)
    waiting: Waiting[str] = Waiting(1_000, 500, len)
    most = MOST_WAITING // len(heavy)
    assert [waiting.put(heavy) for _ in range(most + 1)] == [True] * most + [False]
    assert waiting.put("")
    assert [len(waiting.take()) for _ in range(most // 2)] == [2] * (most // 2 - 1) + [3]
    assert waiting.put(heavy)


def test_what_is_too_heavy_for_a_batch_goes_alone() -> None:
    waiting: Waiting[str] = Waiting(10, 10, len)
    for text in ("a", "x" * (MOST_TOGETHER + 1), "b"):
        assert waiting.put(text)
    assert [len("".join(waiting.take())) for _ in range(3)] == [1, MOST_TOGETHER + 1, 1]


def test_clearing_gives_the_room_back() -> None:
    waiting: Waiting[str] = Waiting(10, 10, len)
    assert waiting.put("x" * MOST_WAITING)
    assert (waiting.put("x"), waiting.clear(), waiting.put("x")) == (False, 1, True)


def test_weight_of_attributes() -> None:
    assert weight({"a": "xx", "b": ["x", {"c": "xxx"}], "n": 7}) == 7
