"""The Chalice app: registers the doors, nothing else."""

from chalicelib.handlers import (
    breakpad,
    crash_details,
    hockeyapp,
    omaha,
    partycrasher,
    quincykit,
    sentry,
    service,
    symbols,
)
from chalicelib.handlers.application import Application

app = Application(app_name="crashbucket")
app.register_blueprint(service.routes)
app.register_blueprint(hockeyapp.routes)
app.register_blueprint(quincykit.routes)
app.register_blueprint(omaha.routes)
app.register_blueprint(crash_details.routes)
app.register_blueprint(partycrasher.routes)
app.register_blueprint(breakpad.routes)
app.register_blueprint(sentry.routes)
app.register_blueprint(symbols.routes)
