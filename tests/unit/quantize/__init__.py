"""Tests of the quantize package."""
