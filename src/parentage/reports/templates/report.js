"use strict";
// Adds comfort only: the page says everything without this. Texts are written as text, never as markup.
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  // A cell's number stands first in it; thousands are set apart by commas, a dash is nothing measured.
  const value = (row, index) => {
    const text = row.cells[index].textContent.trim();
    return text.startsWith("–") ? "" : text;
  };
  const asNumber = (text) => parseFloat(text.replaceAll(",", ""));

  // What was not measured goes last in both directions.
  const compare = (a, b, up) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const difference = asNumber(a) - asNumber(b);
    const order = Number.isNaN(difference) ? a.localeCompare(b, "en", { numeric: true }) : difference;
    return up ? order : -order;
  };

  const sortBy = (table, header, index) => {
    const up = header.getAttribute("aria-sort") !== "ascending";
    all("th", table.tHead).forEach((th) => th.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).map((row) => [value(row, index), row]);
    rows.sort((a, b) => compare(a[0], b[0], up));
    body.append(...rows.map((pair) => pair[1]));
  };

  all("table.sortable").forEach((table) => {
    all("th", table.tHead).forEach((header, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sortBy(table, header, index));
      header.append(button);
    });
  });

  const control = (tag, type, place) => {
    const made = document.createElement(tag);
    made.type = type;
    place.append(made);
    return made;
  };

  const tensors = document.getElementById("tensors");
  const tables = all("table.searchable", tensors);
  const folds = all("details.fold", tensors);
  if (tables.length) {
    const label = document.createElement("label");
    label.className = "search";
    label.append("Find tensors: ");
    const input = control("input", "search", label);
    (folds.length ? folds[0].parentElement : tables[0].parentElement).before(label);
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      for (const table of tables) {
        let found = 0;
        for (const row of table.tBodies[0].rows) {
          row.hidden = !row.textContent.toLowerCase().includes(wanted);
          if (!row.hidden) found += 1;
        }
        const fold = table.closest("details.fold");
        if (fold) {
          fold.hidden = found === 0;
          fold.open = wanted !== "" && found > 0;
        }
      }
    });
    if (folds.length) {
      // Sorting reaches over all layers once the folds are one table.
      const button = control("button", "button", label);
      button.className = "together";
      button.textContent = "Show as one table";
      button.addEventListener("click", () => {
        const first = tables[0];
        tables.slice(1).forEach((table) => first.tBodies[0].append(...table.tBodies[0].rows));
        folds[0].parentElement.before(first.parentElement);
        folds[0].parentElement.remove();
        tables.length = 1;
        button.remove();
      });
    }
  }

  const readouts = (figure) => {
    const place = document.createElement("p");
    place.className = "readout note";
    place.textContent = "Point at a cell, or touch it, for its reading.";
    figure.append(place);
    const show = (event) => {
      const cell = event.target.closest("td[title]");
      if (!cell) return;
      const head = cell.closest("table").tHead.rows[0].cells[cell.cellIndex].textContent;
      const row = cell.parentElement.cells[0].textContent;
      place.textContent = `${row} · ${head}: ${cell.title}`;
    };
    figure.addEventListener("pointerover", show);
    figure.addEventListener("click", show);
  };
  all("figure.map").forEach(readouts);

  all("figure.curve").forEach((figure) => {
    const svg = figure.querySelector("svg.chart");
    const hair = figure.querySelector(".hair");
    const place = figure.querySelector(".readout");
    const table = figure.querySelector("table");
    const names = all("thead th", table).map((th) => th.textContent.trim());
    const rows = all("tbody tr", table).map((row) => all("td", row).map((td) => td.textContent));
    const low = Number(table.dataset.low);
    const high = Number(table.dataset.high);
    const first = Number(rows[0][0]);
    const last = Number(rows[rows.length - 1][0]);
    place.hidden = false;
    place.textContent = "Point at the figure, or touch it, for its numbers.";
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) * svg.viewBox.baseVal.width) / box.width;
      const weight = first + ((x - low) / (high - low)) * (last - first);
      const off = (row) => Math.abs(Number(row[0]) - weight);
      const nearest = rows.reduce((best, row) => (off(row) < off(best) ? row : best));
      const at = low + ((Number(nearest[0]) - first) / (last - first)) * (high - low);
      hair.setAttribute("x1", at);
      hair.setAttribute("x2", at);
      hair.setAttribute("visibility", "visible");
      place.textContent = nearest.map((value, k) => `${names[k]} ${value}`).join(" · ");
    });
    svg.addEventListener("pointerleave", () => hair.setAttribute("visibility", "hidden"));
  });

  // On paper nothing can be unfolded; long lists stay shut, for they would fill a book.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open]):not(.shut)");
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => {
    opened.forEach((details) => { details.open = false; });
  });
})();
