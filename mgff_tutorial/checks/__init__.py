"""Checks of the notebooks' exercises, one module for each topic, built on `core`."""
