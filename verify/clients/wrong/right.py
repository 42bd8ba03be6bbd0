"""The right client that every file of this folder spoils in one place."""
import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("client", os.path.join(HERE, "..", "torch", "client.py"))
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)
numerics, gate, layer, balance, compete = client.numerics, client.gate, client.layer, client.balance, client.compete


def spoil(function):
    """Puts it in the place of the right one of its name, in every chapter that uses that."""
    for chapter in (numerics, client.expert, gate, layer, balance, compete):
        if hasattr(chapter, function.__name__):
            setattr(chapter, function.__name__, function)


def main():
    sys.exit(client.smoeref_io.main(client.answer))
