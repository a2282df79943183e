"""Figures of the notebooks, one module for each topic; `style` holds what they share."""
