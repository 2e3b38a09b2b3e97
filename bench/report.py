"""One line a figure."""


def report(what: str, figure: str, ratio: str = "") -> None:
    """Print a measurement, its figure and its ratio to the reference of the same run."""
    print(f"{what:<58} {figure:>14}  {ratio}", flush=True)
