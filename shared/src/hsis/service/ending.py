"""Tasks that are told to end."""

import asyncio


def end_if_told() -> None:
    """CancelledError where the current task was cancelled.

    For handlers of errors: what is let go of on the way out, such as a transaction whose connection
    broke, raises an error of its own, and the task would go on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
