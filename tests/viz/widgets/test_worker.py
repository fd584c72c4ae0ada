"""Background work without widgets that matter: order, errors, cancellation."""

from threading import Event

from seglab.viz.widgets.worker import Worker


def run(worker, updates, steps=2):
    errors = []
    worker.start(updates, steps, errors.append)
    worker.wait(30)
    return errors


def test_updates_are_called_in_order():
    worker, progress = Worker(), []

    def updates():
        for _ in range(3):
            yield lambda: progress.append((worker.progress.value, worker.progress.max, worker.stop.disabled))

    assert run(worker, updates()) == []
    assert progress == [(0, 2, False), (1, 2, False), (2, 2, False)]
    assert (worker.progress.value, worker.stop.disabled) == (2, True)


def test_errors_of_computation_and_of_updates_are_passed_on():
    def computation():
        yield lambda: None
        raise ValueError("computation")

    def update():
        raise ValueError("update")

    worker = Worker()
    for updates, message in ((computation(), "computation"), (iter([update]), "update")):
        (error,) = run(worker, updates)
        assert str(error) == message
        assert worker.stop.disabled


def test_a_cancelled_task_changes_nothing():
    worker, started, proceed, changes, errors = Worker(), Event(), Event(), [], []

    def updates(name, fails=False):
        started.set()
        assert proceed.wait(30)
        if fails:
            raise ValueError(name)
        yield lambda: changes.append(name)

    for fails in (False, True):
        started.clear()
        worker.start(updates("first", fails), 0, errors.append)
        assert started.wait(30)
        first = worker.thread
        worker.start(updates("second"), 0, errors.append)
        proceed.set()
        first.join(30)
        worker.wait(30)
        assert (changes, errors) == (["second"], [])
        proceed.clear()
        changes.clear()
