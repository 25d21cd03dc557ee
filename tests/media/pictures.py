"""Pictures of text, made: pages, tables, columns, screenshots, photographed paper, and photos
without a word. The same arguments give the same picture."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

SANS = "DejaVuSans.ttf"
SERIF = "DejaVuSerif.ttf"
BOLD = "DejaVuSans-Bold.ttf"
MONO = "DejaVuSansMono.ttf"
FONTS = (SANS, SERIF, BOLD, MONO)
CHINESE_FONTS = (
    "DroidSansFallbackFull.ttf",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "NotoSansCJK-Regular.ttc",
    "uming.ttc",
)

Tongue = Literal["eng", "deu", "chi_sim"]

_WORDS = {
    "eng": (
        "the order of your garden chairs was sent on Monday and should reach you before Friday "
        "please keep this letter because the number above is needed when something has to be "
        "changed we are happy to help with questions about payment delivery and return every "
        "customer may send goods back within thirty days after arrival our office opens at nine "
        "in winter water runs slowly through narrow valleys while summer brings quick thunder "
        "village school teacher market window yellow bridge kitchen sugar pepper journey pocket"
    ),
    "deu": (
        "die Bestellung der Gartenstühle wurde am Montag verschickt und sollte bis Freitag bei "
        "Ihnen sein bitte heben Sie diesen Brief auf weil die Nummer für Änderungen gebraucht "
        "wird über Fragen zur Bezahlung freuen wir uns jederzeit größere Stücke können innerhalb "
        "von dreißig Tagen zurückgegeben werden unser Büro öffnet täglich um neun Uhr im Winter "
        "fließt das Wasser langsam durch enge Täler Schüler Küche Zucker Brücke Straße Schlüssel"
    ),
    "chi_sim": (
        "我们 今天 上午 在 学校 学习 中文 老师 说 明天 天气 很好 大家 可以 一起 去 公园 请 带 "
        "水 和 面包 下午 三点 回来 图书馆 里 有 很多 新书 朋友 喜欢 看 电影 晚上 吃饭 以后 "
        "打电话 给 家人 工作 时间 从 早上 九点 开始 城市 中心 的 商店 非常 热闹"
    ),
}


def sentences(
    lines: int, *, seed: int = 0, tongue: Tongue = "eng", width: int = 52
) -> tuple[str, ...]:
    """Lines of at most `width` characters, of ordinary words in no particular sense."""
    chance = random.Random(f"{tongue}{seed}")
    words = _WORDS[tongue].split()
    joint, stop = ("", "。") if tongue == "chi_sim" else (" ", ".")
    found = []
    for _ in range(lines):
        line = ""
        while True:
            word = chance.choice(words)
            if tongue != "chi_sim" and chance.random() < 0.06:
                word = str(chance.randrange(2, 3000))
            longer = f"{line}{joint}{word}" if line else word
            if len(longer) >= width:
                break
            line = longer
        found.append(line[0].upper() + line[1:] + stop)
    return tuple(found)


@cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size)


@cache
def chinese_font() -> str:
    """The first there is. Raises `LookupError`."""
    for name in CHINESE_FONTS:
        try:
            ImageFont.truetype(name, 10)
        except OSError:
            continue
        return name
    raise LookupError("no font with Chinese characters: apt-get install fonts-droid-fallback")


def page(
    lines: Sequence[str],
    *,
    face: str = SANS,
    size: int = 24,
    ink: Colour = BLACK,
    paper: Colour = WHITE,
    margin: int = 40,
    spacing: float = 1.5,
) -> Image.Image:
    """Lines of text, one under the other; an empty one leaves a gap."""
    shape = font(face, size)
    width = max((int(shape.getlength(line)) for line in lines), default=size * 10)
    step = int(size * spacing)
    picture = Image.new("RGB", (width + 2 * margin, step * max(len(lines), 1) + 2 * margin), paper)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((margin, margin + number * step), line, fill=ink, font=shape)
    return picture


def columns(
    left: Sequence[str], right: Sequence[str], *, size: int = 22, gap: int = 60, face: str = SERIF
) -> Image.Image:
    """Two columns of running text side by side."""
    shape = font(face, size)
    margin, step = 50, int(size * 1.5)
    middle = margin + int(max(shape.getlength(line) for line in left)) + gap
    width = middle + int(max(shape.getlength(line) for line in right)) + margin
    height = 2 * margin + step * max(len(left), len(right))
    picture = Image.new("RGB", (width, height), WHITE)
    draw = ImageDraw.Draw(picture)
    for start, lines in ((margin, left), (middle, right)):
        for number, line in enumerate(lines):
            draw.text((start, margin + number * step), line, fill=BLACK, font=shape)
    return picture


def table(
    rows: Sequence[Sequence[str]],
    *,
    size: int = 24,
    ruled: bool = True,
    above: Sequence[str] = (),
    face: str = SANS,
) -> Image.Image:
    """Cells in rows, with lines between them where `ruled`; text `above` it."""
    shape = font(face, size)
    pad, margin, step = size, 40, int(size * (2.0 if ruled else 1.6))
    widths = [int(max(map(shape.getlength, cells))) + 2 * pad for cells in zip(*rows, strict=True)]
    head = int(len(above) * size * 1.6) + (size if above else 0)
    width = max([sum(widths), *(int(shape.getlength(line)) for line in above)])
    picture = Image.new("RGB", (width + 2 * margin, head + step * len(rows) + 2 * margin), WHITE)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(above):
        draw.text((margin, margin + number * size * 1.6), line, fill=BLACK, font=shape)
    top = margin + head
    for number, row in enumerate(rows):
        left = margin
        for cell, wide in zip(row, widths, strict=True):
            place = (left + pad, top + number * step + (step - size * 1.2) / 2)
            draw.text(place, cell, fill=BLACK, font=shape)
            left += wide
    if ruled:
        right, bottom = margin + sum(widths), top + step * len(rows)
        for number in range(len(rows) + 1):
            draw.line((margin, top + number * step, right, top + number * step), fill=BLACK)
        left = margin
        for wide in (0, *widths):
            left += wide
            draw.line((left, top, left, bottom), fill=BLACK)
    return picture


def screenshot(
    lines: Sequence[str], *, dark: bool = True, size: int = 15, face: str = SANS
) -> Image.Image:
    """A chat window: bubbles left and right, a bar above, the type of a screen."""
    shape = font(face, size)
    room, bar = (24, 26, 32), (38, 41, 50)
    bubbles, ink = ((46, 50, 61), (39, 76, 119)), (224, 228, 236)
    if not dark:
        room, bar = (244, 246, 250), (225, 229, 236)
        bubbles, ink = ((255, 255, 255), (211, 230, 253)), (34, 38, 46)
    widths = [int(shape.getlength(line)) + 2 * size for line in lines]
    width = max(widths, default=200) + 8 * size
    step = int(size * 3.2)
    picture = Image.new("RGB", (width, step * len(lines) + 5 * size), room)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width, 3 * size), fill=bar)
    for number, (line, wide) in enumerate(zip(lines, widths, strict=True)):
        left = size if number % 2 == 0 else width - wide - size
        top = 4 * size + number * step
        draw.rounded_rectangle(
            (left, top, left + wide, top + int(size * 2.4)), size, fill=bubbles[number % 2]
        )
        draw.text((left + size, top + size * 0.6), line, fill=ink, font=shape)
    return picture


def turned(picture: Image.Image, degrees: float, *, paper: Colour = WHITE) -> Image.Image:
    """Against the clock, with room for the corners."""
    return picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=paper)


def noisy(picture: Image.Image, share: float, *, seed: int = 0) -> Image.Image:
    """`share` of the pixels get a colour of their own."""
    chance = np.random.default_rng(seed)
    pixels = np.array(picture.convert("RGB"))
    struck = chance.random(pixels.shape[:2]) < share
    pixels[struck] = chance.integers(0, 256, (int(struck.sum()), 3))
    return Image.fromarray(pixels)


def grainy(picture: Image.Image, spread: float, *, seed: int = 0) -> Image.Image:
    """The grain of a sensor: every pixel off by about `spread`."""
    chance = np.random.default_rng(seed)
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    return Image.fromarray(
        np.clip(pixels + chance.normal(0, spread, pixels.shape), 0, 255).astype(np.uint8)
    )


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(radius))


def shaded(picture: Image.Image, least: float) -> Image.Image:
    """Lit from the right: at the left edge only so much of the light is left."""
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    light = np.linspace(least, 1, pixels.shape[1])[None, :, None]
    return Image.fromarray((pixels * light).astype(np.uint8))


def photographed(
    picture: Image.Image, *, seed: int = 0, slant: float = 0.05, degrees: float = 3.0
) -> Image.Image:
    """The page on a table, seen by a camera: aslant, lit from one side, with a little blur and
    grain, packed as JPEG."""
    chance = random.Random(seed)
    width, height = picture.size
    frame = (int(width * 1.2), int(height * 1.2))
    table_top = _table_top(frame, seed)
    sheet = picture.convert("RGBA").rotate(
        chance.uniform(-degrees, degrees), Image.Resampling.BICUBIC, expand=True
    )
    off = (frame[0] - sheet.width) // 2, (frame[1] - sheet.height) // 2
    table_top.paste(sheet, off, sheet)
    corners = [
        (x + chance.uniform(-slant, slant) * frame[0], y + chance.uniform(-slant, slant) * frame[1])
        for x, y in ((0, 0), (0, frame[1]), (frame[0], frame[1]), (frame[0], 0))
    ]
    slanted = table_top.transform(
        frame, Image.Transform.QUAD, [one for xy in corners for one in xy], Image.Resampling.BICUBIC
    )
    angle = chance.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0 : frame[1], 0 : frame[0]].astype(np.float32)
    along = (x / frame[0] - 0.5) * np.cos(angle) + (y / frame[1] - 0.5) * np.sin(angle)
    light = 0.78 + 0.4 * along
    pixels = np.asarray(slanted, np.float32) * light[..., None]
    lit = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return from_bytes(as_jpeg(grainy(blurred(lit, 0.8), 5, seed=seed), 80))


def scene(width: int = 900, height: int = 650, *, seed: int = 0) -> Image.Image:
    """Photo-like, without a word: sky, hills, round things with shade, leaves, grain."""
    chance = random.Random(seed)
    picture = Image.new("RGB", (width, height))
    y = np.mgrid[0:height, 0:width][0].astype(np.float32)
    sky = np.stack([120 + 80 * y / height, 160 + 50 * y / height, 230 - 30 * y / height], -1)
    picture = Image.fromarray(sky.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for layer in range(4):
        base = height * (0.4 + 0.14 * layer)
        points = [
            (column, base + chance.uniform(-40, 40) + 30 * np.sin(column / 70 + layer * 2))
            for column in range(0, width + 40, 40)
        ]
        tone = (60 + 20 * layer, 130 - 22 * layer, 60 - 8 * layer)
        draw.polygon([(0, height), *points, (width, height)], fill=tone)
    for _ in range(12):
        left, top = chance.randrange(width), chance.randrange(height)
        across = chance.randrange(15, 120)
        colour = tuple(chance.randrange(30, 240) for _ in range(3))
        for ring in range(6):
            shade = tuple(min(255, value + ring * 12) for value in colour)
            inset = across * ring // 14
            draw.ellipse(
                (left + inset, top + inset, left + across - inset, top + across - inset),
                fill=(shade[0], shade[1], shade[2]),
            )
    for _ in range(500):
        left, top = chance.randrange(width), chance.randrange(height // 2, height)
        size, green = chance.randrange(2, 9), chance.randrange(60, 190)
        draw.line(
            (left, top, left + chance.randrange(-6, 7), top - size),
            fill=(green // 2, green, green // 3),
            width=chance.randrange(1, 3),
        )
    return from_bytes(as_jpeg(grainy(blurred(picture, 0.7), 9, seed=seed), 85))


def as_png(picture: Image.Image) -> bytes:
    return _packed(picture, "PNG")


def as_jpeg(picture: Image.Image, quality: int = 88) -> bytes:
    return _packed(picture.convert("RGB"), "JPEG", quality=quality)


def as_tiff(pictures: Sequence[Image.Image]) -> bytes:
    """One page each."""
    first, *others = pictures
    return _packed(first, "TIFF", save_all=True, append_images=others, compression="tiff_lzw")


def from_bytes(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()
        return opened.convert("RGB")


def _packed(picture: Image.Image, form: str, **options: object) -> bytes:
    with io.BytesIO() as file:
        picture.save(file, form, **options)
        return file.getvalue()


def _table_top(size: tuple[int, int], seed: int) -> Image.Image:
    """Brown wood with a faint grain along it."""
    chance = np.random.default_rng(seed)
    rows = chance.normal(0, 9, (size[1], 1)) + chance.normal(0, 3, (size[1], size[0]))
    wood = np.stack([118 + rows, 84 + rows * 0.8, 56 + rows * 0.6], -1)
    return Image.fromarray(np.clip(wood, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(1)
    )
