"""The embedded store: SQLite and files in one folder, no AWS account."""
