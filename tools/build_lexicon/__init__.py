"""Make the lexicon of synonyms again, from WordNet."""
