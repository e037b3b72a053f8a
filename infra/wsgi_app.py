"""The target that the WSGI server loads in each of its processes."""

from __future__ import annotations

from app import app
from chalicelib.bootstrap import services
from infra.processes import end_with_parent
from infra.wsgi import WsgiApp

end_with_parent()
application = WsgiApp(app, services().settings.max_body_bytes)
