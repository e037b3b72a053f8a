"""Minidumps: bytes to what a crashed process looked like, and that to a report.

`reader` takes the file apart, `reason` names the crash, `unwinding` walks the
stacks with whatever symbols there are, `report` puts a `Report` together.
Nothing here reads a file, a store or a clock.
"""
