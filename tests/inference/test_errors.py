"""Every error has its place in the table."""

import importlib
import pkgutil

import hsis_inference
from hsis.errors import COMMON_PROBLEMS, DomainError
from hsis_inference.errors import PROBLEMS


def _subclasses(kind: type[DomainError]) -> set[type[DomainError]]:
    return {kind}.union(*(_subclasses(child) for child in kind.__subclasses__()))


def test_every_error_of_the_service_is_mapped() -> None:
    for module in pkgutil.walk_packages(hsis_inference.__path__, "hsis_inference."):
        importlib.import_module(module.name)
    own = {
        error
        for error in _subclasses(DomainError) - {DomainError}
        if error.__module__.startswith(("hsis_inference", "hsis.errors"))
    }
    assert own == set(PROBLEMS) | set(COMMON_PROBLEMS)
    slugs = [kind.slug for kind in [*PROBLEMS.values(), *COMMON_PROBLEMS.values()]]
    assert len(slugs) == len(set(slugs))
