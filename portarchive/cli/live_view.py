"""The live display on a terminal: one bar for the account, one line for each folder at work."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from portarchive import progress
from portarchive.cli.progress_view import Tally, words_for
from portarchive.cli.safe_text import safe

_FOLDERS_SHOWN = 4


class LiveView:
    """An observer that draws; to be used as a context. Honours ``NO_COLOR`` through rich."""

    def __init__(self, out: TextIO, *, verbose: int = 0) -> None:
        self._verbose = verbose
        self._tally = Tally()
        self._console = Console(file=out, markup=False, emoji=False, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", max_width=32),
            ),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[pace]}", markup=False, table_column=Column(no_wrap=True)),
            console=self._console,
            transient=True,
        )
        self._all: TaskID | None = None
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: progress.Event) -> None:
        """Draw an event."""
        self._tally.add(event)
        line = words_for(event, self._tally, self._verbose)
        if line is not None:
            style = "yellow" if isinstance(event, progress.Notice | progress.Waiting) else ""
            self._console.print(Text(line, style=style), soft_wrap=True)
        match event:
            case progress.FoldersFound():
                self._all = self._progress.add_task(
                    "all folders", total=event.messages, pace=self._tally.pace()
                )
            case progress.FolderStarted():
                self._show(event)
            case progress.Stored() | progress.Passed() | progress.Delivered():
                self._advance(event.path, event.messages)
            case progress.FolderFinished() if event.path in self._rows:
                self._progress.remove_task(self._rows.pop(event.path))
            case _:
                pass

    def _show(self, event: progress.FolderStarted) -> None:
        if len(self._rows) >= _FOLDERS_SHOWN or event.path in self._rows:
            return
        self._rows[event.path] = self._progress.add_task(
            safe(event.path), total=event.messages, pace=""
        )

    def _advance(self, path: str, messages: int) -> None:
        if path in self._rows:
            self._progress.update(self._rows[path], advance=messages)
        if self._all is not None:
            self._progress.update(self._all, completed=self._tally.done, pace=self._tally.pace())
