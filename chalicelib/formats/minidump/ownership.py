"""Which modules and functions of a native process are the app's own."""

from __future__ import annotations

import re
from collections.abc import Callable

from chalicelib.formats import in_app
from chalicelib.formats.apple_images import Ownership as AppleOwnership
from chalicelib.formats.minidump.dump import DumpModule, Minidump
from chalicelib.formats.minidump.symbol_source import Location
from chalicelib.formats.path_names import file_name
from chalicelib.model import Module

# What a compiler brings along and puts into the app's own binary: it carries the app's calls.
_RUNTIME_FUNCTION = re.compile(
    r"""
    (?: <+ (?:dyn\ |&(?:mut\ )?)* (?:fn\([^)]*\)(?:\ ->\ \S+)? \ as\ )? )?
        (?: core | std | alloc | panic_unwind | compiler_builtins ) ::
    | (?: __ )? rust_ | _?_?rdl_ | __rustc
    | (?: _+ (?:w|tw)? | w )? (?:Win)?main CRTStartup | __scrt_ | invoke_main$ | __tmain
    | _+libc_csu_ | _GLOBAL__ | __asan_ | __ubsan_ | __tsan_ | __sanitizer
    | swift_ | objc_ | -\[NS | \+\[NS
    """,
    re.VERBOSE,
)
# Where those sources lay when they were compiled: Rust's own, Microsoft's C runtime.
_RUNTIME_FILE = re.compile(
    r"/rustc/[0-9a-f]+/ | [\\/](?:vctools|crts|crt_bld|vcstartup)[\\/]", re.VERBOSE | re.IGNORECASE
)


class Ownership:
    """Judges the modules of one process, and the functions in them.

    The main module is the app's unless it is a launcher of the system
    (Android's `app_process`); others are by where they lie: beside the main
    module, or at least not where the system keeps its own.
    """

    def __init__(self, dump: Minidump) -> None:
        self._main = dump.modules[0].code_file if dump.modules else ""
        self._judge = self._judge_of(dump)
        self._known: dict[str, bool] = {}
        self._known_functions: dict[tuple[str, str, str | None], bool] = {}

    def owns(self, module: DumpModule | None, location: Location | None) -> bool:
        """Whether a frame is the app's: in one of its modules, and not in what compilers add."""
        if module is None or not self._owns_module(module.code_file):
            return False
        if location is None:
            return True
        key = (module.code_file, location.function, location.file)
        known = self._known_functions.get(key)
        if known is None:
            known = self._known_functions[key] = self._owns_function(module, location)
        return known

    @staticmethod
    def _owns_function(module: DumpModule, location: Location) -> bool:
        if location.file and _RUNTIME_FILE.search(location.file):
            return False
        if _RUNTIME_FUNCTION.match(location.function):
            return False
        return in_app.is_native_app_code(location.function, module.code_file)

    def _owns_module(self, path: str) -> bool:
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._judge(path)
        return known

    def _judge_of(self, dump: Minidump) -> Callable[[str], bool]:
        system = dump.system.os
        if system in {"macos", "ios"}:
            apple = AppleOwnership(file_name(self._main), self._main, None)
            return lambda path: apple.owns(file_name(path), Module(file_name(path), path))
        if system == "android":
            return in_app.is_app_library
        if system == "windows":
            return lambda path: self._is_main(path) or not in_app.is_windows_system_library(path)
        return lambda path: self._is_main(path) or not in_app.is_linux_system_library(path)

    def _is_main(self, path: str) -> bool:
        """The main module, or one in its folder: an app may live where systems keep theirs.

        Folders full of other programs' files tell nothing.
        """
        if path == self._main:
            return True
        folder = self._main[: -len(file_name(self._main))]
        return bool(folder) and path.startswith(folder) and not _SHARED_FOLDER.fullmatch(folder)


_SHARED_FOLDER = re.compile(
    r"(?:/usr)?(?:/local)?/s?bin/|/usr/lib(?:exec)?/(?:[\w.]+-linux-[\w.]+/)?|[a-z]:\\(?:windows|winnt)(?:\\.*)?",
    re.IGNORECASE | re.DOTALL,
)
