"""Measurements of the page's layout: contrast, overflow, overlaps and focus."""

from typing import Any

from playwright.sync_api import Page

CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary, [role=checkbox], [tabindex='0']"

_CONTRASTS = """() => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].map((channel) => channel / 255);
  };
  const blend = (front, alpha, back) => back.map((channel, i) => front[i] * alpha + channel * (1 - alpha));
  const linear = (channel) => channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ancestors = (element) => element ? [...ancestors(element.parentElement), element] : [];
  const contrasts = [];
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
    for (const ancestor of ancestors(element)) {
      const {backgroundColor, opacity: elementOpacity} = getComputedStyle(ancestor);
      opacity *= elementOpacity;
      const background = rgba(backgroundColor);
      back = blend(background, background[3] * opacity, back);
    }
    const front = rgba(element instanceof SVGElement ? style.fill : style.color);
    const [dark, light] = [luminance(back), luminance(blend(front, front[3] * opacity, back))].sort((a, b) => a - b);
    contrasts.push([text, (light + 0.05) / (dark + 0.05)]);
  }
  return contrasts;
}"""

_CLIPPED = """(selector) => [...document.querySelectorAll(selector)].filter((element) => {
  const {left, right, width} = element.getBoundingClientRect();
  if (width < 2 || !element.checkVisibility()) return false;  // for screen readers only
  const scrolls = (box) => box && (/auto|scroll/.test(getComputedStyle(box).overflowX) || scrolls(box.parentElement));
  return right > 0 && (left < 0 || right > document.documentElement.clientWidth) && !scrolls(element.parentElement);
}).map((element) => element.outerHTML.slice(0, 120))"""

_OVERLAPPING = """(selector) => {
  const all = [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility());
  const boxes = all.map((element) => element.getBoundingClientRect());
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const pairs = all.flatMap((a, i) => all.slice(i + 1).map((b, j) => [a, b, i, i + 1 + j]));
  return pairs.filter(([a, b, i, j]) => meet(boxes[i], boxes[j]) && !a.contains(b) && !b.contains(a))
    .map((pair) => pair.slice(0, 2).map((element) => element.outerHTML.slice(0, 80)));
}"""

_FOCUS = """() => {
  const element = document.activeElement;
  const labels = [...(element.labels ?? []), document.getElementById(element.getAttribute("aria-labelledby"))];
  const label = labels.find(Boolean)?.firstChild.textContent;
  const name = element.ariaLabel || label || element.innerText || element.outerHTML;
  return (element === document.body ? "BODY" : name).trim();
}"""

_RING = """() => {
  const style = (element) => {
    const {outline, boxShadow, borderColor, backgroundColor} = getComputedStyle(element);
    return outline + boxShadow + borderColor + backgroundColor;
  };
  const element = document.activeElement;
  const focused = style(element);
  element.blur();
  const blurred = style(element);
  element.focus({focusVisible: true, preventScroll: true});
  return focused !== blurred;
}"""


def resize(page: Page, width: int) -> None:
    """Change the window's width, and wait until the charts are drawn again."""
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function("(width) => innerWidth === width", arg=width)
    page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")


def contrasts(page: Page) -> list[tuple[str, float]]:
    """Visible texts, except those of disabled controls, with their contrast ratio (WCAG 2.2).

    The backdrop of a text is computed from the backgrounds of its ancestors.
    """
    return [(text, ratio) for text, ratio in page.evaluate(_CONTRASTS)]


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    pixels: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return pixels


def clipped(page: Page, selector: str = CONTROLS) -> list[str]:
    """Elements outside a scrolling container that extend beyond the window's sides."""
    elements: list[str] = page.evaluate(_CLIPPED, selector)
    return elements


def overlapping(page: Page, selector: str = CONTROLS) -> list[Any]:
    """Pairs of elements that overlap although neither contains the other."""
    pairs: list[Any] = page.evaluate(_OVERLAPPING, selector)
    return pairs


def focused_name(page: Page) -> str:
    """Accessible name of the focused element; `BODY` if there is none."""
    name: str = page.evaluate(_FOCUS)
    return name


def has_focus_ring(page: Page) -> bool:
    """True if the focused element looks different without the focus."""
    differs: bool = page.evaluate(_RING)
    return differs
