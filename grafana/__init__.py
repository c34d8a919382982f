"""Floor 5: dashboards as code."""
