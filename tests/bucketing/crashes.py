"""Crashes of several platforms as a client posts them, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.bucketing.assignment import Founder
from chalicelib.bucketing.engine import Bucketing
from chalicelib.bucketing.stack import Stack, normalise
from chalicelib.formats import partycrasher_json


@dataclass(frozen=True)
class Frame:
    """One frame as it is posted: what is None is left out."""

    function: str | None = None
    line: int | None = None
    dylib: str | None = None
    address: int | None = None
    file: str | None = None

    def posted(self) -> dict[str, Any]:
        told = {
            "function": self.function,
            "fileline": None if self.line is None else str(self.line),
            "dylib": self.dylib,
            "address": None if self.address is None else hex(self.address),
            "file": self.file,
        }
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True)
class Crash:
    """Type, message and frames, the innermost first."""

    type: str
    message: str | None
    frames: tuple[Frame, ...]

    @property
    def stack(self) -> Stack:
        posted = {
            "database_id": "x",
            "exception_type": self.type,
            "message": self.message,
            "stacktrace": [frame.posted() for frame in self.frames],
        }
        return normalise(partycrasher_json.parse(json.dumps(posted).encode()))

    def saying(self, message: str) -> Crash:
        return replace(self, message=message)

    def without(self, function: str) -> Crash:
        left = tuple(frame for frame in self.frames if frame.function != function)
        assert len(left) == len(self.frames) - 1
        return replace(self, frames=left)

    def below(self, *frames: Frame) -> Crash:
        """The same crash with these frames on top."""
        return replace(self, frames=(*frames, *self.frames))

    def moved(self) -> Crash:
        """The same crash in a build with other lines."""
        moved = (replace(f, line=None if f.line is None else f.line + 7) for f in self.frames)
        return replace(self, frames=tuple(moved))

    def called(self, old: str, new: str) -> Crash:
        """The same crash with every `old` in its functions as `new`."""
        return replace(
            self,
            frames=tuple(
                replace(f, function=f.function.replace(old, new)) if f.function else f
                for f in self.frames
            ),
        )


def calls(*functions: str, **others: Any) -> tuple[Frame, ...]:
    """Frames of these functions, with made-up lines."""
    return tuple(
        Frame(name, line=20 + 13 * number, **others) for number, name in enumerate(functions)
    )


def buckets(bucketing: Bucketing, crashes: Sequence[Crash]) -> list[str]:
    """The bucket of each crash at the default threshold, posted in this order."""
    return [
        bucketing.assign(crash.stack, Founder(f"report-{number}", "app")).buckets[
            bucketing.default_threshold
        ]
        for number, crash in enumerate(crashes)
    ]


ANDROID_BELOW = calls(
    "android.view.View.performClick",
    "android.view.View$PerformClick.run",
    "android.os.Handler.handleCallback",
    "android.os.Handler.dispatchMessage",
    "android.os.Looper.loop",
    "android.app.ActivityThread.main",
    "java.lang.reflect.Method.invoke",
    "com.android.internal.os.ZygoteInit.main",
)
ANDROID = Crash(
    "java.lang.IllegalStateException",
    "Order 4711 of 'alice' is already paid",
    (
        *calls(
            "com.shop.checkout.OrderRepository.markPaid",
            "com.shop.checkout.PaymentPresenter.onPaid",
            "com.shop.checkout.PaymentFragment.lambda$onViewCreated$3",
            "com.shop.checkout.PaymentFragment$$ExternalSyntheticLambda7.onClick",
        ),
        *ANDROID_BELOW,
    ),
)
JVM = Crash(
    "java.lang.NullPointerException",
    'Cannot invoke "com.bank.Account.balance()" because "account" is null',
    (
        *calls(
            "java.util.Objects.requireNonNull",
            "com.bank.transfer.TransferService.withdraw",
            "com.bank.transfer.TransferService.transfer",
            "com.bank.web.TransferController.post",
        ),
        *calls(
            "java.lang.reflect.Method.invoke",
            "org.springframework.web.method.support.InvocableHandlerMethod.doInvoke",
            "org.springframework.web.servlet.DispatcherServlet.doDispatch",
            "org.apache.catalina.core.StandardWrapperValve.invoke",
            "java.util.concurrent.ThreadPoolExecutor.runWorker",
            "java.lang.Thread.run",
        ),
    ),
)
DOTNET = Crash(
    "System.InvalidOperationException",
    "Sequence contains no matching element",
    (
        *calls(
            "System.Linq.ThrowHelper.ThrowNoMatchException",
            "System.Linq.Enumerable.First",
            "Invoices.Export.PdfWriter.FindTemplate",
            "Invoices.Export.PdfWriter.<WriteAsync>d__12.MoveNext",
            "System.Runtime.CompilerServices.TaskAwaiter.HandleNonSuccessAndDebuggerNotification",
            "Invoices.Export.ExportJob.Run",
        ),
        *calls(
            "System.Threading.ExecutionContext.RunInternal",
            "System.Threading.Tasks.Task.ExecuteWithThreadLocal",
        ),
    ),
)
GLIBC_ABORT = calls("__pthread_kill_implementation", "raise", "abort", dylib="libc.so.6")
GLIBC_BELOW = calls(
    "main", "__libc_start_call_main", "__libc_start_main", "_start", dylib="libc.so.6"
)
NATIVE = Crash(
    "SIGABRT",
    "SIGABRT",
    (
        *GLIBC_ABORT,
        *calls(
            "media::Decoder::seek(long)",
            "media::Decoder::open(std::string const&)",
            "media::Playlist::advance()",
            "player::Window::on_next()",
            dylib="/usr/bin/player",
        ),
        *GLIBC_BELOW,
    ),
)
APPLE_BELOW = (
    *calls("-[UIApplication sendAction:to:from:forEvent:]", dylib="UIKitCore"),
    *calls("__CFRUNLOOP_IS_CALLING_OUT_TO_A_SOURCE0_PERFORM_FUNCTION__", "CFRunLoopRunSpecific"),
    *calls("UIApplicationMain", dylib="UIKitCore"),
    *calls("main", dylib="Notes"),
    *calls("start", dylib="dyld"),
)
APPLE = Crash(
    "NSInvalidArgumentException",
    "-[__NSCFString objectForKey:]: unrecognized selector sent to instance 0x60000291c5a0",
    (
        *calls("__exceptionPreprocess", dylib="CoreFoundation"),
        *calls("objc_exception_throw", dylib="libobjc.A.dylib"),
        *calls("-[NSObject(NSObject) doesNotRecognizeSelector:]", dylib="CoreFoundation"),
        *calls(
            "-[NTSyncEngine applyChanges:]",
            "-[NTSyncEngine finishWithResponse:]",
            "-[NTNoteListController refresh:]",
            dylib="Notes",
        ),
        *APPLE_BELOW,
    ),
)
JAVASCRIPT = Crash(
    "TypeError",
    "Cannot read properties of undefined (reading 'price')",
    calls(
        "CartSummary.totalOf",
        "CartSummary.render",
        "CheckoutPage.render",
        "renderWithHooks",
        "updateFunctionComponent",
        "performUnitOfWork",
        "workLoopSync",
    ),
)
PLATFORMS = {
    "android": ANDROID,
    "jvm": JVM,
    "dotnet": DOTNET,
    "native": NATIVE,
    "apple": APPLE,
    "javascript": JAVASCRIPT,
}
