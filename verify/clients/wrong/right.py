"""The right client that every file of this folder spoils in one place."""
import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("client", os.path.join(HERE, "..", "torch", "client.py"))
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)


def main():
    sys.exit(client.smoeref_io.main(client.answer))
