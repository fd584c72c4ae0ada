"""What is found about a card, piece by piece: fields, sentences of evidence, and questions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from seglab.data.card import Card, Proposal, Question


@dataclass
class Findings:
    """What is found about a card: fields that change, sentences, and open questions."""

    changes: dict[str, Any] = field(default_factory=dict)
    evidence: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def note(self, sentence: str, **changes: Any) -> None:
        """Add a sentence, and the fields of the card that follow from it."""
        self.evidence.append(sentence)
        self.changes |= changes

    def ask(self, text: str, options: Mapping[str, Mapping[str, Any]]) -> None:
        """Add a question with its options."""
        self.questions.append(Question(text, options))

    def proposal(self, card: Card) -> Proposal:
        """The card with all changes, and one question that combines the open ones; it has the first answers.

        Each option states every field that any option changes, so that an answer replaces another one.
        """
        card = replace(card, **self.changes)
        if not self.questions:
            return Proposal(card, tuple(self.evidence))
        changed = {name for question in self.questions for change in question.options.values() for name in change}
        defaults = {name: getattr(card, name) for name in sorted(changed)}
        options: dict[str, dict[str, Any]] = {}
        for answers in product(*(question.options.items() for question in self.questions)):
            changes = dict(defaults)
            for _, change in answers:
                changes |= change
            options["; ".join(label for label, _ in answers)] = changes
        question = Question(" ".join(question.text for question in self.questions), options)
        return Proposal(replace(card, **next(iter(options.values()))), tuple(self.evidence), question)


def listed(counts: Mapping[Any, int], form: str = "{} {}", most: int | None = None) -> str:
    """`{"leaf": 3, "stone": 1}` → "leaf 3, stone 1"; at most so many entries, and how many more there are."""
    first = ", ".join(form.format(name, count) for name, count in [*counts.items()][:most])
    return first + (f" and {len(counts) - most} more" if most and len(counts) > most else "")


def number(count: int, noun: str) -> str:
    """`number(2, "image")` → "2 images"."""
    return f"{count} {noun}{'s' * (count != 1)}"
