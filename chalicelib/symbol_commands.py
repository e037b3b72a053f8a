"""`crashbucket symbols`: debug files and mappings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chalicelib.user_commands import Answer, Open, Option

if TYPE_CHECKING:
    from chalicelib.records import SymbolFile


def register(
    commands: click.Group, data: Option, as_json_option: Option, open_services: Open, answer: Answer
) -> None:
    """Add the group `symbols` to the command; the rest is how the command opens its data folder
    and prints its answers."""

    @commands.group()
    def symbols() -> None:
        """Symbol files: what turns addresses and obfuscated names into functions and lines."""

    @symbols.command("upload")
    @click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
    @click.option("--app", "app_id", default=None, help="For this app (default: for every app).")
    @click.option(
        "--version", default=None, help="The version of the app that a mapping.txt belongs to."
    )
    @data
    @as_json_option
    def upload(
        paths: tuple[Path, ...],
        app_id: str | None,
        version: str | None,
        data: str | None,
        as_json: bool,
    ) -> None:
        """Add files, the files in folders and bundles, and those in zips.

        Breakpad .sym, ELF, dSYM, PDB, PE, portable PDB and mapping.txt;
        others are skipped. Exit status 1 when one could not be read.
        """
        from tqdm import tqdm  # noqa: PLC0415

        from chalicelib import symbol_uploading  # noqa: PLC0415
        from chalicelib.model import AppBuild  # noqa: PLC0415

        services = open_services(data)
        if app_id is not None:
            services.accounts.app(app_id)
        files = symbol_uploading.files_in(paths)
        with tqdm(total=len(files), unit="file", disable=not sys.stderr.isatty()) as bar:
            tally = symbol_uploading.upload(
                services.symbols,
                files,
                app_id=app_id,
                version=AppBuild(version=version) if version else None,
                progress=bar.update,
            )
        answer(as_json, tally.as_json(), tally.lines())
        if tally.refused:
            sys.exit(1)

    @symbols.command("list")
    @click.option(
        "--app", "app_id", default=None, help="Of this app (default: those for every app)."
    )
    @data
    @as_json_option
    def list_(app_id: str | None, data: str | None, as_json: bool) -> None:
        """Every symbol file, oldest first."""
        services = open_services(data)
        if app_id is not None:
            services.accounts.app(app_id)
        files = services.symbols.every_file(app_id)
        if as_json:
            answer(True, {"symbols": [_told(file) for file in files]}, ())
        else:
            answer(False, {}, map(_line, files))

    @symbols.command("missing")
    @click.option("--app", "app_id", default=None, help="Of this app (default: of each).")
    @data
    @as_json_option
    def missing(app_id: str | None, data: str | None, as_json: bool) -> None:
        """Builds whose symbols crashes lack, those first from which most crashes would gain."""
        services = open_services(data)
        apps = [services.accounts.app(app_id)] if app_id else list(services.accounts.apps())
        found = [
            (entry.crashes, entry.module.debug_id, entry.module.debug_file, app.app_id)
            for app in apps
            for entry in services.missing_symbols.of_app(app.app_id)
        ]
        found.sort(key=lambda entry: -entry[0])
        names = ("crashes", "debug_id", "debug_file", "app_id")
        told = [dict(zip(names, entry, strict=True)) for entry in found]
        lines = (f"{crashes:>8}  {'  '.join(rest)}" for crashes, *rest in found)
        answer(as_json, {"missing": told}, lines)

    @symbols.command("delete")
    @click.argument("symbol_id", type=click.IntRange(min=1))
    @data
    @as_json_option
    def delete(symbol_id: int, data: str | None, as_json: bool) -> None:
        """Take a symbol file away; reports that were read with it stay as they are."""
        gone = open_services(data).symbols.delete(symbol_id)
        answer(as_json, {"deleted": _told(gone)}, [f"deleted {_line(gone)}"])


def _told(file: SymbolFile) -> dict[str, Any]:
    return {
        "id": file.file_id,
        "app_id": file.app_id,
        "debug_id": file.debug_id,
        "debug_file": file.debug_file,
        "arch": file.arch,
        "kind": file.kind,
        "features": file.features.split(),
        "size": file.size_bytes,
        "version": file.version_number or file.version_name or None,
        "created_at": file.created_at,
    }


def _line(file: SymbolFile) -> str:
    return "  ".join(
        [str(file.file_id), file.debug_id, file.debug_file, file.arch, file.kind, file.features]
    )
