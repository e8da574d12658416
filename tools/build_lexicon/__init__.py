"""Build the lexicon of synonyms from WordNet."""
