"""Loops in C that do in one pass what torch does in many, with the same bits; used where a compiler is found."""
