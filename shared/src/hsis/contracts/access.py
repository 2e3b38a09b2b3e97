"""Who may do what: roles in a collection, scopes of a token, the caller of a request."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from hsis.errors import Forbidden


class Role(StrEnum):
    """A user's role in one collection; each includes those before it."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Scope(StrEnum):
    """What a token may be used for, whatever its user's roles are."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    SERVICE = "service"


class Caller(BaseModel):
    """The verified bearer of a request's token. Built only by `hsis.service.tokens`."""

    model_config = ConfigDict(frozen=True)

    subject: str = Field(description="User id (a UUID) or `service:<name>`")
    name: str
    scopes: frozenset[Scope]
    is_admin: bool = False
    collections: frozenset[str] | None = Field(
        default=None, description="The only collections this token opens; None is no such limit"
    )
    key_id: str | None = Field(default=None, description="The API key's id, where it is one")
    token: str = Field(repr=False, description="The raw token, to be passed on to other services")

    @property
    def is_service(self) -> bool:
        """Whether this is one of the platform's own services."""
        return Scope.SERVICE in self.scopes

    def require_scope(self, scope: Scope) -> None:
        """Forbidden unless the token has that scope (a service has all)."""
        if scope not in self.scopes and not self.is_service:
            have = ", ".join(sorted(self.scopes)) or "none"
            raise Forbidden(f"This token has the scopes {have}; this needs the scope {scope}.")

    @property
    def administers(self) -> bool:
        """Whether this is an administrator with the scope `admin`, or a service. A token for some
        collections is never: it could give itself all others."""
        if self.is_service:
            return True
        return self.is_admin and Scope.ADMIN in self.scopes and self.collections is None

    def require_admin(self) -> None:
        """Forbidden unless it administers."""
        if not self.administers:
            raise Forbidden(
                "Only an administrator may do this, with a token of the scope admin and for all "
                "collections."
            )


class Access(BaseModel):
    """What the caller may do in one collection, as catalog answers it."""

    collection: str
    role: Role | None = Field(description="None: the caller may not know the collection exists")
    public: bool = False


class TokenAnswer(BaseModel):
    """OAuth2 token answer."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the OAuth2 token type, not a secret
    expires_in: int = Field(description="Seconds until the token expires")
