"""Turn option strings into objects, once, before anything is loaded."""
