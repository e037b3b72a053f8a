"""Symbol files in the manner of HockeyApp's answers, of whose own shape nothing is known."""

from __future__ import annotations

from typing import Any

from chalicelib import clock
from chalicelib.queries.missing_symbols import MissingSymbols
from chalicelib.records import SymbolFile
from chalicelib.symbols.store import AddedSymbols


def symbol_file(file: SymbolFile) -> dict[str, Any]:
    return {
        "id": file.file_id,
        "debug_id": file.debug_id,
        "debug_file": file.debug_file,
        "code_id": file.code_id,
        "arch": file.arch,
        "kind": file.kind,
        "features": file.features.split(),
        "filename": file.filename,
        "size": file.size_bytes,
        "sha256": file.sha256,
        "bundle_version": file.version_number,
        "bundle_short_version": file.version_name,
        "created_at": clock.stored_to_wire(file.created_at),
        "updated_at": clock.stored_to_wire(file.modified_at),
    }


def missing(entry: MissingSymbols) -> dict[str, Any]:
    """`number_of_crashes` have a frame of the build in their crashed thread, in so many stacks."""
    return {
        "debug_id": entry.module.debug_id,
        "debug_file": entry.module.debug_file,
        "number_of_crashes": entry.crashes,
        "number_of_stacks": entry.stacks,
    }


def added(entry: AddedSymbols) -> dict[str, Any]:
    """`is_new` is false for a file that was here already with the same content."""
    return {**symbol_file(entry.file), "is_new": entry.is_new}
