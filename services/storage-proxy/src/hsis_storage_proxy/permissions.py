"""Who may read and write which key."""

import re

from hsis.contracts.access import Caller, Role, Scope
from hsis.contracts.blobs import collection_of_key
from hsis.errors import Forbidden, Unauthenticated
from hsis.service.access import CollectionAccess

_UPLOAD = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_privileged(caller: Caller | None) -> bool:
    """Whether this is a service, or an administrator with the scope for it."""
    return caller is not None and (
        caller.is_service or (caller.is_admin and Scope.ADMIN in caller.scopes)
    )


async def require_read(access: CollectionAccess, caller: Caller | None, key: str) -> None:
    """Return when the caller may read the key, or list a prefix of keys that begins so."""
    collection = collection_of_key(key)
    if collection is not None:
        await access.require(caller, collection, Role.VIEWER)
    elif key.startswith("models/"):
        _known(caller).require_scope(Scope.READ)
    else:
        _require_privileged(caller)


async def require_write(access: CollectionAccess, caller: Caller | None, key: str) -> None:
    """Return when the caller may replace or remove what has this key.

    Uploaded originals and stored cubes are the services' alone, and administrators'.
    """
    collection = collection_of_key(key)
    if collection is not None:
        await access.require(_known(caller), collection, Role.EDITOR)
        if _is_kept(key) and not is_privileged(caller):
            raise Forbidden(
                "Uploaded originals and stored cubes are kept as they are: send new ones to "
                "POST /uploads, and remove old ones with DELETE "
                f"/stac/collections/{collection}/items/<item>."
            )
    else:
        _require_privileged(caller)


def _is_kept(key: str) -> bool:
    """Whether this is of an item: raw/<collection>/<upload>/… or cubes/<collection>/<item>/…."""
    kind, _, folder = key.split("/")[:3]
    return kind == "cubes" or _UPLOAD.fullmatch(folder) is not None


def _require_privileged(caller: Caller | None) -> None:
    if not is_privileged(_known(caller)):
        raise Forbidden("Only an administrator or a service may do this outside of a collection.")


def _known(caller: Caller | None) -> Caller:
    if caller is None:
        raise Unauthenticated("This needs a token: get one from POST /auth/token.")
    return caller
