"""All of the service's SQL, one module a table, and search. Functions take the connection."""
