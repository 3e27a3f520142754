"""Finds, imports and executes one command; turns every known error into one line."""

import logging
import os
import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from knowngood.cli.exits import Exit, Interrupted
from knowngood.errors import KnowngoodError, NeedsPerson, Refused

COMMANDS: Final = (
    "demo",
    "up",
    "snapshot",
    "watch",
    "rollback",
    "cancel",
    "status",
    "runs",
    "versions",
    "snapshots",
    "watches",
    "explain",
    "alert-test",
    "doctor",
    "simulator",
    "api",
)
"""Every command, in the order of the help. Each is the function of its name in its own module."""


class _LazyGroup(TyperGroup):
    """Imports a command's module when that command is called."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand:  # type: ignore[override]
        del ctx
        if cmd_name not in COMMANDS:
            near = " or ".join(get_close_matches(cmd_name, COMMANDS))
            known = f"did you mean {near}?" if near else "knowngood --help lists them"
            raise Refused("command", cmd_name, f"no such command; {known}")
        name = cmd_name.replace("-", "_")
        single = typer.Typer(rich_markup_mode=None, add_completion=False)
        single.command(cmd_name)(getattr(import_module(f"knowngood.cli.{name}"), name))
        command = get_command(single)
        if not isinstance(command, TyperCommand):
            raise TypeError(f"{cmd_name} is not a single command")
        return command


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer hands the flag's value over
    if value:
        print(f"knowngood {version('knowngood')}")
        raise typer.Exit


def _group() -> TyperGroup:
    app = typer.Typer(
        cls=_LazyGroup,
        rich_markup_mode=None,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 done; 1 failed; 2 bad usage or refused; 3 needs a person; "
        "4 still running when the wait ended.",
    )

    @app.callback()
    def knowngood(
        *,
        version: Annotated[
            bool,
            typer.Option("--version", callback=_show_version, is_eager=True, help="Show it."),
        ] = False,
    ) -> None:
        """Roll Genesys Cloud Architect flows back to a known-good version."""

    group = get_command(app)
    if not isinstance(group, TyperGroup):
        raise TypeError("the command line is not a group")
    return group


def run(arguments: list[str]) -> int:
    """Execute a command line; return the exit code. Known errors are one line on stderr."""
    # What goes wrong is told once, as the answer; Python would print warnings beside it.
    logging.getLogger("knowngood").addHandler(logging.NullHandler())
    try:
        code = _group().main(arguments or ["--help"], prog_name="knowngood", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "knowngood"
        return _complain(f"{error.format_message()} (see: {path} --help)", Exit.USAGE)
    except Interrupted as error:
        return _complain(str(error), Exit.INTERRUPTED)
    except Refused as error:
        return _complain(str(error), Exit.USAGE)
    except NeedsPerson as error:
        return _complain(f"{error}; {error.action}", Exit.FAILED)
    except KnowngoodError as error:
        return _complain(str(error), Exit.FAILED)
    except BrokenPipeError:
        # The reader (`head`, a closed pager) has enough: that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    return Exit.USAGE if not arguments else int(code or Exit.DONE)


def _complain(message: str, code: Exit) -> Exit:
    print(f"knowngood: {' '.join(message.split())}", file=sys.stderr)
    return code
