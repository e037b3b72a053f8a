"""What users of crash services complain of: one crash in many buckets, many crashes in one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chalicelib.bucketing.engine import Bucketing
from chalicelib.storage.embedded.store import open_store
from tests.bucketing.crashes import (
    ANDROID,
    ANDROID_BELOW,
    APPLE,
    APPLE_BELOW,
    DOTNET,
    GLIBC_ABORT,
    GLIBC_BELOW,
    JAVASCRIPT,
    JVM,
    NATIVE,
    PLATFORMS,
    Crash,
    Frame,
    buckets,
    calls,
)


@pytest.fixture(params=["empty", "in use"])
def bucketing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucketing]:
    """Bucketing over an empty store, and over one that knows 120 other crashes of each app."""
    store = open_store(tmp_path / "data")
    made = Bucketing(store.table)
    if request.param == "in use":
        buckets(made, [other(crash, n) for crash in PLATFORMS.values() for n in range(20)])
    yield made
    store.close()


def other(crash: Crash, number: int) -> Crash:
    """Another crash of the same app: its own functions, but what the framework brings is shared."""
    shared = calls(f"feature{number}.Screen{number}.load", f"feature{number}.Model{number}.parse")
    half = len(crash.frames) // 2
    return Crash(crash.type, f"failure in part {number}", (*shared, *crash.frames[half:]))


def together(bucketing: Bucketing, *crashes: Crash) -> bool:
    return len(set(buckets(bucketing, crashes))) == 1


def apart(bucketing: Bucketing, *crashes: Crash) -> bool:
    return len(set(buckets(bucketing, crashes))) == len(crashes)


# --- one crash stays in one bucket ---


@pytest.mark.parametrize("platform", PLATFORMS)
def test_changed_lines_do_not_split_a_crash(bucketing: Bucketing, platform: str) -> None:
    crash = PLATFORMS[platform]
    assert together(bucketing, crash, crash.moved())


@pytest.mark.parametrize(
    ("crash", "old", "new"),
    [
        (ANDROID, "$onViewCreated$3", "$onViewCreated$11"),
        (ANDROID, "SyntheticLambda7", "SyntheticLambda12"),
        (ANDROID, "$$ExternalSyntheticLambda7", "$$Lambda$14/0x0000000800c03000"),
        (DOTNET, "d__12", "d__15"),
    ],
)
def test_another_lambda_counter_does_not_split_a_crash(
    bucketing: Bucketing, crash: Crash, old: str, new: str
) -> None:
    assert together(bucketing, crash, crash.called(old, new))


@pytest.mark.parametrize(
    ("crash", "function"),
    [
        (ANDROID, "com.shop.checkout.PaymentFragment.lambda$onViewCreated$3"),
        (JVM, "com.bank.web.TransferController.post"),
        (DOTNET, "Invoices.Export.ExportJob.Run"),
        (NATIVE, "media::Playlist::advance()"),
        (APPLE, "-[NTNoteListController refresh:]"),
        (JAVASCRIPT, "CheckoutPage.render"),
    ],
)
def test_a_frame_inlined_in_the_middle_does_not_split_a_crash(
    bucketing: Bucketing, crash: Crash, function: str
) -> None:
    assert together(bucketing, crash, crash.without(function))
    assert together(bucketing, crash.without(function).moved(), crash)


@pytest.mark.parametrize(
    ("crash", "function"),
    [
        (ANDROID, "com.shop.checkout.PaymentPresenter.onPaid"),
        (JVM, "com.bank.transfer.TransferService.transfer"),
        (DOTNET, "Invoices.Export.PdfWriter.<WriteAsync>d__12.MoveNext"),
        (NATIVE, "media::Decoder::open(std::string const&)"),
        (APPLE, "-[NTSyncEngine finishWithResponse:]"),
        (JAVASCRIPT, "CartSummary.render"),
    ],
)
def test_the_second_frame_inlined_does_not_split_a_crash(
    bucketing: Bucketing, crash: Crash, function: str
) -> None:
    assert together(bucketing, crash, crash.without(function))


@pytest.mark.parametrize(
    "top",
    [
        calls("__GI_raise", "__GI_abort", dylib="libc-2.31.so"),
        calls("gsignal", "abort", dylib="/lib/x86_64-linux-gnu/libc.so.6"),
        calls(
            "__pthread_kill_internal", "__GI___pthread_kill", "raise", "abort", dylib="libc.so.6"
        ),
        (
            *calls("__pthread_kill", dylib="libsystem_kernel.dylib"),
            *calls("abort", dylib="libsystem_c.dylib"),
            *calls("__cxa_throw", "std::terminate()", dylib="libc++abi.dylib"),
        ),
        (),
    ],
    ids=["glibc 2.31", "glibc 2.27", "glibc 2.39", "macOS", "no runtime frames"],
)
def test_another_runtime_on_top_does_not_split_a_native_crash(
    bucketing: Bucketing, top: tuple[Frame, ...]
) -> None:
    bare = NATIVE.frames[len(GLIBC_ABORT) :]
    assert together(bucketing, NATIVE, replace(NATIVE, frames=(*top, *bare)))


@pytest.mark.parametrize("prefix", ["java.base/", "java.base@17.0.9/"])
def test_a_module_before_the_name_does_not_split_a_java_crash(
    bucketing: Bucketing, prefix: str
) -> None:
    assert together(bucketing, JVM, JVM.called("java.", f"{prefix}java."))


def test_a_runtime_frame_on_top_does_not_split_a_java_crash(bucketing: Bucketing) -> None:
    assert together(bucketing, JVM, JVM.without("java.util.Objects.requireNonNull"))


@pytest.mark.parametrize("depth", [2, 5, 40])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_deeper_recursion_does_not_split_a_crash(
    bucketing: Bucketing, platform: str, depth: int
) -> None:
    crash = PLATFORMS[platform]
    cycle = calls("Tree.visit", "Tree.visitChildren", dylib=crash.frames[-3].dylib)
    assert together(bucketing, crash.below(*cycle), crash.below(*cycle * depth))


@pytest.mark.parametrize(
    ("crash", "message"),
    [
        (ANDROID, "Order 9 of 'bob' is already paid"),
        (JVM, 'Cannot invoke "com.bank.Account.owner()" because "account" is null'),
        (APPLE, "-[__NSCFString objectForKey:]: unrecognized selector sent to instance 0x280c1"),
        (JAVASCRIPT, "Cannot read properties of undefined (reading 'amount')"),
        (DOTNET.saying("Could not find file 'C:\\a.txt'"), "Could not find file 'D:\\b c\\d.txt'"),
        (NATIVE.saying("no codec `h264'"), "no codec `vp9'"),
    ],
)
def test_another_value_in_a_quoted_part_does_not_split_a_crash(
    bucketing: Bucketing, crash: Crash, message: str
) -> None:
    assert together(bucketing, crash, crash.saying(message))


def test_a_wrapper_that_says_its_cause_in_its_message_does_not_split_a_crash(
    bucketing: Bucketing,
) -> None:
    wrapped = replace(
        ANDROID,
        type="java.lang.RuntimeException",
        message="Unable to start activity ComponentInfo{com.shop/com.shop.Main}: "
        f"{ANDROID.type}: {ANDROID.message}\nCaused by: {ANDROID.type}: {ANDROID.message}",
    )
    assert together(bucketing, ANDROID, wrapped)


def test_a_device_without_symbols_does_not_split_a_crash(bucketing: Bucketing) -> None:
    with_symbols = replace(
        NATIVE,
        frames=tuple(
            replace(frame, dylib="libmedia.so", address=0x4000 + 0x530 * number)
            if frame.dylib == "/usr/bin/player"
            else frame
            for number, frame in enumerate(NATIVE.frames)
        ),
    )
    without = replace(
        with_symbols,
        frames=tuple(
            replace(frame, function=None, line=None) if frame.dylib == "libmedia.so" else frame
            for frame in with_symbols.frames
        ),
    )
    assert together(bucketing, with_symbols, without)


# --- different crashes stay apart ---


def many(crashes: int, seed: int, below: tuple[Frame, ...], *pool: str) -> list[Crash]:
    """Crashes with nothing but a platform's frames: some of a pool on top of what all have."""
    chance = random.Random(seed)
    return [
        Crash("SIGSEGV", None, (*calls(*chance.sample(pool, chance.randint(4, 8))), *below))
        for _ in range(crashes)
    ]


