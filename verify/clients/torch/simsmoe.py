"""Chapter S, spec/07-simsmoe.md: SimSMoE."""

OPERATIONS = {}
CONSTANTS = {}  # operation -> the inputs that get no gradient
