"""Crash logs for tests: the documents' example, and as many others as one likes."""

from __future__ import annotations

from chalicelib import clock, keys, tasks
from chalicelib.bootstrap import Services
from chalicelib.payload import Payload
from chalicelib.records import App
from chalicelib.storage.events import created_objects

ANDROID_EXAMPLE = """\
Package: de.codenauts.hockeyapp
Version: 33
OS: 2.2
Manufacturer: HTC
Model: HTC Desire
Date: Sun Nov 27 17:35:08 GMT+01:00 2011
CrashReporter Key: 1C6ADE7f-643E-A5F3-5CBF-E496CE21DEAA218624AF

java.lang.RuntimeException: Unable to start activity ComponentInfo{de.codenauts.hockeyapp/\
de.codenauts.hockeyapp.MainActivity}: java.lang.NullPointerException
at android.app.ActivityThread.performLaunchActivity(ActivityThread.java:2787)
at android.app.ActivityThread.handleLaunchActivity(ActivityThread.java:2803)
at android.app.ActivityThread.handleRelaunchActivity(ActivityThread.java:4066)
at android.app.ActivityThread.access$2400(ActivityThread.java:135)
at android.app.ActivityThread$H.handleMessage(ActivityThread.java:2140)
at android.os.Handler.dispatchMessage(Handler.java:99)
at android.os.Looper.loop(Looper.java:144)
at android.app.ActivityThread.main(ActivityThread.java:4937)
at java.lang.reflect.Method.invokeNative(Native Method)
at java.lang.reflect.Method.invoke(Method.java:521)
at com.android.internal.os.ZygoteInit$MethodAndArgsCaller.run(ZygoteInit.java:868)
at com.android.internal.os.ZygoteInit.main(ZygoteInit.java:626)
at dalvik.system.NativeStart.main(Native Method)
Caused by: java.lang.NullPointerException
at org.json.JSONTokener.nextCleanInternal(JSONTokener.java:112)
at org.json.JSONTokener.nextValue(JSONTokener.java:90)
at org.json.JSONArray.<init>(JSONArray.java:87)
at org.json.JSONArray.<init>(JSONArray.java:103)
at de.codenauts.hockeyapp.MainActivity.loadApps(MainActivity.java:137)
at de.codenauts.hockeyapp.MainActivity.onCreate(MainActivity.java:66)
at android.app.Instrumentation.callActivityOnCreate(Instrumentation.java:1069)
at android.app.ActivityThread.performLaunchActivity(ActivityThread.java:2751)
... 12 more
"""


def android_log(cause: str = "a", version: str = "33") -> bytes:
    """A log whose crash has its own cause, named by a word."""
    log = f"""\
Package: de.codenauts.hockeyapp
Version Code: {version}
Version Name: 1.{version}
Android: 14
Manufacturer: Google
Model: Pixel 8
CrashReporter Key: {cause}-key

java.lang.IllegalStateException: broken {cause}
\tat de.codenauts.hockeyapp.{cause.title()}.fail({cause.title()}.java:12)
\tat de.codenauts.hockeyapp.Main.run(Main.java:7)
"""
    return log.encode()


def receive(services: Services, app: App, log: bytes) -> int:
    """The id under which the intake took the log."""
    return services.intake.receive(Payload(app.app_id, "hockeyapp", clock.now(), log))


def drain(services: Services) -> list[int]:
    """Process every crash that waits in the queue; the ids in the order of delivery."""
    seen: list[int] = []
    while messages := services.queue.receive(25):
        events = [m.body for m in messages if tasks.decode(m.body) is None]
        ids = [keys.report_id_of_raw_blob(e.key) for body in events for e in created_objects(body)]
        services.processor.process(ids)
        services.queue.ack(messages)
        seen.extend(ids)
    return seen