def unsymbolicated(crashes: int, *, is_known: bool) -> list[Crash]:
    """Crashes whose frames are addresses: offsets in a library, or in memory as it was mapped."""
    chance = random.Random(3)
    base = 0 if is_known else 0x7F3A_1200_0000
    return [
        Crash(
            "SIGSEGV",
            None,
            (
                *(
                    Frame(dylib=chance.choice(["libgame.so", "libgl.so"]), address=base + address)
                    for address in (chance.randrange(0x1000, 0x300000) for _ in range(6))
                ),
                *GLIBC_BELOW,
            ),
        )
        for _ in range(crashes)
    ]


@pytest.mark.parametrize(
    "crashes",
    [
        many(
            100,
            1,
            ANDROID_BELOW,
            *(
                f"android.{package}.{name}"
                for package in ("view.ViewGroup", "widget.ListView", "app.Dialog", "os.BinderProxy")
                for name in ("layout", "measure", "draw", "dispatch", "show", "transact", "obtain")
            ),
        ),
        many(
            100,
            2,
            APPLE_BELOW,
            *(
                f"-[{kind} {selector}]"
                for kind in (
                    "UIView",
                    "UITableView",
                    "UILabel",
                    "CALayer",
                    "UIResponder",
                    "NSCache",
                )
                for selector in ("layoutSubviews", "display", "release", "dealloc", "hitTest:")
            ),
        ),
        unsymbolicated(100, is_known=True),
        unsymbolicated(100, is_known=False),
        [replace(c, frames=(*GLIBC_ABORT, *c.frames)) for c in unsymbolicated(100, is_known=True)],
    ],
    ids=["android", "apple", "offsets", "addresses", "aborts"],
)
def test_a_hundred_causes_with_only_system_frames_are_not_one_bucket(
    bucketing: Bucketing, crashes: list[Crash]
) -> None:
    found = Counter(buckets(bucketing, crashes))
    assert len(found) > 60
    assert max(found.values()) <= 10


