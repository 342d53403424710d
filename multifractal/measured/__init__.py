"""Results about real networks that need no torch: sections and trainings once measured, beside models of them."""
