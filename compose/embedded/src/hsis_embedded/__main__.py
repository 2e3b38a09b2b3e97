"""`python -m hsis_embedded [demo]`: run HSIS in the foreground until a signal or a death."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from hsis.errors import DomainError
from hsis_embedded import demo
from hsis_embedded.settings import VARIABLES, EmbeddedSettings
from hsis_embedded.stack import Stack
from hsis_embedded.supervisor import StartFailed

CANNOT_START = (
    *(RuntimeError, ValueError, StartFailed, DomainError),
    *(OSError, asyncpg.PostgresError, asyncpg.InterfaceError),
)
"""What may be wrong with the installation or its place; its message says what."""


def say(line: str) -> None:
    """A line for the operator, at once."""
    print(line, flush=True)


async def run(settings: EmbeddedSettings, load_demo: bool) -> int:
    """Start, say so, and wait; the exit status."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    with Stack(settings) as stack:
        work = asyncio.create_task(_serve(stack, load_demo))
        stop = asyncio.create_task(stopped.wait())
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not work.done():
            work.cancel()
            say("HSIS is stopping.")
            return 0
        say(f"HSIS stops: {await work} ended; its log is in {settings.home / 'logs'}.")
        return 1


async def _serve(stack: Stack, load_demo: bool) -> str:
    """Start everything, then wait for the first process that ends; its name."""
    new_password = stack.new_password()
    if new_password is not None:  # told before anything can fail, since it is told only once
        say(f"First user: admin, password: {new_password}")
    await stack.start()
    if load_demo:
        await demo.load(stack.url, stack.secrets.value("admin_password"))
    say(f"HSIS is ready: {stack.url}")
    return await stack.supervisor.first_death()


def told_arguments() -> argparse.ArgumentParser:
    """What may follow the module's name; it prints the usage and the settings."""
    width = max(map(len, VARIABLES))
    settings = "\n".join(f"  {name:{width}}  {told}" for name, told in VARIABLES.items())
    parser = argparse.ArgumentParser(
        prog="python -m hsis_embedded",
        description="Start HSIS on this machine, in the foreground, until Ctrl-C or SIGTERM.",
        epilog=f"settings, from the environment:\n{settings}\n\n"
        "Every other HSIS_… is passed on to the services; README.md lists them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "load", nargs="?", choices=["demo"], help="load a synthetic sample scene once it runs"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, those of the process by default, and the environment, and run."""
    load_demo = told_arguments().parse_args(arguments).load == "demo"
    project = Path(__file__).resolve().parents[4]
    try:
        settings = EmbeddedSettings.of_environment(project)
        return asyncio.run(run(settings, load_demo))
    except CANNOT_START as error:
        say(f"HSIS cannot start: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
