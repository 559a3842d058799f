"""The routes for operators: staging, recalls, reports, and how the service fares."""
