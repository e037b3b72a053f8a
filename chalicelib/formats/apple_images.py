"""The binary images of an Apple process: which one holds an address, and which are the app's."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from chalicelib.formats.apple_bounds import MAX_NAME_CHARS, hexadecimal
from chalicelib.model import Module

_ROW = re.compile(r"^[ \t]*0x([0-9a-fA-F]+)[ \t]+-[ \t]+(?:0x([0-9a-fA-F]+)|\?+)[ \t]+(.*)$")
_IDENTIFIER = re.compile(r"<([0-9A-Fa-f-]{1,40})>")
_ARCHITECTURES = frozenset(
    {"arm", "armv6", "armv7", "armv7f", "armv7k", "armv7s", "arm64", "arm64e", "arm64_32"}
    | {"i386", "x86_64", "x86_64h", "ppc", "ppc64"}
    | {"unknown", "arm-unknown", "arm64-unknown", "ppc-unknown"}
)
_SYSTEM_FOLDERS = ("/usr/lib/", "/System/Library/", "/Library/Apple/")
# Frameworks by the name a frame shows when no image tells where it lies.
_SYSTEM_FRAMEWORKS = """
ARKit AVFAudio AVFoundation AVKit Accelerate Accounts AddressBook AppKit AttributeGraph
AudioToolbox AuthenticationServices BackBoardServices BaseBoard CFNetwork CallKit Carbon
CloudKit Cocoa Combine Contacts CoreAudio CoreBluetooth CoreData CoreFoundation CoreGraphics
CoreImage CoreLocation CoreMIDI CoreML CoreMedia CoreMotion CoreServices CoreTelephony
CoreText CoreUI CoreVideo DataDetectorsCore Foundation FrontBoardServices GLKit
GameController GameKit GraphicsServices HIServices HIToolbox HealthKit HomeKit IOKit
IOSurface ImageIO JavaScriptCore LaunchServices MapKit MediaPlayer MediaToolbox MessageUI
Metal MetalKit MobileCoreServices ModelIO MultipeerConnectivity Network NetworkExtension
OpenCL OpenGL OpenGLES PDFKit PassKit Photos PhotosUI QuartzCore QuickLook
RunningBoardServices SafariServices SceneKit Security SkyLight Social SpriteKit StoreKit
SwiftUI SwiftUICore SystemConfiguration TCC UIFoundation UIKit UIKitCore UserNotifications
VideoToolbox Vision WatchConnectivity WatchKit WebCore WebKit WebKitLegacy dyld dyld_sim
"""
_SYSTEM_NAMES = frozenset(_SYSTEM_FRAMEWORKS.split())
_SWIFT_RUNTIME = "libswift"  # Apple's even when an app for an old iOS carries a copy
_NO_NAME = "???"


def debug_id(uuid: str) -> str | None:
    """Breakpad's debug identifier of a Mach-O `uuid`: 32 upper-case hex digits and the age 0.

    The form under which Breakpad symbol files are stored (`DEBUG_FILE/DEBUG_ID/NAME.sym`).
    None when `uuid` is not one, or all zero.
    """
    digits = uuid.replace("-", "").upper()
    if len(digits) != 32 or not digits.strip("0") or digits.strip("0123456789ABCDEF"):
        return None
    return digits + "0"


def image_row(line: str) -> Module | None:
    """One line below "Binary Images:"; None when it is not such a row.

    `START - LAST +NAME ARCH (VERSION) <UUID> PATH`, where "+" marks a binary
    that is not Apple's, and ARCH, VERSION, UUID or PATH may be missing (Apple's
    writers and PLCrashReporter differ). LAST is the last address inside.
    """
    row = _ROW.match(line)
    if not row:
        return None
    rest = row[3].lstrip("+").strip()
    identifier = _IDENTIFIER.search(rest)
    if identifier:
        described, path = rest[: identifier.start()], rest[identifier.end() :]
    else:
        described, slash, path = rest.partition(" /")
        path = slash + path
    name, arch, version = _description(described.strip())
    last = hexadecimal(row[2] or "")
    path = path.strip()[:MAX_NAME_CHARS]
    return Module(
        name=(name or path.rpartition("/")[2] or _NO_NAME)[:MAX_NAME_CHARS],
        path=path if path.strip("?") else None,
        start=hexadecimal(row[1]),
        end=last + 1 if last is not None else None,
        debug_id=debug_id(identifier[1]) if identifier else None,
        arch=arch,
        version=version,
    )


def _description(text: str) -> tuple[str, str | None, str | None]:
    """Name, architecture and version of `NAME ARCH (VERSION)`, `NAME (ARCH)`, `NAME (VERSION)`."""
    arch = version = None
    if text.endswith(")"):
        text, _, inside = text[:-1].rpartition("(")
        text = text.rstrip()
        if inside in _ARCHITECTURES:
            arch = inside
        elif inside.strip("?*- "):
            version = inside[:MAX_NAME_CHARS]
    name, _, last = text.rpartition(" ")
    if name and last in _ARCHITECTURES:
        return name.rstrip(), last, version
    return text, arch, version


class Images:
    """The images of one report, found by address or by name."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = tuple(modules)
        placed = sorted(
            (module.start, module.end, index)
            for index, module in enumerate(self.modules)
            if module.start is not None and module.end is not None and module.start < module.end
        )
        self._starts = [start for start, _, _ in placed]
        self._placed = [(end, self.modules[index]) for _, end, index in placed]
        self._by_name: dict[str, Module] = {}
        for module in self.modules:
            self._by_name.setdefault(module.name, module)
            if module.path:
                self._by_name.setdefault(module.path.rpartition("/")[2], module)

    def at(self, address: int | None) -> Module | None:
        """The image that holds `address`."""
        if address is None:
            return None
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._placed[index][0]:
            return None
        return self._placed[index][1]

    def named(self, name: str) -> Module | None:
        """The first image of this name, or whose file has this name."""
        return self._by_name.get(name)


