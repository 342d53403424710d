"""What only scripts run: the published network experiment, comparisons and studies, with their command lines."""
