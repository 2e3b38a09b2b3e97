"""All of the SQL of inference."""