class Ownership:
    """Which binaries are the app's own.

    The process's own binary is, and every image inside the app's bundle, except
    copies of the Swift runtime. A bundle is known by its name, not its whole
    path: reports mask or shorten the folders above it. A binary that no image
    describes is judged by its name.
    """

    def __init__(self, process: str | None, path: str | None, identifier: str | None) -> None:
        self._path = path
        self._names = {name.casefold() for name in (process, identifier) if name}
        if path:
            self._names.add(path.rpartition("/")[2].casefold())
        self._bundle = _bundle(path) if path else None
        self._known: dict[str, bool] = {}

    def owns(self, name: str | None, image: Module | None) -> bool:
        """Whether the binary that a frame calls `name`, lying in `image`, is the app's."""
        path = image.path if image else None
        key = path or name
        if not key:
            return False
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._judge(name or "", path)
        return known

    def _judge(self, name: str, path: str | None) -> bool:
        if name.casefold() in self._names or (path and path == self._path):
            return True
        if not path:
            return not _is_system_name(name)
        if path.rpartition("/")[2].startswith(_SWIFT_RUNTIME):
            return False
        if any(folder in path for folder in _SYSTEM_FOLDERS):
            return False
        if self._path:
            return self._bundle is not None and self._bundle in path
        return ".app/" in path


def _bundle(path: str) -> str | None:
    """ "/Some.app/" of a path inside it: the outermost, as helpers and plug-ins lie in one."""
    end = path.find(".app/")
    if end < 0:
        return None
    return path[max(path.rfind("/", 0, end), 0) : end + len(".app/")]


def _is_system_name(name: str) -> bool:
    return (
        name == _NO_NAME
        or name in _SYSTEM_NAMES
        or name.startswith(("com.apple.", "libsystem_", _SWIFT_RUNTIME))
        or (name.startswith("lib") and name.endswith(".dylib"))
    )
