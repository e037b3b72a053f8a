"""What the service tells its operators: logs, metrics, traces; on AWS and embedded."""
