"""Answers that each exercise's check has to refuse: notebook → exercise → code that stands in for the stub."""

WRONG_ANSWERS: dict[str, dict[str, list[str]]] = {}
