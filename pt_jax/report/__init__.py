"""From labelled datasets to pictures and pages."""
