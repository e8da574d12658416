"""Draw a specification as SVG that stands in the page itself, with a title and a description for screen readers."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from pytest_qeval.schema import Json

_NAMESPACE = "http://www.w3.org/2000/svg"
_KEPT_FONT = ("font-size", "font-weight", "font-style")


def draw(spec: Json, *, name: str, title: str, description: str) -> str:
    """Return an `<svg>` element; `name` is unique in the page."""
    import vl_convert  # noqa: PLC0415 - an extra, of 90 MB

    root = ET.fromstring(vl_convert.vegalite_to_svg(spec, vl_version="5.21"))  # noqa: S314 - drawn just now
    _clean(root)
    width, height = root.get("width", "1"), root.get("height", "1")
    root.attrib.clear()
    root.attrib.update(
        {
            "class": "plot",
            "role": "img",
            "viewBox": f"0 0 {width} {height}",
            "width": width,
            "height": height,
            "aria-labelledby": f"{name}-title",
            "aria-describedby": f"{name}-desc",
        }
    )
    for tag, text, at in (("title", title, 0), ("desc", description, 1)):
        element = ET.Element(tag, {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(at, element)
    return re.sub(r"\s?xmlns(:\w+)?=\"[^\"]*\"", "", ET.tostring(root, encoding="unicode"))


def _clean(root: ET.Element) -> None:
    """Drop Vega's own names for screen readers, classes and fonts, and the namespace, which HTML implies."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_NAMESPACE}}}")
        for key in list(element.attrib):
            is_font = key.startswith("font-") and key not in _KEPT_FONT
            if key.startswith("aria-") or key in {"role", "class", "style", "pointer-events"} or is_font:
                del element.attrib[key]
