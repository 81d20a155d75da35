"""What can be checked of a page's accessibility by a script, after WCAG 2.2 A and AA.

Each finding is a sentence; a page without findings gives none. Unfolds the page first, so that nothing
hides.
"""

from __future__ import annotations

__all__ = ["CONTRAST", "STRUCTURE"]

# 1.3.1, 2.4.2, 2.4.6, 3.1.1, 4.1.2: headings in order, tables with headers, names for what is not text.
STRUCTURE = """() => {
  const found = [];
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  all("details").forEach((d) => { d.open = true; });
  if (!document.documentElement.lang) found.push("the page has no language");
  if (!document.title.trim()) found.push("the page has no title");
  if (all("main").length !== 1) found.push("the page has not exactly one main part");

  const levels = all("h1,h2,h3,h4,h5,h6").map((h) => [Number(h.tagName[1]), h.textContent.trim()]);
  if (levels.filter(([level]) => level === 1).length !== 1) found.push("the page has not exactly one h1");
  levels.forEach(([level, text], k) => {
    if (!text) found.push(`heading ${k} is empty`);
    const before = k ? levels[k - 1][0] : 0;
    if (level > before + 1) found.push(`heading “${text}” skips a level`);
  });

  all("table").forEach((table, k) => {
    if (!table.tHead || !table.tHead.rows.length) { found.push(`table ${k} has no head`); return; }
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((th, c) => {
      if (th.tagName !== "TH" || th.scope !== "col") found.push(`table ${k} column ${c} has no header`);
      if (!th.textContent.trim()) found.push(`table ${k} column ${c} has an empty header`);
    });
    all("tbody tr", table).forEach((row, r) => {
      if (row.cells.length !== heads.length) found.push(`table ${k} row ${r} does not fit its head`);
      all("th", row).forEach((th) => {
        if (th.scope !== "row") found.push(`table ${k} row ${r} has a header without a scope`);
      });
    });
  });

  const labels = {};
  all("[role=region]").forEach((region) => {
    const label = region.getAttribute("aria-label");
    if (!label) found.push("a region has no label");
    if (region.tabIndex !== 0) found.push(`region “${label}” cannot be scrolled by keyboard`);
    labels[label] = (labels[label] || 0) + 1;
  });
  Object.entries(labels).forEach(([label, n]) => {
    if (n > 1) found.push(`${n} regions are called “${label}”`);
  });
  all("svg").forEach((svg) => {
    const hidden = svg.getAttribute("aria-hidden") === "true";
    const named = svg.getAttribute("role") === "img" && svg.getAttribute("aria-label");
    if (!hidden && !named) found.push("a picture has no text in its place");
  });
  all("a, button, summary").forEach((e) => {
    if (!e.textContent.trim()) found.push(`a ${e.tagName} has no name`);
  });
  all("input, select, textarea").forEach((e) => {
    if (!e.labels.length || !e.labels[0].textContent.trim()) found.push("an input has no label");
  });
  all("dt").forEach((dt) => {
    let next = dt.nextElementSibling;
    while (next && next.tagName === "DT") next = next.nextElementSibling;
    if (!next || next.tagName !== "DD") found.push(`“${dt.textContent}” has no description`);
  });
  return found;
}"""

# 1.4.3: 4.5 to 1, or 3 to 1 for large text, of every text that is seen, against what lies behind it.
CONTRAST = """() => {
  const found = new Set();
  document.querySelectorAll("details").forEach((d) => { d.open = true; });
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return Array.from(canvas.getImageData(0, 0, 1, 1).data);
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => {
      const s = c / 255;
      return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || element.closest("script, style, title")) continue;
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const style = getComputedStyle(element);
    const ink = rgba(element.closest("svg") ? style.fill : style.color);
    const ground = behind(element);
    const [low, high] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    checked += 1;
    if (ratio < (large ? 3 : 4.5)) {
      const cell = element.closest("[class]");
      const where = `${element.tagName}.${cell ? cell.className.baseVal ?? cell.className : ""}`;
      found.add(`${where}: ${ratio.toFixed(2)} (ink ${ink.slice(0, 3)} on ${ground.slice(0, 3)})`);
    }
  }
  if (checked < 20) found.add(`only ${checked} texts were checked`);
  return Array.from(found);
}"""
