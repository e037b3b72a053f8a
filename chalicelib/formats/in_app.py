"""Whose code a frame is: the app's own, or its platform's, runtime's or framework's.

The tables hold what ships with a platform or language, and the few libraries
that stand between nearly every app and its platform. A library that only some
apps use counts as the app's own code: leaving it out would empty more stacks
than it would clean.
"""

from __future__ import annotations

import re

# The final dot keeps `javassist.` from beginning with `java`.
NOT_IN_APP_PREFIXES = (
    # Java's platform, and what the JDK calls its inside
    "java.", "javax.", "jakarta.", "jdk.", "sun.", "com.sun.", "com.oracle.", "com.ibm.", "j$.",
    # Android's framework, with the packages it brings along from elsewhere
    "android.", "androidx.", "com.android.", "dalvik.", "libcore.", "art.", "org.json.",
    "org.apache.http.", "org.apache.harmony.",
    "org.xml.", "org.w3c.", "org.xmlpull.", "org.kxml2.", "org.ccil.cowan.", "junit.",
    "org.junit.", "vendor.", "com.qualcomm.", "com.mediatek.",
    "com.samsung.android.", "com.huawei.android.", "miui.", "com.miui.",
    # Google's libraries between app and system
    "com.google.android.gms.", "com.google.android.material.", "com.google.firebase.",
    "com.google.common.", "dagger.", "com.google.android.play.",
    # Kotlin, Scala, Groovy, Clojure: their runtimes
    "kotlin.", "kotlinx.", "_COROUTINE.", "scala.", "groovy.", "org.codehaus.groovy.", "clojure.",
    # Plumbing that carries a call without deciding anything
    "rx.", "io.reactivex.", "okhttp3.", "okio.", "retrofit2.", "com.squareup.okhttp.",
    "com.facebook.react.", "io.netty.",
    "org.springframework.", "org.apache.catalina.", "org.apache.tomcat.", "org.eclipse.jetty.",
    # .NET, Mono and Xamarin
    "System.", "Microsoft.", "Mono.", "MonoTouch.", "MonoDroid.", "Xamarin.", "Android.",
    "AndroidX.", "Java.", "Javax.", "Kotlin.", "Windows.",
    "Foundation.", "UIKit.", "ObjCRuntime.", "Internal.", "Interop.", "mono.",
    # Crash reporters see every crash of the app and cause few
    "net.hockeyapp.android.", "HockeyApp.", "com.microsoft.appcenter.", "com.crashlytics.",
)  # fmt: skip

# Xamarin's generated Java classes, which only hand a call over to managed code.
_CALLABLE_WRAPPER = re.compile(r"(?:crc64[0-9a-f]{16}|md5[0-9a-f]{32})\.")

_SYSTEM_PATHS = (
    "/system/", "/system_ext/", "/apex/", "/vendor/", "/product/", "/odm/", "/oem/", "/usr/",
    "/lib/", "/lib64/", "/data/dalvik-cache/", "[", "<", "linux-", "/memfd:", "/dev/ashmem/",
)  # fmt: skip
_RUNTIME_LIBRARIES = frozenset({
    "libc.so", "libm.so", "libdl.so", "liblog.so", "libart.so", "libdvm.so", "libc++_shared.so",
    "libmonosgen-2.0.so", "libmonodroid.so", "libmono-android.release.so", "libxamarin-app.so",
    "libhermes.so", "libandroid_runtime.so", "linker", "linker64",
})  # fmt: skip


def is_app_code(function: str, package: str | None = None) -> bool:
    """Whether the fully qualified name is the app's: of its package, or of nobody in the table."""
    if package is not None and function.startswith(package + "."):
        return True
    if function.startswith(NOT_IN_APP_PREFIXES):
        return False
    return not (function.startswith(("crc64", "md5")) and _CALLABLE_WRAPPER.match(function))


def is_app_library(path: str) -> bool:
    """Whether a native library is the app's, by where Android keeps it."""
    name = path.rpartition("/")[2].rpartition("!")[2]
    return not path.startswith(_SYSTEM_PATHS) and name not in _RUNTIME_LIBRARIES


