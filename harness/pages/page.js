"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
    const heading = button.parentElement, column = heading.cellIndex, body = table.tBodies[0];
    const descending = heading.getAttribute("aria-sort") === "ascending";
    table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const keyOf = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const compare = (a, b) => {
      const [x, y] = [keyOf(a), keyOf(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return descending ? -order : order;
    };
    [...body.rows].sort(compare).forEach((row) => body.append(row));
  }));
}
for (const button of document.querySelectorAll("button.copy")) {
  const code = button.previousElementSibling;
  button.addEventListener("click", async () => {
    const chosen = document.createRange();
    chosen.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(chosen);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      button.textContent = "selected";
    }
  });
}
