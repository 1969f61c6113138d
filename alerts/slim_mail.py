"""A mail without its pictures, for a server that finds it too large. Pure.

The same mail always becomes the same smaller one, under the same Message-ID: a resend is still the same mail.
"""

import itertools
import re

_BOUNDARY = re.compile(rb'boundary="([^"\r\n]+)"')
_PICTURE = re.compile(rb"\r\ncontent-type:[ \t]*image/", re.IGNORECASE)


def without_pictures(data: bytes) -> bytes | None:
    """``data`` without its image parts; None where it has none."""
    smaller = data
    for boundary in _BOUNDARY.findall(data):
        # Quoted-printable writes "=" as "=3D" and base64 has no "-", so that no body holds one of these lines.
        delimiter = re.compile(rb"\r\n--" + re.escape(boundary) + rb"(?=\r\n|--)")
        marks = [match.start() for match in delimiter.finditer(smaller)]
        for start, end in reversed(list(itertools.pairwise(marks))):
            part = smaller[start:end]
            if _PICTURE.search(part.partition(b"\r\n\r\n")[0]):
                smaller = smaller[:start] + smaller[end:]
    return None if smaller == data else smaller
