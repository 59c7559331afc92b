"""The world: vocabulary, number tasks, wordings, preference questions, and what a base sees."""
