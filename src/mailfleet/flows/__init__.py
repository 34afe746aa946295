"""Schedules: Prefect shells of a few lines that call services."""
