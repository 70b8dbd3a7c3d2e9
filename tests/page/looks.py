"""What can be measured of how the page looks."""

from typing import Any

from playwright.sync_api import Page

CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary, [role=checkbox], [tabindex='0']"

_CONTRASTS = """() => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
  };
  const over = (front, alpha, back) => back.map((part, i) => front[i] * alpha + part * (1 - alpha));
  const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ancestors = (element) => element ? [...ancestors(element.parentElement), element] : [];
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const element = walker.currentNode.parentElement;
    const range = new Range();
    range.selectNodeContents(walker.currentNode);
    const {width, height} = range.getBoundingClientRect();
    const visible = element.checkVisibility({opacityProperty: true, visibilityProperty: true});
    if (!text || width < 2 || height < 2 || !visible || element.closest(":disabled, [aria-disabled=true]")) continue;
    const style = getComputedStyle(element);
    let back = [1, 1, 1], opacity = 1;
    for (const one of ancestors(element)) {
      const {backgroundColor, opacity: own} = getComputedStyle(one);
      opacity *= own;
      const colour = rgba(backgroundColor);
      back = over(colour, colour[3] * opacity, back);
    }
    const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
    const [dark, light] = [luminance(back), luminance(over(ink, ink[3] * opacity, back))].sort((a, b) => a - b);
    found.push([text, (light + 0.05) / (dark + 0.05)]);
  }
  return found;
}"""

_CLIPPED = """(selector) => [...document.querySelectorAll(selector)].filter((one) => {
  const {left, right, width} = one.getBoundingClientRect();
  if (width < 2 || !one.checkVisibility()) return false;  // there for screen readers only
  const scrolls = (box) => box && (/auto|scroll/.test(getComputedStyle(box).overflowX) || scrolls(box.parentElement));
  return right > 0 && (left < 0 || right > document.documentElement.clientWidth) && !scrolls(one.parentElement);
}).map((one) => one.outerHTML.slice(0, 120))"""

_OVERLAPPING = """(selector) => {
  const all = [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
  const boxes = all.map((one) => one.getBoundingClientRect());
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const pairs = all.flatMap((one, i) => all.slice(i + 1).map((other, j) => [one, other, i, i + 1 + j]));
  return pairs.filter(([one, other, i, j]) => meet(boxes[i], boxes[j]) && !one.contains(other) && !other.contains(one))
    .map((pair) => pair.slice(0, 2).map((one) => one.outerHTML.slice(0, 80)));
}"""

_FOCUS = """() => {
  const one = document.activeElement;
  const labels = [...(one.labels ?? []), document.getElementById(one.getAttribute("aria-labelledby"))];
  const label = labels.find(Boolean)?.firstChild.textContent;
  return (one === document.body ? "BODY" : one.ariaLabel || label || one.innerText || one.outerHTML).trim();
}"""

_RING = """() => {
  const look = (one) => {
    const {outline, boxShadow, borderColor, backgroundColor} = getComputedStyle(one);
    return outline + boxShadow + borderColor + backgroundColor;
  };
  const one = document.activeElement;
  const focused = look(one);
  one.blur();
  const blurred = look(one);
  one.focus({focusVisible: true, preventScroll: true});
  return focused !== blurred;
}"""


def contrasts(page: Page) -> list[tuple[str, float]]:
    """Every text that is seen, with its contrast as WCAG 2.2 defines it; disabled controls aside.

    What lies under a text is taken to be the backgrounds of the elements that it is in.
    """
    return [(text, ratio) for text, ratio in page.evaluate(_CONTRASTS)]


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider


def clipped(page: Page, selector: str = CONTROLS) -> list[str]:
    """What reaches beyond the window's sides, and is in nothing that scrolls."""
    found: list[str] = page.evaluate(_CLIPPED, selector)
    return found


def overlapping(page: Page, selector: str = CONTROLS) -> list[Any]:
    """Pairs that cover each other, neither of them inside the other."""
    found: list[Any] = page.evaluate(_OVERLAPPING, selector)
    return found


def focus(page: Page) -> str:
    """The name of what has the focus; `BODY` where nothing has."""
    name: str = page.evaluate(_FOCUS)
    return name


def focus_is_seen(page: Page) -> bool:
    """Whether what has the focus looks otherwise than without."""
    seen: bool = page.evaluate(_RING)
    return seen
