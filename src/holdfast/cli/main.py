"""The command ``holdfast``: its sub-commands, and how it ends."""

import os
import sys
from typing import Annotated, cast

import typer

import holdfast
from holdfast.cli.collapse import app as collapse
from holdfast.cli.compare import compare
from holdfast.cli.help import show_help
from holdfast.cli.methods import methods
from holdfast.cli.probe import probe
from holdfast.cli.report import report
from holdfast.cli.reproduce import reproduce
from holdfast.cli.stability import app as stability
from holdfast.cli.stopping import exit_code, stoppable
from holdfast.cli.tasks import tasks
from holdfast.cli.tune import tune
from holdfast.errors import HoldfastError, nearest
from holdfast.study.run.executors.environment import QUIET

_UsageError = cast(type[Exception], typer.BadParameter.__mro__[1])
"""What Typer raises for a command line it cannot read; older releases take it from click."""

app = typer.Typer(
    name="holdfast",
    help="""Fine-tune pre-trained models without depending on luck.

    \b
    A first try, on a task that Holdfast generates:
      holdfast compare playground/negation
    On your own data:
      holdfast compare tickets.csv --methods vanilla,r3f,r4f --seeds 5
    """,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (compare, tune, probe, report, reproduce, methods, tasks):
    app.command()(command)
app.add_typer(collapse)
app.add_typer(stability)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"holdfast {holdfast.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    show_help(context)


def main(arguments: list[str] | None = None) -> int:
    """Run ``holdfast`` with ``arguments`` (the process's own by default) and return its exit code.

    0: done; 1: no run of a study finished; 2: something the user must mend, told in one line on standard
    error; 130 and 143: stopped by Ctrl-C and SIGTERM.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        # Calling the app itself would turn both ways of stopping into a silent 130.
        command = typer.main.get_command(app)
        with stoppable(), command.make_context("holdfast", sys.argv[1:] if arguments is None else arguments) as context:
            command.invoke(context)
        return 0
    except typer.Exit as end:
        return end.exit_code
    except HoldfastError as error:
        return _mistake(" ".join(str(error).splitlines()))
    except _UsageError as error:
        return _mistake(_usage(error))
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _mistake(f"{place}{error.strerror or error}; check the path, its permissions and the space on the disk")
    except KeyboardInterrupt as stop:
        typer.echo("holdfast: stopped", err=True)
        return exit_code(stop)


def _mistake(line: str) -> int:
    typer.echo(f"holdfast: error: {line}", err=True)
    return 2


def _usage(error: BaseException) -> str:
    """Return a usage error as one line that says where to look."""
    message = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
    context: typer.Context | None = error.ctx  # type: ignore[attr-defined]
    if context is None:
        return message
    known = getattr(context.command, "commands", {})
    wrong = message.split("'")[1] if known and "'" in message else ""
    hint = nearest(wrong, known)
    if hint:
        # Newer releases of Typer guess too.
        message = message.partition(". Did you mean")[0]
    return f"{message}{hint}; see `{context.command_path} --help`"
