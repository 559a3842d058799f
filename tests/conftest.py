"""What all tests share."""

import os

import structlog
from hypothesis import HealthCheck, settings
from structlog.dev import ConsoleRenderer, plain_traceback

from tests.examples import DEEP, DEEPER, PROFILE

# How long an example takes says how busy the machine is, nothing about the code.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(DEEP, settings.get_profile("project"), max_examples=100 * DEEPER)
settings.load_profile(os.environ.get(PROFILE, "project"))

# Unless told otherwise structlog prints the values of all variables with an error, which takes seconds for a whole application.
*_others, _renderer = structlog.get_config()["processors"]
structlog.configure(processors=[*_others, ConsoleRenderer(exception_formatter=plain_traceback)])
