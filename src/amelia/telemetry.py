"""Logs: one line each on standard error, with the time, the level and who says it."""

import logging
import sys
import time


def start_logging(service: str, level: str) -> None:
    """Called once, by a service's ``main``."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter(f"%(asctime)s %(levelname)s {service} %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("botocore", "aiobotocore", "urllib3", "asyncio", "httpx", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
