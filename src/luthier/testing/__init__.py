"""Tiny seeded models and toy tables for tests, public so that authors of plug-ins can use them too."""
