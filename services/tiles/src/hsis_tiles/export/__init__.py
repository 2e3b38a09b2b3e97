"""Cubes as files of other formats, written while they are sent."""
