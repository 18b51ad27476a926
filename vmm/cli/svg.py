"""SVG by hand: just what the pictures of `vmm plot` need, in colours for light and dark pages."""

from __future__ import annotations

import math

STYLE = """
text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2430; }
.page { fill: #ffffff; } .title { font-size: 20px; font-weight: 600; }
.head { font-size: 15px; font-weight: 600; } .soft { fill: #667085; }
.grid { stroke: #e4e7ec; stroke-width: 1; } .track { fill: #f2f4f7; }
.a { fill: #2e6fd8; } .b { fill: #8a63d2; } .c { fill: #0f9d76; }
.bad { fill: #d0402f; }
.num { font-variant-numeric: tabular-nums; }
.end { text-anchor: end; } .mid { text-anchor: middle; }
@media (prefers-color-scheme: dark) {
text { fill: #e6e9f0; } .page { fill: #14171f; } .soft { fill: #98a2b3; }
.grid { stroke: #2a3040; } .track { fill: #1e2330; }
.a { fill: #6ea3ff; } .b { fill: #b79bf0; } .c { fill: #3ecf9f; }
.bad { fill: #ff7b6b; }
}
"""
CHARACTER = 7.2  # px, widest average of the fonts above at 13 px


class Drawing:
    """Elements in drawing order, on a page that grows downward."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.height = 0.0
        self._parts: list[str] = []

    def text(self, x: float, y: float, words: str, kind: str = "") -> None:
        self._parts.append(f'<text x="{x:g}" y="{y:g}"{_class(kind)}>{escape(words)}</text>')
        self._grow(y + 6)

    def bar(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        self._parts.append(
            f'<rect x="{x:.2f}" y="{y:g}" width="{width:.2f}" height="{height:g}" rx="3"'
            f"{_class(kind)}/>"
        )
        self._grow(y + height)

    def line(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self._parts.append(
            f'<line x1="{x1:.2f}" y1="{y1:g}" x2="{x2:.2f}" y2="{y2:g}" class="grid"/>'
        )
        self._grow(max(y1, y2))

    def _grow(self, y: float) -> None:
        self.height = max(self.height, y)

    def render(self, title: str, margin: float = 28) -> str:
        """The whole file; `title` is what screen readers say."""
        height = self.height + margin
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{height:g}" '
            f'viewBox="0 0 {self.width} {height:g}" role="img">\n'
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
            f'<rect class="page" width="{self.width}" height="{height:g}" rx="8"/>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def escape(words: str) -> str:
    """Text for XML, without the characters that XML 1.0 cannot hold."""
    clean = "".join(char if char.isprintable() else "�" for char in words)
    return (
        clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


def fit(words: str, width: float) -> str:
    """`words`, shortened to `width` px with an ellipsis."""
    room = max(1, int(width / CHARACTER))
    return words if len(words) <= room else words[: room - 1] + "…"


def ticks(limit: float, most: int = 8) -> list[float]:
    """Round numbers from 0 to `limit`, at most `most` steps of 1, 2 or 5 times a power of ten."""
    if limit <= 0:
        return [0.0]
    exponent = math.floor(math.log10(limit / most))
    steps = (factor * 10.0**power for power in (exponent, exponent + 1) for factor in (1, 2, 5))
    step = next(step for step in steps if limit / step <= most + 1e-9)
    return [number * step for number in range(int(limit / step + 1e-9) + 1)]
