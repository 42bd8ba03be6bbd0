"""Chapter K, spec/06-similarity.md: HSIC, CKA and what they are made of."""

OPERATIONS = {}
CONSTANTS = {}  # operation -> the inputs that get no gradient
