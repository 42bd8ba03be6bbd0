"""CombineGradNone: the weights of the combination are taken for constants, so the router gets no gradient from the
task.  Every value is right; only gradients are wrong."""
from right import layer, main, spoil

right_combine = layer.combine


def combine(weight, o):
    return right_combine(weight.detach(), o)                                # right: weight


spoil(combine)
main()
