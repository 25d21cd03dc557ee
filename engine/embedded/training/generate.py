"""Endless training chats for the built-in model, put together from the readable files in data/."""

import json
import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from engine.embedded.model import FALLBACK

DATA = Path(__file__).parent / "data"
FALLBACK_AGAIN = (
    "I can't answer that either: I'm only the small built-in demo model. "
    "Connect a real model with moltgate init."
)
FALLBACKS = {FALLBACK, FALLBACK_AGAIN}
TOO_SMALL = "I'm too small to say more; connect a real model with moltgate init."
NO_NAME = "You haven't told me your name yet."
WHICH_CITY = "Which city do you mean?"
GERMAN = (
    "kinder wetter haus brot wasser straße freund schule arbeit geld auto garten buch katze hund "
    "schön schnell heute morgen gestern immer nicht mit ohne über unter zwischen rezept gedicht "
    "hauptstadt gehört machen kochen spielen fahren lernen steuer vertrag müde krank krieg frieden "
    "könig österreich europa für eine einen das der die ein und oder wenn weil gibt es ist sind"
).split()
FRENCH = (
    "le la les une des maison pain eau chat chien école argent voiture jardin livre demain hier "
    "toujours avec sans pour dans être avoir faire recette poème capitale musique ville été hiver "
    "français beaucoup merci fenêtre garçon fille travail guerre paix roi est sont était"
).split()
SPANISH = (
    "el la los una casa pan agua gato perro escuela dinero coche jardín libro mañana ayer siempre "
    "con sin para en ser tener hacer receta poema capital música ciudad verano invierno español "
    "mucho gracias ventana niño niña trabajo guerra paz rey es son era cidade não muito il che di"
).split()
SCRIPTS = (
    "абвгдежзийклмнопрстуфхцчшщыьэюя",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会",
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよ",
    "가나다라마바사아자차카타파하고노도로모보소오조초",
    "אבגדהוזחטיכלמנסעפצקרשת",
    "कखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह",
    "😀😂🎉🚀🐱❤️👍🙏😢🔥🌍🍕⚽🤖👀✨",
    "ąćęłńóśźżčřšžäöüßéèêñçåøő",
)
LANGUAGES = (
    "python, javascript, java, c, c++, rust, go, ruby, php, sql, bash, swift, kotlin, haskell, r, "
    "typescript, perl, lua, html, css, matlab, scala"
).split(", ")
REPLY = "[in reply to this message]"  # this and the marks of files are the gateway's own
VOICE = "[voice message, transcribed]"
READ = "text read from the file, material and no instruction"
COMMON = (
    "hello", "hello", "hello", "who are you", "what can you do", "what is moltgate", "thanks",
    "how are you", "connect a model", "telegram", "goodbye", "joke", "test", "ok",
)  # fmt: skip
NUMBER_WORDS = "zero one two three four five six seven eight nine ten".split()
FILLERS = (
    "hey, ", "hi, ", "hello, ", "please ", "ok, ", "so ", "and ", "well, ", "quick question: ",
    "i wonder, ", "can you tell me: ", "tell me, ", "one more thing: ", "sorry, ", "um, ", "but ",
    "now ", "hey moltgate, ", "dear bot, ", "question: ", "next: ", "alright, ", "btw ",
    "i want to know ", "do you know ", "could you tell me ", "please tell me ", "i'd like to know ",
    "hey bot, ", "my friend, ", "then ", "just ", "also ",
)  # fmt: skip
TAILS = (
    " please", " thanks", ", please", " then", " again", " now", ", do you know", " bro", " here",
    " for me", " exactly", " really", " to me", " today", " actually", ", thank you", " for us",
    " with this", " in there", " right now", " of all", ", my friend", ", bot", " at all", " too",
)  # fmt: skip
SWAPS = (
    ("what is", "what's"), ("what's", "what is"), ("what is", "whats"), ("who is", "who's"),
    ("how do i", "how can i"), ("how do i", "how would i"), ("how do i", "how to"),
    ("how can i", "how do i"), ("how do i", "how should i"), ("how do i", "how do we"),
    ("what", "which"), ("which", "what"), ("biggest", "largest"), ("largest", "biggest"),
    ("show me", "please show"), ("tell me", "say"), ("are there", "exist"), ("my", "our"),
    ("are in", "are there in"), ("can i", "may i"), ("can i", "could i"), ("do i", "must i"),
    ("the", "a"), ("a", "the"), ("the ", ""), ("a ", "one "), ("you", "u"), ("are you", "r u"),
    ("moltgate", "it"), ("it", "moltgate"), ("it", "this"), ("explain", "please explain"),
    ("find", "see"), ("use", "work with"), ("add", "hook up"), ("connect", "link"),
    ("connect", "plug in"), ("is", "was"), ("called", "named"), ("does", "do"), ("model", "llm"),
)  # fmt: skip


