"""Pictures, drawn with Pillow in a thread, and the sums behind them.

Nothing of it is loaded before the first picture is wanted: a small bot that draws none does
without the memory.
"""
