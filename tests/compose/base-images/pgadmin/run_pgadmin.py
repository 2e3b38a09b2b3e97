"""What gunicorn serves, and what makes pgAdmin's database when it is first imported."""

import builtins
import os

# Asked for by pgAdmin's config.py before anything else is imported.
builtins.SERVER_MODE = os.environ.get("PGADMIN_CONFIG_SERVER_MODE") != "False"  # type: ignore[attr-defined]

from pgAdmin4 import app  # noqa: E402

__all__ = ["app"]
