"""The Chalice app: registers the doors, nothing else."""

from chalicelib.handlers import (
    alerts,
    breakpad,
    breakpad_symbols,
    crash_details,
    description,
    events,
    followanalytics,
    hockeyapp,
    hockeyapp_crashes,
    hockeyapp_histograms,
    hockeyapp_regroup,
    hockeyapp_search,
    hockeyapp_triage,
    omaha,
    omaha_symbols,
    partycrasher,
    persons,
    policies,
    quincykit,
    sentry,
    service,
    sessions,
    symbols,
    uploads,
    webhooks,
)
from chalicelib.handlers.application import Application

app = Application(app_name="crashbucket", configure_logs=False)
app.register_blueprint(service.routes)
app.register_blueprint(description.routes)
app.register_blueprint(hockeyapp.routes)
app.register_blueprint(hockeyapp_crashes.routes)
app.register_blueprint(hockeyapp_histograms.routes)
app.register_blueprint(hockeyapp_search.routes)
app.register_blueprint(hockeyapp_triage.routes)
app.register_blueprint(hockeyapp_regroup.routes)
app.register_blueprint(symbols.routes)
app.register_blueprint(uploads.routes)
app.register_blueprint(alerts.routes)
app.register_blueprint(webhooks.routes)
app.register_blueprint(policies.routes)
app.register_blueprint(persons.routes)
app.register_blueprint(sessions.routes)
app.register_blueprint(quincykit.routes)
app.register_blueprint(omaha.routes)
app.register_blueprint(omaha_symbols.routes)
app.register_blueprint(crash_details.routes)
app.register_blueprint(breakpad.routes)
app.register_blueprint(breakpad_symbols.routes)
app.register_blueprint(sentry.routes)
app.register_blueprint(followanalytics.routes)
app.register_blueprint(partycrasher.routes)
app.register_blueprint(events.routes)
