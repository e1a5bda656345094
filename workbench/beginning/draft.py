"""What has been guessed so far, why, and what stays open."""

from dataclasses import dataclass, field

from workbench.schema import Message

Place = tuple[str, ...]
SECTIONS = ("bundle", "model", "panel", "features", "split", "returns")


@dataclass(frozen=True)
class Guess:
    """A key of the manifest with a value, and the reason for it."""

    place: Place
    value: object
    why: Message


@dataclass(frozen=True)
class Question:
    """A key of the manifest that only the author can fill."""

    place: Place
    why: Message


@dataclass
class Draft:
    """A manifest in the making; keys come in the contract's order within each section."""

    guesses: list[Guess] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def guess(self, place: Place, value: object, why: str, **values: object) -> None:
        """Take `value` for the key at `place`; `why` is a sentence of words/init.toml."""
        self.guesses.append(Guess(place, value, Message(f"init.why.{why}", values)))

    def ask(self, place: Place, why: str, **values: object) -> None:
        """Leave the key at `place` to the author."""
        self.questions.append(Question(place, Message(f"init.ask.{why}", values)))

    def sort(self) -> None:
        """Put the sections into the contract's order."""
        self.guesses.sort(key=lambda guess: SECTIONS.index(guess.place[0]))
        self.questions.sort(key=lambda question: SECTIONS.index(question.place[0]))
