from chalicelib.model import Report


def readable_signature(report: Report) -> str | None:
    return None


def omaha_signature(report: Report) -> str | None:
    return None
