"""Queues with an end: nobody waits for ever, and nobody gets the answer of another."""

import asyncio
import threading
import time

import pytest

from prodrec.apps.batching import MicroBatcher, Overloaded, RateLimit, WorkPool, retry_after


def run(work):
    return asyncio.run(work)


def test_each_gets_its_own_answer_in_batches_of_the_limit():
    async def many():
        batcher = MicroBatcher(lambda items: [i * i for i in items], limit=8)
        answers = await asyncio.gather(*(batcher.ask(n) for n in range(100)))
        assert batcher.close()
        return answers, batcher.sizes

    answers, sizes = run(many())
    assert answers == [n * n for n in range(100)] and max(sizes) == 8 and sum(sizes) == 100


def test_a_full_queue_refuses_and_recovers():
    async def crowd():
        batcher = MicroBatcher(lambda items: time.sleep(0.05) or items, limit=1, waiting=3)
        answers = await asyncio.gather(*(batcher.ask(n) for n in range(20)), return_exceptions=True)
        later = await batcher.ask("later")
        batcher.close()
        return answers, later

    answers, later = run(crowd())
    refused = [a for a in answers if isinstance(a, Overloaded)]
    assert later == "later" and 15 <= len(refused) <= 17 and all(a.retry >= 1 for a in refused)


def test_who_has_waited_too_long_is_refused_and_not_answered():
    seen = []

    async def late():
        batcher = MicroBatcher(
            lambda items: (seen.extend(items), time.sleep(0.2), items)[2], limit=1, patience=0.1
        )
        answers = await asyncio.gather(*(batcher.ask(n) for n in range(3)), return_exceptions=True)
        batcher.close()
        return answers

    answers = run(late())
    assert answers[0] == 0 and all(isinstance(a, Overloaded) for a in answers[1:]) and seen == [0]


def test_who_has_gone_away_is_passed_over():
    seen = []

    async def gone():
        batcher = MicroBatcher(
            lambda items: (time.sleep(0.1), seen.extend(items), items)[2], limit=1
        )
        first, second = (asyncio.create_task(batcher.ask(n)) for n in (1, 2))
        third = asyncio.create_task(batcher.ask(3))
        await asyncio.sleep(0.02)
        second.cancel()
        found = await first, await third
        batcher.close()
        return found

    assert run(gone()) == (1, 3) and seen == [1, 3]


def test_an_error_reaches_those_it_belongs_to():
    def answer(items):
        return [ValueError("odd") if n % 2 else n for n in items]

    async def some():
        batcher = MicroBatcher(answer)
        found = await asyncio.gather(*(batcher.ask(n) for n in range(4)), return_exceptions=True)
        batcher.close()
        return found

    assert [type(f).__name__ for f in run(some())] == ["int", "ValueError"] * 2


def test_a_close_does_not_wait_for_ever():
    stuck = threading.Event()

    async def stop():
        batcher, pool = MicroBatcher(lambda items: stuck.wait(20) and items), WorkPool(1)
        tasks = [asyncio.create_task(batcher.ask(1)), asyncio.create_task(pool.run(stuck.wait, 20))]
        await asyncio.sleep(0.05)
        began = time.perf_counter()
        done = batcher.close(0.2), pool.close(0.2)
        seconds = time.perf_counter() - began
        stuck.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return done, seconds

    done, seconds = run(stop())
    assert done == (False, False) and seconds < 2


def test_a_pool_counts_what_is_under_way():
    async def work():
        pool = WorkPool(2, waiting=3)
        answers = await asyncio.gather(
            *(pool.run(time.sleep, 0.05) for _ in range(5)), return_exceptions=True
        )
        await asyncio.sleep(0)
        left = pool.under_way
        pool.close()
        return [type(a) for a in answers].count(Overloaded), left

    assert run(work()) == (2, 0)


def test_rates():
    limit = RateLimit(rate=10, burst=2, clients=3)
    assert [limit.wait("a", now=t) > 0 for t in (0, 0, 0, 0.1, 0.1, 9)] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    for client in "bcde":
        assert limit.wait(client, now=9) == 0
    assert len(limit._buckets) == 3
    with pytest.raises(ValueError, match="`rate`"):
        RateLimit(0)
    assert retry_after(1_000, 0.1) == 30