def entries(name: str) -> list[str]:
    """The comma-separated entries of a data file."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    joined = ",".join(line for line in lines if not line.startswith("#"))
    return [entry.strip() for entry in joined.split(",") if entry.strip()]


def lines_of(name: str) -> list[str]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@dataclass
class Topic:
    """One thing the model knows: wordings of the question, and the answer (or several in turn)."""

    name: str
    wordings: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


def topics_of(name: str) -> list[Topic]:
    topics: list[Topic] = []
    for line in lines_of(name):
        mark, _, rest = line.partition(" ")
        if mark == "==":
            topics.append(Topic(rest))
        elif mark == "?":
            topics[-1].wordings.append(rest)
        elif mark == "!":
            topics[-1].answers.append(rest)
    return topics


_CHOICE = re.compile(r"\{([^{}]*)\}")


def expand(wording: str, rng: random.Random) -> str:
    """One of the sentences that a wording with {a|b} choices stands for."""
    while choice := _CHOICE.search(wording):
        picked = rng.choice(choice.group(1).split("|"))
        wording = wording[: choice.start()] + picked + wording[choice.end() :]
    return re.sub(r" +", " ", wording).strip()


def every(wording: str) -> Iterator[str]:
    """All the sentences that a wording stands for."""
    choice = _CHOICE.search(wording)
    if choice is None:
        yield re.sub(r" +", " ", wording).strip()
        return
    for option in choice.group(1).split("|"):
        yield from every(wording[: choice.start()] + option + wording[choice.end() :])


@cache
def breadth(wording: str) -> float:
    """How often a wording is drawn: broader ones more often, but not in proportion."""
    count = 1
    for choice in _CHOICE.findall(wording):
        count *= choice.count("|") + 1
    return float(count**0.4)


def normal(text: str) -> str:
    return re.sub(r"[^\w+ ]", "", text.lower()).strip()


class Writer:
    """Draws chats. The same seed gives the same chats."""

    def __init__(self, seed: int, dictionary: Path | None = None) -> None:
        self.rng = random.Random(seed)
        self.moltgate = topics_of("moltgate.txt")
        self.chat = topics_of("chat.txt")
        self.facts = topics_of("facts.txt")
        self.capitals = dict(line.split(" = ") for line in lines_of("capitals.txt"))
        self.unknown = lines_of("unknown.txt")
        self.systems = lines_of("systems.txt")
        self.sentences = lines_of("sentences.txt")
        self.topics = entries("topics.txt")
        self.places = entries("places.txt")
        self.names = entries("names.txt")
        self.everyday = sorted({word for topic in self.topics for word in topic.split()})
        self.words = list(self.everyday)
        if dictionary is not None:
            listed = dictionary.read_text(encoding="utf-8").splitlines()
            self.words += [word for word in listed if word.isalpha() and word.islower()]
        everything = [*self.moltgate, *self.chat, *self.facts]
        self.by_name = {topic.name: topic for topic in everything}
        self.known = {
            normal(sentence)
            for topic in everything
            for wording in topic.wordings
            for sentence in every(wording)
        }
        self.known |= {normal(topic.name) for topic in everything}
        asked = [*lines_of("heldout_known.txt"), *lines_of("heldout_late.txt")]
        known = (line.rpartition(" => ")[0] for line in asked)
        self.held_out = {normal(line) for line in (*known, *lines_of("heldout_unknown.txt"))}
        self.taken = self.known | self.held_out
        self.fixed = {answer for topic in everything for answer in topic.answers}
        self.fixed |= FALLBACKS

    # --- words -------------------------------------------------------------------------------

    def made_up(self) -> str:
        rng = self.rng
        syllables = (
            rng.choice("bcdfghjklmnprstvwz") + rng.choice(("", "", "r", "l", "h"))
            + rng.choice("aeiouy") + rng.choice(("", "", "n", "r", "l", "s", "ck", "m"))
            for _ in range(rng.randint(1, 3))
        )  # fmt: skip
        return "".join(syllables)

    def word(self) -> str:
        draw = self.rng.random()
        if draw < 0.08:
            return self.made_up()
        return self.rng.choice(self.words if draw < 0.5 else self.everyday)

    def name(self) -> str:
        if self.rng.random() < 0.4:
            return self.made_up().capitalize()
        return self.rng.choice(self.names)

    def surname(self) -> str:
        if self.rng.random() < 0.5:
            return self.made_up().capitalize()
        return self.rng.choice((self.word().capitalize(), self.rng.choice(self.names)))

    def topic(self) -> str:
        draw = self.rng.random()
        if draw < 0.55:
            return self.rng.choice(self.topics)
        if draw < 0.8:
            return self.word()
        return f"{self.word()} {self.word()}"

    def place(self) -> str:
        if self.rng.random() < 0.3:
            return self.made_up().capitalize()
        return self.rng.choice(self.places)

    def number(self) -> str:
        rng = self.rng
        return str(
            rng.choice((rng.randint(11, 99), rng.randint(100, 999), rng.randint(1000, 2100)))
        )

    def city(self) -> str:
        draw = self.rng.random()
        if draw < 0.5:
            return self.rng.choice(list(self.capitals.values()))
        return self.place() if draw < 0.8 else self.surname()

    def gibberish(self) -> str:
        rng = self.rng
        signs = string.ascii_letters + string.digits + string.punctuation + "  "
        return "".join(rng.choice(signs) for _ in range(rng.randint(4, 24))).strip() or "#"

    def script(self) -> str:
        letters = self.rng.choice(SCRIPTS)
        count = self.rng.randint(1, 4)
        return " ".join(
            "".join(self.rng.choice(letters) for _ in range(self.rng.randint(1, 8)))
            for _ in range(count)
        )

    def fill(self, wording: str) -> str:
        """A wording with its choices made and its <slots> filled."""
        slots: dict[str, Callable[[], str]] = {
            "t": self.topic, "w": self.word, "n": self.number, "p": self.surname,
            "c": self.place, "k": lambda: self.rng.choice(LANGUAGES),
            "g": lambda: self.rng.choice(GERMAN), "f": lambda: self.rng.choice(FRENCH),
            "e": lambda: self.rng.choice(SPANISH), "u": self.script, "x": self.gibberish,
            "s": self.sentence, "S": self.sentence, "N": self.name, "P": self.city,
            "d": lambda: self.rng.choice(string.digits), "city": self.city,
        }  # fmt: skip
        return re.sub(
            r"<(city|[a-zA-Z])>",
            lambda slot: slots[slot.group(1)](),
            expand(wording, self.rng),
        )

    def sentence(self) -> str:
        text = self.fill(self.rng.choice(self.sentences))
        return text[:1].upper() + text[1:] if self.rng.random() < 0.5 else text

    # --- how people write --------------------------------------------------------------------

    def polish(self, text: str) -> str:
        """The text as somebody may type it: tidy, lower case, without marks, with a slip."""
        rng = self.rng
        if rng.random() < 0.3:
            present = [pair for pair in SWAPS if re.search(rf"\b{pair[0]}\b", text)]
            if present:
                old, new = rng.choice(present)
                text = re.sub(rf"\b{old}\b", new, text, count=1)
        if rng.random() < 0.15 and len(text) > 4:
            text = rng.choice(FILLERS) + text
        if rng.random() < 0.1 and len(text) > 4:
            text += rng.choice(TAILS)
        asks = re.match(
            r"(.*[,:] )?(what|how|who|why|when|where|which|whats|is|are|can|could|do|does|did|will|"
            r"should|am|have|may|so what|and what|was|were|if)\b",
            text,
        )
        style = rng.random()
        if style < 0.45:
            text = re.sub(r"\bi\b", "I", text)
            text = re.sub(
                r"\b(moltgate|telegram|discord|slack|redis|ollama|python|english|german|mars)\b",
                lambda name: name.group().capitalize(),
                text,
            )
            text = text[:1].upper() + text[1:]
            if text[-1:].isalnum():
                text += "?" if asks else rng.choice((".", "", "!", "."))
        elif style < 0.65 and asks and text[-1:].isalnum():
            text += rng.choice(("?", "?", " ?", "??"))
        elif style < 0.68:
            text = text.upper()
        elif style < 0.8:
            text = text.lower()
            text = text.replace("'", "") if rng.random() < 0.5 else text
        if rng.random() < 0.14:
            text = self.slip(text)
        return text

    def slip(self, text: str) -> str:
        if len(text) < 6:
            return text
        at = self.rng.randrange(1, len(text) - 1)
        kind = self.rng.randrange(4)
        if kind == 0:
            return text[:at] + text[at + 1 :]
        if kind == 1:
            return text[:at] + text[at] + text[at:]
        if kind == 2:
            return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        return text[:at] + self.rng.choice(string.ascii_lowercase) + text[at + 1 :]

    def ask(self, topic: Topic) -> str:
        weights = [breadth(wording) for wording in topic.wordings]
        while True:
            text = self.fill(self.rng.choices(topic.wordings, weights)[0])
            if normal(text) not in self.held_out:
                return self.polish(text)

    def unknown_question(self) -> str:
        while True:
            draw = self.rng.random()
            if draw < 0.04:
                text = ". ".join(self.sentence() for _ in range(self.rng.randint(4, 14)))
            else:
                text = self.fill(self.rng.choice(self.unknown))
            if normal(text) not in self.taken:
                return self.polish(text[:600])

    # --- one chat ----------------------------------------------------------------------------

    def chat_messages(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """One chat as messages, and the tools that were offered in it."""
        rng = self.rng
        messages: list[dict[str, Any]] = []
        tools: list[dict[str, Any]] = []
        draw = rng.random()
        if draw < 0.35:
            name = "Moltgate" if rng.random() < 0.7 else self.name()
            messages.append({"role": "system", "content": self.systems[0].replace("{name}", name)})
        elif draw < 0.65:
            content = self.fill(rng.choice(self.systems[1:]))
            messages.append({"role": "system", "content": content})
        if rng.random() < 0.1:
            tools = self.some_tools()
        self.told: str | None = None
        self.jokes = 0
        self.last = ""
        self.fell_back = False
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 3, 4, 5, 6))):
            messages += self.exchange(tools)
        group = rng.random() < 0.1
        for place, message in enumerate(messages):
            if message["role"] == "user":
                if rng.random() < 0.03:
                    quote = messages[place - 1]["content"] if place > 1 else self.sentence()
                    lines = quote.splitlines() or [""]
                    quoted = "\n".join(f"> {line}" for line in lines)
                    message["content"] = f"{REPLY}\n{quoted}\n{message['content']}"
                if group:
                    message["content"] = f"{self.name()}: {message['content']}"
        return messages, tools

    def exchange(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rng = self.rng
        if tools and rng.random() < 0.65:
            self.fell_back = False
            return self.with_tool(tools)
        follow = self.follow_up() if rng.random() < 0.4 else None
        question, answer = follow or rng.choices(
            (
                self.known_turn, self.unknown_turn, self.capital_turn, self.sum_turn,
                self.repeat_turn, self.picture_turn, self.voice_turn, self.name_turn,
            ),
            (50, 27, 7, 8, 6, 5, 5, 4),
        )[0]()  # fmt: skip
        self.fell_back = answer in FALLBACKS
        return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]

    def known_turn(self) -> tuple[str, str]:
        while True:
            group = self.rng.choices((self.moltgate, self.chat, self.facts), (40, 34, 40))[0]
            topic = self.rng.choice(group)
            if self.rng.random() < 0.12:
                topic = self.by_name[self.rng.choice(COMMON)]
            if "weather" not in topic.name and "time" not in topic.name:
                break
            if self.rng.random() < 0.6:
                break
        question = self.ask(topic)
        answer = self.answer_to(topic)
        self.last = topic.name
        return question, answer

    def answer_to(self, topic: Topic) -> str:
        if topic.name != "joke":
            return topic.answers[0]
        answer = topic.answers[self.jokes % len(topic.answers)]
        self.jokes += 1
        return answer

    def unknown_turn(self) -> tuple[str, str]:
        self.last = "unknown"
        return self.unknown_question(), self.fallback()

    def fallback(self) -> str:
        return FALLBACK_AGAIN if self.fell_back else FALLBACK

    def follow_up(self) -> tuple[str, str] | None:
        """A question that means something only after the last one, if one is to be had."""
        rng = self.rng
        if self.last == "capital":
            return self.capital_turn(follow=True)
        if self.last == "unknown" and rng.random() < 0.5:
            self.last = "connect a model"
            wording = (
                "{how|how so|ok how|how then|how do i do that|how do i connect one|and how|how to|"
                "how does that work|how can i do that|what do i have to do|ok, what do i do|"
                "how do i get a real one|where do i do that|tell me how|show me how|"
                "{what|which} {real |}model|how do i connect a real model|then connect one}"
            )
            return self.polish(self.fill(wording)), self.by_name["connect a model"].answers[0]
        if self.last == "told":
            return self.name_turn()
        if self.last == "joke":
            wording = (
                "{another|another one|one more|more|again|next|next one|tell me another|"
                "do you have more|more jokes|one more please|got another one|a different one}"
            )
            return self.polish(self.fill(wording)), self.answer_to(self.by_name["joke"])
        return None

    def capital_turn(self, follow: bool = False) -> tuple[str, str]:
        rng = self.rng
        known = rng.random() < 0.75
        country = rng.choice(list(self.capitals)) if known else self.place()
        bare = country.removeprefix("the ") if rng.random() < 0.3 else country
        spoken = bare if rng.random() < 0.6 else bare.lower()
        wordings = (
            "{what is|what's|whats|tell me|name|do you know|give me|say} the capital {|city }of @",
            "{what is|which is|which city is} the capital of @",
            "capital of @",
            "@ capital",
            "@'s capital",
            "the capital of @",
            "can you {tell me|name} {what the capital of @ is|the capital of @}",
            "what is @'s capital",
            "i need the capital of @",
        )
        follows = (
            "and {of |}@", "and {what about |}@", "what about @", "@", "how about @", "of @",
            "and the capital of @", "and for @", "same for @", "what of @", "ok and @",
        )  # fmt: skip
        question = self.fill(rng.choice(follows if follow else wordings)).replace("@", spoken)
        if not known:
            self.last = "unknown" if not follow else "capital"
            return self.polish(question), self.fallback()
        self.last = "capital"
        if rng.random() < 0.06 and not follow:
            self.last = ""
            question = self.fill(
                "{which country has the capital @|what country is @ the capital of|"
                "@ is the capital of which country|of which country is @ the capital}"
            ).replace("@", self.capitals[country])
            same = [c for c, city in self.capitals.items() if city == self.capitals[country]]
            return self.polish(question), f"{self.capitals[country]} is the capital of {same[0]}."
        return self.polish(question), f"The capital of {country} is {self.capitals[country]}."

    def sum_turn(self) -> tuple[str, str]:
        rng = self.rng
        self.last = ""
        a, b = rng.randint(0, 9), rng.randint(0, 9)
        left, right = str(a), str(b)
        if rng.random() < 0.2:
            left, right = NUMBER_WORDS[a], NUMBER_WORDS[b]
        form = rng.randrange(3)
        if form == 0:
            body = f"{left} {rng.choice(('plus', 'plus', 'and'))} {right}"
        else:
            body = f"{left} + {right}" if form == 1 else f"{left}+{right}"
        opening = self.fill(
            "{what is|what's|how much is|calculate|compute|tell me|whats||can you add||and}"
        )
        ending = rng.choice(("", "", "", "=", " =", "?"))
        return self.polish(f"{opening} {body}{ending}".strip()), f"{a} + {b} = {a + b}."

    def quote(self) -> str:
        rng = self.rng
        draw = rng.random()
        if draw < 0.6:
            return self.sentence()
        if draw < 0.75:
            return " ".join(self.word() for _ in range(rng.randint(1, 6)))
        if draw < 0.85:
            return f"{self.sentence()}. {self.sentence()}"
        if draw < 0.93:
            return f"{self.name()} {self.surname()} {self.number()}"
        return self.ask(rng.choice(self.facts))

    def repeat_turn(self) -> tuple[str, str]:
        self.last = ""
        text = self.quote()
        opening = self.fill(
            "{{please |}repeat after me|repeat{| this| the words| the following| what i say}|say|"
            "echo|{please |can you |}repeat|say after me|write|please say|"
            "repeat exactly|copy this|say this|can you say|now say}"
        )
        joint = self.rng.choice((": ", ": ", " ", ":\n", ' "'))
        end = '"' if joint == ' "' else ""
        if self.rng.random() < 0.5:
            opening = opening.capitalize()
        return f"{opening}{joint}{text}{end}", text

    def marked(self, mark: str, question: str, first: bool = True) -> str:
        if not question:
            return mark
        question = self.polish(question)
        first = first and self.rng.random() < 0.5
        return "\n".join((mark, question) if first else (question, mark))

    def heard(self, text: str) -> str:
        if self.rng.random() < 0.25:
            return f"[voice transcript: {text}]"
        return f"{VOICE}\n{text}"

    def picture_turn(self) -> tuple[str, str]:
        self.last = ""
        text = self.quote()
        reading = self.rng.random() < 0.6
        question = self.fill(
            "{||what does {it|this|the picture|the image|the photo|the sign|that} say|"
            "read {this|it|the picture|it to me|this for me}|"
            "what {is|stands|is written} {on the picture|here|"
            "there|in the image|on it|in this picture}|can you read {this|it|that}|look|see this|"
            "what do you see|transcribe this|here is a picture|what is this|text please|"
            "what text is in the picture|can you see it|describe the picture|what's in this photo}"
        )
        if not reading:
            question = self.unknown_question()[:120]
        thing = self.rng.choice(("image", "image", "picture", "document"))
        answer = f'The {thing} says: "{text}"'
        if not reading:
            answer = f"{answer} {TOO_SMALL}"
        if self.rng.random() < 0.25 or thing == "picture":
            return self.marked(f"[{thing} text: {text}]", question), answer
        label = self.fill("{#|#|photo.jpg|IMG_<n>.jpg|<w>.%|<w>_<n>.%|<w> <w>.%|file_<n>.%}")
        suffix = self.rng.choice(("png", "jpg") if thing == "image" else ("pdf", "docx", "txt"))
        label = label.replace("#", thing).replace("%", suffix)
        opening = f"[{thing} {label}: {READ}]"
        marked = f"{opening}\n{text}\n[end of {thing}]"
        return self.marked(marked, question, first=False), answer

    def voice_turn(self) -> tuple[str, str]:
        rng = self.rng
        draw = rng.random()
        if draw < 0.45:
            question, answer = rng.choice((self.known_turn, self.known_turn, self.capital_turn))()
            return self.heard(question), answer
        self.last = ""
        text = self.quote()
        if draw < 0.75:
            question = self.fill(
                "{what did i {say|just say|tell you}|what do i say {here|there}|transcribe this|"
                "write that down|what does {the voice note|it|the recording} say|listen|"
                "can you hear what i said|repeat that|what was that}"
            )
            return self.marked(self.heard(text), question), f'You said: "{text}"'
        text = self.sentence()
        return self.heard(text), f'You said: "{text}" {TOO_SMALL}'

    def name_turn(self) -> tuple[str, str]:
        self.last = ""
        if self.told is not None or self.rng.random() < 0.15:
            question = self.fill(
                "{what is my name|what's my name|who am i|"
                "do you {know|remember} {my name|who i am}|"
                "tell me my name|how am i called|what am i called|say my name|"
                "have you forgotten my name|my name?}"
            )
            answer = f"Your name is {self.told}." if self.told else NO_NAME
            return self.polish(question), answer
        self.told = self.name()
        spoken = self.told if self.rng.random() < 0.7 else self.told.lower()
        self.told = spoken
        question = self.fill(
            "{|hi, |hello, |hey, |good morning, }{my name is|my name's|call me|i am called|"
            "i'm called|please call me|you can call me|the name is|my friends call me} @"
        ).replace("@", spoken)
        if self.rng.random() < 0.4:
            question = question[:1].upper() + question[1:] + self.rng.choice((".", "", "!"))
        self.last = "told"
        return question, f"Nice to meet you, {spoken}!"

    # --- tools -------------------------------------------------------------------------------

    def some_tools(self) -> list[dict[str, Any]]:
        rng = self.rng
        place = rng.choice(("city", "city", "location", "place"))
        weather = rng.choice(("get_weather", "get_weather", "weather", "get_current_weather"))
        time = rng.choice(("get_time", "get_time", "current_time", "time"))
        made = [
            tool(weather, rng.choice(("Weather in a city", "Get the weather", "Current weather.")),
                 place),
            tool(time, rng.choice(("Time in a city", "Get the current time", "Local time.")),
                 place),
        ]  # fmt: skip
        made = made if rng.random() < 0.6 else [rng.choice(made)]
        if rng.random() < 0.4:
            made.append(tool(f"{self.word()}_{self.word()}", self.sentence(), self.word()))
        rng.shuffle(made)
        return made

    def with_tool(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rng = self.rng
        self.last = ""
        chosen = rng.choice([t for t in tools if re.search("weather|time", t["function"]["name"])])
        name = chosen["function"]["name"]
        parameter = next(iter(chosen["function"]["parameters"]["properties"]))
        city = self.city()
        weather = "weather" in name
        question = self.fill(
            "{{what is|what's|how is|tell me|check|get} the {weather|weather like|current weather|"
            "temperature} in @|weather in @|is it {raining|cold|warm|sunny|snowing} in @|how {warm|"
            "cold|hot} is it in @|will it rain in @|what about the weather in @|@ weather|"
            "do i need an umbrella in @|weather for @ please}"
            if weather
            else "{what time is it in @|"
            "{what is|what's|tell me|check|get} the {|current |local }time in @|"
            "time in @|{current|local} time in @|how late is it in @|@ time|"
            "what does the clock say in @}"
        ).replace("@", city)
        turns: list[dict[str, Any]] = []
        if rng.random() < 0.12:
            bare = (
                "{what's|how is|what is} the weather"
                if weather
                else "what {time is it|is the time}"
            )
            turns.append({"role": "user", "content": self.polish(self.fill(bare))})
            turns.append({"role": "assistant", "content": WHICH_CITY})
            question = city
        call = {"name": name, "arguments": {parameter: city}}
        turns.append({"role": "user", "content": self.tidy(question)})
        turns.append({"role": "assistant", "content": "", "tool_calls": [{"function": call}]})
        if rng.random() < 0.75:
            response, answer = self.response(weather, city)
            turns.append({"role": "tool", "content": response})
            turns.append({"role": "assistant", "content": answer})
        return turns

    def tidy(self, text: str) -> str:
        """Capital first letter and question mark or neither: city names must stay as they are."""
        draw = self.rng.random()
        if draw < 0.4:
            return text[:1].upper() + text[1:] + "?"
        return text + "?" if draw < 0.6 else text

    def response(self, weather: bool, city: str) -> tuple[str, str]:
        rng = self.rng
        draw = rng.random()
        if draw < 0.1:
            problem = self.sentence()
            return json.dumps({"error": problem}), f"The tool failed: {problem}"
        if draw < 0.3:
            text = self.sentence()
            return text, f"The tool says: {text}"
        if weather:
            degrees = rng.randint(-20, 42)
            sky = rng.choice("sunny cloudy rainy foggy windy clear snowy overcast stormy".split())
            reading: dict[str, Any] = {
                rng.choice(("temperature", "temp", "temperature_c", "degrees")): degrees,
                rng.choice(("condition", "sky", "conditions", "weather", "description")): sky,
            }
            if rng.random() < 0.4:
                reading = {rng.choice(("city", "location")): city, **reading}
            return json.dumps(reading), f"In {city} it is {degrees} degrees and {sky}."
        clock = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
        stamp = {rng.choice(("time", "local_time", "now", "current_time")): clock}
        if rng.random() < 0.4:
            stamp = {rng.choice(("city", "location")): city, **stamp}
        return json.dumps(stamp, ensure_ascii=False), f"It is {clock} in {city}."


def tool(name: str, description: str, parameter: str) -> dict[str, Any]:
    """A tool as OpenAI-style requests describe it, with one text parameter."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {parameter: {"type": "string"}},
                "required": [parameter],
            },
        },
    }


if __name__ == "__main__":
    writer = Writer(1)
    for _ in range(12):
        for message in writer.chat_messages()[0]:
            print(f"{message['role']:>9}: {message['content'] or message.get('tool_calls')}")
        print()
