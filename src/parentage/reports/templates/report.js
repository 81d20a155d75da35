"use strict";
// Adds comfort only: the page says everything without this. Texts are written as text, never as markup.
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  const key = (row, index) => {
    const cell = row.cells[index];
    return cell.dataset.key === undefined ? cell.textContent.trim() : cell.dataset.key;
  };

  // What was not measured (an empty key) goes last in both directions.
  const compare = (a, b, up) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const difference = Number(a) - Number(b);
    const order = Number.isNaN(difference) ? a.localeCompare(b, "en", { numeric: true }) : difference;
    return up ? order : -order;
  };

  const sortBy = (table, header, index) => {
    const up = header.getAttribute("aria-sort") !== "ascending";
    all("th", table.tHead).forEach((th) => th.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).map((row) => [key(row, index), row]);
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

  all("table.searchable").forEach((table) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    label.className = "search";
    input.type = "search";
    label.append("Find tensors: ", input);
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      for (const row of table.tBodies[0].rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
      }
    });
    table.parentElement.before(label);
  });

  const readouts = (figure) => {
    const place = document.createElement("p");
    place.className = "readout note";
    place.textContent = "Point at a cell, or touch it, for its reading.";
    figure.append(place);
    const show = (event) => {
      const cell = event.target.closest("td[title]");
      if (cell) place.textContent = cell.title;
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

  // On paper nothing can be unfolded.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])");
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => {
    opened.forEach((details) => { details.open = false; });
  });
})();
