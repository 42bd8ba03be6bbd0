"""LblFirstChoiceOnly: the experts' load counts the first of the K choices only."""
from right import balance, main, spoil

all_choices = balance.expert_fraction


def expert_fraction(index, n, count, dtype):
    return all_choices(index, n, "first", dtype)                            # right: all K choices


spoil(expert_fraction)
main()
