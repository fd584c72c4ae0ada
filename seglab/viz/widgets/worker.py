"""Background work for widgets: a thread, its progress, and cancellation."""

from collections.abc import Callable, Iterable
from threading import Event, RLock, Thread

import ipywidgets as widgets

Updates = Iterable[Callable[[], None]]


class Worker:
    """Computes in a thread, one task at a time; `progress` is a bar for its steps, `stop` a button that cancels it.

    `lock` is held while a task changes widgets; other code that changes the same widgets has to hold it, too.
    """

    def __init__(self) -> None:
        self.progress = widgets.IntProgress(0, 0, 1, layout=widgets.Layout(width="18em"))
        self.stop = widgets.Button(description="cancel", disabled=True, layout=widgets.Layout(width="6em"))
        self.stop.on_click(lambda _: self._stopped())
        self.lock, self._cancelled, self.thread = RLock(), Event(), Thread()
        self._on_stop: Callable[[], None] | None = None

    def start(
        self, updates: Updates, steps: int, on_error: Callable[[Exception], None],
        on_stop: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Start a task, and cancel the one before it.

        Args:
            updates: a generator that computes, and yields functions that change widgets. After a cancellation no more
                of them are called.
            steps: number of updates before the last one, for the progress bar.
            on_error: called with an exception of the task, unless the task is cancelled.
            on_stop: called when the button cancels the task, but not when another task does.
        """
        self.cancel()
        with self.lock:
            self._cancelled, self._on_stop = Event(), on_stop
            self.thread = Thread(target=self._run, args=(updates, steps, on_error, self._cancelled), daemon=True)
            self.thread.start()

    def cancel(self) -> None:
        """Cancel the task; the computation ends with its current step, and the widgets stay as they are."""
        with self.lock:
            self._cancelled.set()
            self.stop.disabled = True

    def _stopped(self) -> None:
        with self.lock:
            running = not self.stop.disabled
            self.cancel()
            if running and self._on_stop:
                self._on_stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the task is finished, at most for this time; whether it is."""
        if self.thread.is_alive():
            self.thread.join(seconds)
        return not self.thread.is_alive()

    def _run(self, updates: Updates, steps: int, on_error: Callable[[Exception], None], cancelled: Event) -> None:
        problem = None
        try:
            for done, update in enumerate(updates):
                with self.lock:
                    if cancelled.is_set():
                        return
                    self.progress.max, self.progress.value, self.stop.disabled = steps, done, False
                    update()
        except Exception as error:
            problem = error
        with self.lock:
            if cancelled.is_set():
                return
            if problem:
                on_error(problem)
            self.progress.value, self.stop.disabled = self.progress.max, True
