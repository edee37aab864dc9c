"""Attacks on Valet's own parts, on this machine, as experiments that anybody can repeat: see README.md."""
