"""All of the service's SQL, one module a table. Functions take the connection."""
