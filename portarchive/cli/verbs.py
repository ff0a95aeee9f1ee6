"""The verbs, each loaded only when it is the one that runs, and how their help looks.

A typer application whose group imports a verb's module on demand, and whose help is plain text in
groups: rich would cost more time than all the rest of ``--help``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from portarchive import __version__
from portarchive.cli.output import say


class Verb(NamedTuple):
    """One command: the module ``portarchive.cli.<module>`` has a function of the module's name."""

    name: str
    module: str
    help: str


VERBS = (
    Verb("demo", "demo", "The whole circle on an embedded mail server; no account needed."),
    Verb("export", "export", "Copy a mail account into an archive, or bring one up to date."),
    Verb("import", "import_", "Place the messages of an archive in an account, each once."),
    Verb("migrate", "migrate", "Bring a mail account to another provider."),
    Verb("info", "info", "What an archive holds, from where, and what is missing and why."),
    Verb("ls", "ls", "The folders of an archive, or the messages of a folder."),
    Verb("search", "search", "Find messages of an archive by words, people, dates, flags."),
    Verb("show", "show", "Print one message of an archive, safe to look at."),
    Verb("query", "query", "Ask an archive with SQL, or with a query that is there already."),
    Verb("report", "report", "Make one page of an archive, with plots, for a browser."),
    Verb("index", "index", "Make the tables that search, query and report ask."),
    Verb("diff", "diff", "Compare two archives, or an archive and an account."),
    Verb("validate", "validate", "Whether an archive, by anybody, keeps the draft."),
)

EXIT_CODES = (
    (0, "fine: everything that was asked for is done"),
    (1, "validate found errors, diff found differences"),
    (2, "wrong usage"),
    (3, "finished, but something is missing, and the report names it"),
    (10, "no archive there"),
    (11, "login refused"),
    (12, "server unreachable or misbehaving"),
    (13, "locked: another run writes this archive or account"),
    (14, "refused for safety: other source, other selection, foreign directory"),
    (15, "local storage failed: full, read-only, I/O error"),
    (16, "the archive is unfinished or damaged"),
    (70, "our bug, the only case with a traceback"),
    (130, "interrupted"),
)
"""The published exit codes with their words; any other code means failure."""


WORDS = "WORDS…"
"""Metavar of an argument that takes words of which some begin with a minus."""


class _AsWritten:
    """Takes a value as it was typed. The options' meaning is read by ``arguments``."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        del param, ctx
        return value


def _taken_as_written(params: list[Any]) -> list[Any]:
    """Newer typers load pydantic (a tenth of a second) to turn a str into a str: not here."""
    for param in params:
        if hasattr(param, "_runtime_param"):
            param._runtime_param = _AsWritten()  # noqa: SLF001  nothing public does it
    return params


class PanelCommand(TyperCommand):
    """A command whose help shows its options in the groups that they name."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, help included."""
        return _taken_as_written(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As usual; an option whose metavar is ``[NAME]`` may go without a value: ""."""
        optional = {
            spelling
            for param in self.params
            if param.param_type_name == "option" and str(param.metavar).startswith("[")
            for spelling in param.opts
        }
        words: list[str] = []
        for at, word in enumerate(args):
            words.append(word)
            if word in optional and (at + 1 == len(args) or args[at + 1].startswith("-")):
                words.append("")
        if any(param.metavar == WORDS for param in self.params):
            words = self._options_first(ctx, words)
        parsed: list[str] = super().parse_args(ctx, words)
        return parsed

    def _options_first(self, ctx: Any, args: list[str]) -> list[str]:
        """Options, ``--``, and all else in its order: ``-word`` is no option of these verbs."""
        takes_value = {
            spelling: not (getattr(param, "is_flag", False) or getattr(param, "count", False))
            for param in self.get_params(ctx)
            if param.param_type_name == "option"
            for spelling in param.opts
        }
        options: list[str] = []
        others: list[str] = []
        waiting = list(args)
        while waiting:
            word = waiting.pop(0)
            if word == "--":
                others += waiting
                break
            if word in takes_value:
                options.append(word)
                if takes_value[word] and waiting:
                    options.append(waiting.pop(0))
            else:
                (options if word.startswith("--") else others).append(word)
        return [*options, "--", *others]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """``[OPTIONS] SOURCE ARCHIVE``."""
        del ctx
        arguments = [p for p in self.params if p.param_type_name == "argument"]
        return ["[OPTIONS]", *(str(p.metavar) for p in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments first, then each group of options in the order of its first option."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            panel = getattr(param, "rich_help_panel", None) or "Other options"
            if param.param_type_name == "argument":
                panel, spelling = "Arguments", str(param.metavar)
            elif param.name == "help":
                spelling = "--help"
            else:
                spelling = ", ".join(sorted(param.opts, key=len))
                if not getattr(param, "is_flag", False) and not getattr(param, "count", False):
                    spelling += f" {param.metavar}"
            panels.setdefault(panel, []).append((spelling, getattr(param, "help", "") or ""))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows, col_max=26)


class VerbGroup(TyperGroup):
    """All verbs; knows their names without loading them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, help included."""
        return _taken_as_written(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which a newcomer needs them."""
        del ctx
        return [verb.name for verb in VERBS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load one verb."""
        del ctx
        found = next((verb for verb in VERBS if verb.name == cmd_name), None)
        return None if found is None else command_of(found)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb of a command line; the error does not repeat what is no verb."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            ctx.fail(f"no such command; did you mean {near[0]!r}?" if near else "no such command")
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The verbs, the options of the program itself, and the exit codes."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(verb.name, verb.help) for verb in VERBS])
        with formatter.section("Options"):
            formatter.write_dl(
                [
                    ("--version", "Show the version and exit."),
                    ("--help", "Show this page and exit; also after a command."),
                ]
            )
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), words) for code, words in EXIT_CODES])


def command_of(verb: Verb) -> Any:
    """The verb as a command that can be invoked."""
    module = importlib.import_module(f"portarchive.cli.{verb.module}")
    function: Callable[..., int] = getattr(module, verb.module)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(verb.name, cls=PanelCommand)(function)
    return typer.main.get_command(app)


def program() -> Any:
    """The whole program as a group."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        cls=VerbGroup,
        invoke_without_command=True,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_portarchive)
    return typer.main.get_command(app)


def _portarchive(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> int:
    """Copy mail accounts into archives that anybody can read, and prove that nothing is missing.

    An archive is a directory in the Personal Data Portability Archive format (an IETF draft): one
    file a message, exactly as the server sent it, and JSON beside it.
    """
    if version:
        say(f"portarchive {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stderr.write(context.get_help() + "\n")
        raise typer.Exit(2)
    return 0
