"""The web service: the pages. The browser calls the other services itself. No state."""
