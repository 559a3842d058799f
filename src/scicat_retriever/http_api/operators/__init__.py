"""The routes for operators: staging, recalls, reports, and the overview."""
