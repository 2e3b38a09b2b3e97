"""HTTP only: each module is one resource."""
