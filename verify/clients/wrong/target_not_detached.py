"""TargetNotDetached: the distillation loss, meant to train the router, trains the experts too.  Every value is right; only
gradients are wrong."""
from right import client, main


def target(s, detach):
    return client.softmax(s)                                                # right: a constant


client.target = target
main()
