"""Every error has its place in the table."""

import importlib
import pkgutil

import hsis_storage_proxy
from hsis.errors import COMMON_PROBLEMS, DomainError
from hsis_storage_proxy.errors import PROBLEMS


def test_every_error_of_the_service_is_mapped() -> None:
    for module in pkgutil.walk_packages(hsis_storage_proxy.__path__, "hsis_storage_proxy."):
        importlib.import_module(module.name)
    own = {
        error
        for error in DomainError.__subclasses__()
        if error.__module__.startswith(("hsis_storage_proxy", "hsis.errors"))
    }
    assert own == set(PROBLEMS) | set(COMMON_PROBLEMS)
    slugs = [kind.slug for kind in [*PROBLEMS.values(), *COMMON_PROBLEMS.values()]]
    assert len(slugs) == len(set(slugs))
