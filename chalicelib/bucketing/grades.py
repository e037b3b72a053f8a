"""How much a frame can say about a cause, by whose code it is.

Three grades: the app's own code, its platform's or framework's, and the
machinery that raises, aborts and starts threads, which stands in nearly every
stack of its kind and differs from one runtime to the next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

from chalicelib.formats.in_app import is_app_code, is_app_library
from chalicelib.model import Frame


class Grade(IntEnum):
    """Whose code a frame is; a higher grade tells more."""

    MACHINERY = 0
    PLATFORM = 1
    APP = 2


_MACHINERY = re.compile(
    r"""(?:
    # signals, aborts and assertions of C libraries
      (?:__GI_)?(?:abort|raise|gsignal|kill|tgkill|pthread_kill|_exit)
    | __pthread_kill\w* | __assert\w* | __libc_\w+ | __restore_rt | __kernel_\w+
    | <signal\ handler.*
    | malloc_printerr | __fortify_fail | __stack_chk_fail | __chk_fail | __libc_message
    # throwing and terminating in C++, Objective-C, Swift, Rust, on Windows
    | __cxa_\w+ | _Unwind_\w+ | std::terminate | std::__\w*terminate | std::__throw_\w+
    | __gnu_cxx::__verbose_terminate_handler | __cxxabiv1::\w+ | demangling_\w+
    | objc_exception_\w+ | _objc_terminate | __exceptionPreprocess | [-+]\[NSException\ raise.*
    | _swift_runtime_on_report | swift_\w*fatalError\w* | (?:core|std)::panicking::.* | rust_\w+
    | KiUserExceptionDispatch\w* | RaiseException | _CxxThrowException | Rtl\w*Exception\w*
    | UnhandledExceptionFilter
    # raising again what was caught, in any language
    | (?:.*[.:_])?(?:re_?raise|re_?throw)(?:_\w+)?
    # where processes and threads begin, and code that belongs to no function
    | <(?:module|lambda|anonymous|unknown|eval|string)>
    | _?start | main | start_thread | (?:__)?clone3? | thread_start | _pthread_\w+ | dyld\w*
    | BaseThreadInitThunk | (?:__?)?RtlUserThreadStart | w?WinMain | \w*mainCRTStartup
    | __scrt_common_main\w* | invoke_main | g_thread_proxy | UIApplicationMain | NSApplicationMain
    # calls that only hand over, and the loops below everything
    | java\.lang\.Thread\.run | java\.lang\.reflect\..* | (?:sun|jdk\.internal)\.reflect\..*
    | com\.android\.internal\.os\..* | dalvik\.system\.NativeStart.*
    | android\.os\.(?:Looper|Handler|MessageQueue)\..* | android\.app\.ActivityThread\..*
    | java\.util\.concurrent\.(?:ThreadPoolExecutor|FutureTask|Executors)\b.*
    | CFRunLoop\w* | __CFRunLoop\w* | __CFRUNLOOP_\w+ | GSEventRunModal
    | start_wqthread | _dispatch_\w+ | g_main_\w+
    | System\.Runtime\.(?:ExceptionServices|CompilerServices)\..* | System\.Environment\.FailFast
    | System\.Threading\.(?:ExecutionContext|ThreadHelper|Tasks\.Task)\b.*
    | threading\.Thread\..* | runpy\..*
    )""",
    re.VERBOSE,
)


# What a template engine or an interpreter writes where there is no function: "top-level template
# code", "block 'body'". Its words come again in every template.
_DESCRIPTION = re.compile(r"[a-z][\w-]*(?: ['\w-]+)+")

# Objective-C classes of Apple's own frameworks: their prefixes are reserved. Where a client does
# not say which image a frame is of, only the name tells.
_APPLE = re.compile(r"[-+]\[_*(?:NS|UI|CA|CF|CL|AV|WK|MK|SK|SCN|MTL|PH|HK|MP|GL)[A-Z].*")


def grades(frames: Sequence[Frame], names: Sequence[str]) -> tuple[Grade, ...]:
    """The grade of each frame; `names` are the frames' names as bucketing compares them.

    A format that knows the app's code marks it; where none is marked, names
    and modules decide.
    """
    marked = any(frame.in_app for frame in frames)
    return tuple(
        grade_of(name, frame.in_app if marked else _is_app(frame))
        for frame, name in zip(frames, names, strict=True)
    )


def _is_app(frame: Frame) -> bool:
    if frame.module and not is_app_library(frame.module):
        return False
    return frame.function is None or is_app_code(frame.function)


@lru_cache(maxsize=65_536)  # an app's crashes show the same few thousand functions
def grade_of(name: str, is_app: bool) -> Grade:
    """The grade of a frame of that name, in the app's code or in another's."""
    if _MACHINERY.fullmatch(name):
        return Grade.MACHINERY
    if _DESCRIPTION.fullmatch(name) or _APPLE.fullmatch(name):
        return Grade.PLATFORM
    return Grade.APP if is_app else Grade.PLATFORM
