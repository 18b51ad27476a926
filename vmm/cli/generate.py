"""Click options and commands made from the table of options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from vmm.consoleconfig import CONSOLE_KINDS, CONSOLES_WITH_PATH, VIRTIO
from vmm.kindtable import KINDS
from vmm.options import GROUPS, Option
from vmm.values import read


class OptionType(click.ParamType):  # type: ignore[type-arg]
    """Converts with the same functions as the lean parser, and completes what can be completed."""

    def __init__(self, row: Option) -> None:
        self.row = row
        self.name = row.kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        try:
            return read(self.row, value)
        except ValueError as error:
            raise click.UsageError(f"{self.row.long} {error}", ctx) from None

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        if self.row.kind in ("path", "module", "disk"):
            return [CompletionItem(incomplete, type="file")]
        words: Sequence[str] = self.row.choices
        if self.row.kind == "console":
            words = [f"{kind}:" if kind in CONSOLES_WITH_PATH else kind for kind in CONSOLE_KINDS]
            words.append(VIRTIO)
        elif self.row.kind == "device":
            words = [*KINDS]
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


class TableOption(click.Option):
    """Shows itself in help as the table spells it."""

    spelling = ""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        return self.spelling, self.help or ""


def click_option(row: Option) -> click.Option:
    """One row as click sees it. What was not given has the value None."""
    if row.kind == "flag":
        declared = "/".join(filter(None, (row.long, row.off)))
        option = TableOption([row.name, *row.flags[:-1], declared], is_flag=True, default=None)
    else:
        option = TableOption(
            [row.name, *row.flags], type=OptionType(row), multiple=row.repeat, default=None
        )
    option.spelling = row.spelling
    option.help = f"{row.help} [{row.default}]" if row.default else row.help
    return option


class TableCommand(click.Command):
    """A command whose help shows options by group and whose words must follow `--`."""

    def __init__(
        self,
        rows: Sequence[Option],
        words: str = "",
        whose: str = "",
        arguments: Sequence[click.Argument] = (),
        **settings: Any,
    ) -> None:
        params: list[click.Parameter] = [click_option(row) for row in rows if row.name != "help"]
        params.extend(arguments)
        if words:
            params.append(
                click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED, metavar=f"[-- {words}]")
            )
        super().__init__(params=params, **settings)
        self.rows = rows
        self.words = words
        self.whose = whose  # what the words behind -- are, in a sentence

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        left = super().parse_args(ctx, args)
        rest = ctx.params.get("rest") or ()
        if rest and not _follow_dashes(given, rest):
            raise click.UsageError(
                f"unexpected word {rest[0]!r}: options start with -, {self.whose} follow --",
                ctx,
            )
        if self.words and not rest and given[-1:] != ["--"]:
            ctx.params.pop("rest", None)
        return left

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups = {row.name: row.group for row in self.rows}
        last = max((GROUPS.index(group) for group in groups.values()), default=0)  # for --help
        for group in GROUPS:
            records = [
                record
                for param in self.get_params(ctx)
                if isinstance(param, click.Option)
                and groups.get(param.name or "", GROUPS[last]) == group
                and (record := param.get_help_record(ctx))
            ]
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)


def _follow_dashes(given: list[str], rest: Sequence[str]) -> bool:
    """Whether the words at the end of `given` stand behind `--`."""
    before = given[: len(given) - len(rest)]
    return list(rest) == given[len(before) :] and before[-1:] == ["--"]


def table_command(
    name: str,
    rows: Sequence[Option],
    run: Callable[[dict[str, Any]], int],
    help: str,
    kind: type[TableCommand] = TableCommand,
    **more: Any,
) -> TableCommand:
    """A click command that calls `run` with the options given, as the lean parser returns them."""

    @click.pass_context
    def callback(ctx: click.Context, /, **_params: object) -> int:
        return run(given_values(ctx))

    return kind(
        rows,
        name=name,
        callback=callback,
        help=help,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        **more,
    )


def given_values(ctx: click.Context) -> dict[str, Any]:
    """Only what was given, by name."""
    return {
        name: value
        for name, value in ctx.params.items()
        if value is not None and (value != () or name == "rest")
    }
