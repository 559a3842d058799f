"""What all tests share."""

import os

from hypothesis import HealthCheck, settings

from tests.examples import DEEP, DEEPER, PROFILE

# How long an example takes says how busy the machine is, nothing about the code.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(DEEP, settings.get_profile("project"), max_examples=100 * DEEPER)
settings.load_profile(os.environ.get(PROFILE, "project"))
