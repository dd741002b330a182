"""Importing the operators fills the registries that these tests look into."""

import graphdsl.ops  # noqa: F401
