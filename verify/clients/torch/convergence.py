"""Chapter T, spec/08-convergence.md: the convergence set-up."""

OPERATIONS = {}
CONSTANTS = {}  # operation -> the inputs that get no gradient
