"use strict";
// Sorting by a click on a heading, and a filter above the table of variables. The page does
// without: it is whole before this runs, and nothing here reads or writes anything else.
const number = (cell) => {
  const text = cell.dataset.sort || cell.textContent;
  const value = parseFloat(text.replace(/[, ]/g, "").replace("−", "-"));
  return Number.isNaN(value) ? null : value;
};
const compare = (a, b) => {
  const [x, y] = [number(a), number(b)];
  if (x !== null && y !== null) return x - y;
  if (x === null && y === null) {
    return a.textContent.localeCompare(b.textContent, "en", { numeric: true });
  }
  return x === null ? 1 : -1;
};
for (const table of document.querySelectorAll("table.sort")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => compare(a.cells[at], b.cells[at]));
      body.append(...(down ? rows.reverse() : rows));
    });
  });
}
for (const table of document.querySelectorAll("table.filtered")) {
  const label = document.createElement("label");
  label.className = "filter";
  const input = document.createElement("input");
  input.type = "search";
  label.append("Only rows with ", input);
  table.parentElement.before(label);
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    for (const row of table.tBodies[0].rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  });
}