# What stands between every native program and its kernel, by file name. No more than that: on a
# Linux distribution the crashed program itself lies below /usr.
_NATIVE_RUNTIME = re.compile(
    r"""
    (?: lib(?:c|m|dl|rt|pthread|util|resolv|stdc\+\+|c\+\+|c\+\+abi|gcc_s|asan|tsan|ubsan)
      | ld(?:-linux[\w-]*)? | libsystem_\w+ | libSystem | libdyld | libobjc | dyld
    ) (?: -\d[\d.]* )? (?: \.\w+ )? \.(?:so|dylib) [\d.]*
    | dyld | linux-(?:vdso|gate)\.so[\d.]*
    | (?: ntdll | kernel32 | kernelbase | msvc[rp]\w* | ucrtbase\w* | vcruntime\w* | wow64\w* )
      \.dll
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NATIVE_RUNTIME_FUNCTION = re.compile(
    r"""
    _start | start | __libc_\w+ | __GI_\w+ | __pthread_\w+ | start_thread | clone3? | __clone3?
    | raise | abort | __abort\w* | __assert\w* | _?_?sigreturn\w* | __restore_rt | __kernel_\w+
    | (?:__libc_|__)?(?:malloc|free|calloc|realloc) | _int_(?:free|malloc) | malloc_printerr
    | __cxa_\w+ | _Unwind_\w+ | __gnu_cxx::.* | std::terminate.* | __stack_chk_fail\w*
    """,
    re.VERBOSE,
)


# Where systems keep their own libraries, of any program.
_LINUX_SYSTEM = re.compile(
    r"/(?:usr/)?lib(?:32|64|x32|exec)?/.*|/snap/core\d*/.*|\[.*|linux-(?:gate|vdso).*|/dev/.*|/memfd:.*",
    re.DOTALL,
)
_WINDOWS_SYSTEM = re.compile(
    r"(?:(?:\\\\\?\\)?[a-z]:[\\/](?:windows|winnt)|\\(?:systemroot|windows))[\\/].*",
    re.IGNORECASE | re.DOTALL,
)
# For dumps that give a library's name without its path.
_WINDOWS_LIBRARY_NAMES = """
advapi32 apphelp bcrypt bcryptprimitives cfgmgr32 clr clrjit combase comctl32 comdlg32 coremessaging
crypt32 cryptbase d3d10 d3d11 d3d12 d3d9 dbgcore dbghelp ddraw dinput8 dnsapi dsound dwmapi dwrite
dxgi gdi32 gdi32full gdiplus imm32 iphlpapi kernelbase kernel32 mfplat mpr mscoree mscorwks msctf
mshtml msvcp_win msvcrt mswsock ncrypt netapi32 nsi ntdll ole32 oleaut32 opengl32 powrprof profapi
propsys psapi rpcrt4 rsaenh sechost secur32 setupapi shcore shell32 shlwapi sspicli ucrtbase umpdc
urlmon user32 userenv usp10 uxtheme version win32u windowscodecs winhttp wininet winmm wintrust
winspool wow64 wow64cpu wow64win ws2_32 wtsapi32 xinput1_3 xinput1_4
"""
_WINDOWS_LIBRARIES = frozenset(_WINDOWS_LIBRARY_NAMES.split())


def is_linux_system_library(path: str) -> bool:
    """Whether a library lies where a Linux distribution keeps its own."""
    return _LINUX_SYSTEM.fullmatch(path) is not None


def is_windows_system_library(path: str) -> bool:
    """Whether a library is part of Windows, by its path or, where there is none, by its name."""
    if _WINDOWS_SYSTEM.fullmatch(path):
        return True
    name = path.lower()
    return name.endswith(".dll") and name[:-4] in _WINDOWS_LIBRARIES


def is_native_app_code(function: str | None, library: str | None) -> bool:
    """Whether a native frame is the app's: not in, and not by its name from, the C or C++ runtime.

    A frame that names neither function nor library is nobody's.
    """
    if not function and not library:
        return False
    name = re.split(r"[/\\]", library)[-1] if library else ""
    if name and _NATIVE_RUNTIME.fullmatch(name):
        return False
    return not (function and _NATIVE_RUNTIME_FUNCTION.fullmatch(function))