@pytest.mark.parametrize(
    ("one", "top", "message"),
    [
        (ANDROID, ("com.shop.cart.CartAdapter.bind", "com.shop.cart.CartFragment.show"), "no row"),
        (JVM, ("com.bank.loan.LoanService.grant", "com.bank.web.LoanController.put"), None),
        (DOTNET, ("Invoices.Mail.Sender.Connect", "Invoices.Mail.MailJob.Run"), "no server"),
        (NATIVE, ("ui::Skin::load()", "ui::Theme::apply()"), "SIGABRT"),
        (APPLE, ("-[NTImageStore thumbnail:]", "-[NTGalleryCell configure:]"), "bad image"),
        (JAVASCRIPT, ("ProfileForm.submit", "ProfilePage.onClick"), "x is not a function"),
    ],
)
def test_crashes_that_share_only_the_frameworks_frames_stay_apart(
    bucketing: Bucketing, one: Crash, top: tuple[str, ...], message: str | None
) -> None:
    shared = {
        "com.shop", "com.bank", "Invoices", "media::", "player::", "-[NT", "Cart", "Checkout",
    }  # fmt: skip
    framework = [f for f in one.frames if not any(str(f.function).startswith(s) for s in shared)]
    dylib = next((f.dylib for f in one.frames if f not in framework), None)
    machinery = 3 if one in (NATIVE, APPLE) else 0
    frames = (*framework[:machinery], *calls(*top, dylib=dylib), *framework[machinery:])
    assert apart(bucketing, one, replace(one, frames=frames, message=message))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_crashes_with_one_message_at_different_places_stay_apart(
    bucketing: Bucketing, platform: str
) -> None:
    crash = PLATFORMS[platform]
    elsewhere = other(crash, 99).saying(crash.message or "")
    assert apart(bucketing, crash, elsewhere)


def test_a_runtimes_own_message_under_a_shared_base_class_merges_no_two_screens(
    bucketing: Bucketing,
) -> None:
    null = "Attempt to invoke virtual method 'int String.length()' on a null object reference"
    below = ("com.shop.ui.BaseScreen.handleClick", "android.view.View.performClick",
             "android.os.Handler.dispatchMessage", "android.os.Looper.loop",
             "android.app.ActivityThread.main", "java.lang.reflect.Method.invoke")  # fmt: skip
    screens = ("login.LoginScreen.onClick", "settings.SettingsScreen.onSave", "cart.Cart.onPay")
    crashes = [
        Crash("java.lang.NullPointerException", null, calls(f"com.shop.{screen}", *below))
        for screen in screens
    ]
    assert apart(bucketing, *crashes)


def test_different_places_that_one_function_calls_stay_apart(bucketing: Bucketing) -> None:
    one, two = (
        Crash("java.io.IOException", "stream closed", calls(f"com.app.{name}", "com.app.Main.run"))
        for name in ("Cache.load", "Upload.send")
    )
    assert apart(bucketing, one, two)


# --- why ---


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_merge_can_be_explained(bucketing: Bucketing, platform: str) -> None:
    crash = PLATFORMS[platform]
    variants = (crash, crash.moved(), crash.saying("quite another thing"), other(crash, 1))
    buckets(bucketing, variants)
    for one in variants:
        for two in variants:
            compared = bucketing.compare(one.stack, two.stack)
            assert sum(term.value for term in compared.terms) == pytest.approx(compared.score)
            assert all(term.value > 0 and term.field and term.term for term in compared.terms)
