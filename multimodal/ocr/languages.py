"""Which languages Tesseract has data for here, and which of them are written in a script."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from multimodal.errors import NotSetUp

FOLDERS = (
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
)

MOST = 4
"""Languages read at once where they were detected: each makes it slower and the others worse."""

SCRIPTS = {
    "Latin": "afr aze bos bre cat ces cos cym dan deu dut eng enm epo est eus fao fil fin fra frk "
    "frm fry gla gle glg hat hrv hun iku ind isl ita ita_old jav lat lav lit ltz mlt mri msa nld "
    "nor oci pol por que ron slk slv spa spa_old sqi srp_latn sun swa swe tgl ton tur uzb vie yor",
    "Fraktur": "frk deu",
    "Cyrillic": "aze_cyrl bel bul kaz kir mkd mon rus srp tat tgk ukr uzb_cyrl",
    "Greek": "ell grc",
    "Arabic": "ara fas kur_ara pus snd uig urd",
    "Hebrew": "heb yid",
    "Han": "chi_sim chi_tra jpn",
    "HanS": "chi_sim",
    "HanT": "chi_tra",
    "Japanese": "jpn chi_sim chi_tra",
    "Katakana": "jpn chi_sim chi_tra",
    "Hiragana": "jpn chi_sim chi_tra",
    "Korean": "kor",
    "Hangul": "kor",
    "Devanagari": "hin mar nep san",
    "Bengali": "ben asm",
    "Gurmukhi": "pan",
    "Gujarati": "guj",
    "Oriya": "ori",
    "Tamil": "tam",
    "Telugu": "tel",
    "Kannada": "kan",
    "Malayalam": "mal",
    "Sinhala": "sin",
    "Thai": "tha",
    "Lao": "lao",
    "Khmer": "khm",
    "Myanmar": "mya",
    "Tibetan": "bod dzo",
    "Georgian": "kat kat_old",
    "Armenian": "hye",
    "Ethiopic": "amh tir",
    "Cherokee": "chr",
    "Syriac": "syr",
    "Thaana": "div",
}
"""By the names that Tesseract's script detection gives. It takes Chinese for Japanese every other
time."""


def folder(wanted: Path | None) -> Path:
    """Where the data is: as set, else as TESSDATA_PREFIX says, else where systems keep it. Raises
    `NotSetUp`."""
    if wanted is not None:
        if any(wanted.glob("*.traineddata")):
            return wanted
        raise NotSetUp(
            f"there is no language data of Tesseract in {wanted}",
            "put files such as eng.traineddata there, or leave media.ocr.tessdata out",
        )
    places = [os.environ.get("TESSDATA_PREFIX", ""), *FOLDERS]
    for place in places:
        if place and any(Path(place).glob("*.traineddata")):
            return Path(place)
    raise NotSetUp(
        "Tesseract's language data is not installed",
        "install it with: apt-get install tesseract-ocr",
    )


def has(language: str, where: Path) -> bool:
    return (where / f"{language}.traineddata").is_file()


def installed(where: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in where.glob("*.traineddata")))


def require(wanted: Sequence[str], where: Path) -> None:
    """Raises `NotSetUp` with what to install."""
    missing = [language for language in wanted if not has(language, where)]
    if missing:
        raise NotSetUp(
            f"Tesseract has no data for {', '.join(missing)} in {where}",
            f"install it with: apt-get install {' '.join(map(package, missing))}",
        )


def unusable(wanted: str, where: Path) -> NotSetUp:
    """The data is there and Tesseract does not take it: cut off, or of another version."""
    packages = " ".join(map(package, wanted.split("+")))
    return NotSetUp(
        f"Tesseract cannot read its data for {wanted} in {where}",
        f"install it anew with: apt-get install --reinstall {packages}",
    )


def package(language: str) -> str:
    """Debian's name."""
    return f"tesseract-ocr-{language.replace('_', '-')}"


def written_in(script: str, preferred: Sequence[str], where: Path) -> tuple[str, ...]:
    """Installed languages of the script, those preferred first; empty where there are none."""
    known = SCRIPTS.get(script, "").split()
    there = [language for language in known if has(language, where)]
    ordered = [one for one in preferred if one in there]
    ordered += [one for one in there if one not in ordered]
    return tuple(ordered[:MOST])
