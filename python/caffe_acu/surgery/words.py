"""A line of text as words, of which those that need it stand in the quotes of JSON."""

import json
import re

from caffe_acu.errors import UserError

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_PLAIN = re.compile(r'[^\s"#]\S*')


def quoted(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else json.dumps(word, ensure_ascii=False)


def words_of(line: str) -> list[str]:
    """The words before the first that begins with #; UserError for one in wrong quotes."""
    words = []
    for word in _WORD.findall(line):
        if word.startswith("#"):
            break
        words.append(_unquoted(word) if word.startswith('"') else word)
    return words


def _unquoted(word: str) -> str:
    try:
        return json.loads(word)
    except ValueError:
        raise UserError(f"{word} is not in the quotes of JSON") from None
