"""The first start: a demo app, a token, and what to paste."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast

from chalicelib.bootstrap import Services

_EXAMPLE = "examples/android.log"


def welcome(services: Services, host: str, port: int) -> str:
    """What a newcomer needs to post a first crash and see its group.

    The app and the token are made at the first start, and kept beside the data
    for the next ones, readable by the owner only.
    """
    demo = _demo(services, Path(services.settings.data) / "demo.json")
    url = address(host, port)
    app = f"{url}/api/2/apps/{demo['app_id']}"
    return f"""\
Crashbucket on {url}, data in {services.settings.data}

  demo app  {demo["app_id"]}
  token     {demo["token"]}

Post a crash:

  curl -F "log=@{_EXAMPLE}" {app}/crashes/upload

See its group:

  curl -H "X-HockeyAppToken: {demo["token"]}" {app}/crash_reasons
"""


def address(host: str, port: int) -> str:
    """The URL that reaches the server from this machine."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound to
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


def _demo(services: Services, kept: Path) -> dict[str, str]:
    if kept.exists():
        return cast(dict[str, str], json.loads(kept.read_text()))
    app = services.accounts.create_app(
        "Demo", bundle_id="de.codenauts.hockeyapp", platform="Android"
    )
    demo = {"app_id": app.app_id, "token": services.accounts.create_token("admin")}
    draft = kept.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(demo, file)
    draft.replace(kept)
    return demo
