"""Many readers or one writer: nobody waits for ever, and nobody keeps the lock."""

import threading

import pytest

from prodrec.recommend.locks import ReadWriteLock


def test_a_waiting_writer_is_not_starved():
    lock, done, stop = ReadWriteLock(), [], threading.Event()

    def read():
        while not stop.is_set():
            with lock.reading():
                pass

    threads = [threading.Thread(target=read) for _ in range(4)]
    for t in threads:
        t.start()
    for n in range(50):
        with lock.writing():
            done.append(n)
    stop.set()
    for t in threads:
        t.join()
    assert len(done) == 50


def test_a_block_that_raises_lets_go():
    lock = ReadWriteLock()
    for block in (lock.reading, lock.writing, lock.reading):
        with pytest.raises(ZeroDivisionError), block():
            _ = 1 / 0
