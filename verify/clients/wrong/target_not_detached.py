"""TargetNotDetached: the distillation loss, meant to train the router, trains the experts too.  Every value is right;
only gradients are wrong."""
from right import main, numerics, spoil


def target(s, detach):
    return numerics.softmax(s)                                              # right: a constant


spoil(target)
main()
