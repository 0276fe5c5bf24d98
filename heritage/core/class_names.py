"""Names of classes in other languages, which a data set may bring along in ``class_names.json``.

The file is in the data set's folder and maps a language to names by class, as in
``{"de": {"bowl": "Schale"}, "ar": {"bowl": "وعاء"}}``. Classes without a name there are shown as written.
The six civilisations of the thesis have names here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from heritage.core.json_files import read_json_file
from heritage.errors import ManifestError

CLASS_NAMES_FILE = "class_names.json"

ClassNames = dict[str, dict[str, str]]
"""By language (``de``), then by class."""

TRANSLATIONS: ClassNames = {
    "de": {
        "egyptian": "Ägypten",
        "grecoroman": "Griechenland und Rom",
        "orient": "Alter Orient",
        "islam": "Islamische Welt",
        "byzantium": "Byzanz",
        "asian": "Asien",
    },
    "fr": {
        "egyptian": "Égypte",
        "grecoroman": "Grèce et Rome",
        "orient": "Proche-Orient ancien",
        "islam": "Monde islamique",
        "byzantium": "Byzance",
        "asian": "Asie",
    },
    "ar": {
        "egyptian": "مصر",
        "grecoroman": "اليونان وروما",
        "orient": "الشرق الأدنى القديم",
        "islam": "العالم الإسلامي",
        "byzantium": "بيزنطة",
        "asian": "آسيا",
    },
}
"""Names of the six civilisations; the English ones are `heritage.core.taxonomy.CIVILISATIONS`."""

_LARGEST = 4 << 20  # bytes


def read_class_names(folder: Path) -> ClassNames:
    """Return the names in a data set's ``class_names.json``; none without the file.

    Raises:
        ManifestError: The file is damaged, or is not names by language and class.
    """
    path = folder / CLASS_NAMES_FILE
    if not path.is_file():
        return {}
    try:
        names: ClassNames = read_json_file(path, ClassNames, limit=_LARGEST)
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"no names of classes by language: {error}",
            where=path,
            remedy='write it as {"de": {"bowl": "Schale"}}',
        ) from error
    return names


def class_names(classes: Iterable[str], given: ClassNames) -> ClassNames:
    """Return the names of some classes: those of a data set, else those of the six civilisations."""
    known = list(classes)
    return {
        language: {
            name: text
            for name in known
            if (text := given.get(language, {}).get(name) or TRANSLATIONS.get(language, {}).get(name))
        }
        for language in sorted({*given, *TRANSLATIONS})
    }
