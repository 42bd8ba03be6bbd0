"""LblFirstChoiceOnly: the experts' load counts the first of the K choices only."""
from right import client, main

all_choices = client.expert_fraction


def expert_fraction(index, n, count, dtype):
    return all_choices(index, n, "first", dtype)                            # right: all K choices


client.expert_fraction = expert_fraction
main()
