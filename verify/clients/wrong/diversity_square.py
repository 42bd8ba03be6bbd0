"""DiversitySquare: the mean cosine over all K^2 entries of a matrix with its diagonal zeroed: (K-1)/K of the value."""
from right import main, spoil


def pairs(k, kind):
    return k * k                                                            # right: k * (k - 1)


spoil(pairs)
main()
