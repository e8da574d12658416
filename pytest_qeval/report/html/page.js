// The theme, and tables that can be sorted. `page.py` puts the three scripts into one function: they share their names.
// Texts of models are only ever set as `textContent`, so that nothing in them becomes HTML.
const $ = (selector, root = document) => root.querySelector(selector);
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

// --- theme ---------------------------------------------------------------------------------------------------------
const themes = ["system", "light", "dark"];
const remember = { get: () => { try { return localStorage.getItem("qeval-theme"); } catch { return null; } },
  set: (value) => { try { localStorage.setItem("qeval-theme", value); } catch { /* not allowed here */ } } };
const toggle = $("#theme");
const setTheme = (name) => {
  document.documentElement.dataset.theme = name;
  toggle.textContent = `Theme: ${name}`;
  remember.set(name);
};
toggle.hidden = false;
toggle.addEventListener("click", () => {
  setTheme(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length]);
});
setTheme(themes.includes(remember.get()) ? remember.get() : "system");

// --- sorting -------------------------------------------------------------------------------------------------------
const compare = (one, other) => {
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (one === "" || other === "") return one === "" ? (other === "" ? 0 : 1) : -1; // what is not known comes last
  return String(one).localeCompare(String(other), "en", { numeric: true });
};
// Turn a head's cells into buttons; `sort` is called with the column and 1 or -1.
const sortable = (head, sort) => {
  const cells = [...head.querySelectorAll("th")];
  cells.forEach((cell, column) => {
    const button = make("button", { type: "button" }, ...cell.childNodes);
    cell.append(button);
    cell.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = cell.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      cells.forEach((other) => other.setAttribute("aria-sort", "none"));
      cell.setAttribute("aria-sort", next);
      sort(column, next === "ascending" ? 1 : -1);
    });
  });
};
const valueOf = (cell) => {
  const raw = cell.dataset.sort ?? cell.textContent.trim();
  return raw === "–" || raw === "" ? "" : Number.isNaN(Number(raw)) ? raw : Number(raw);
};
for (const table of document.querySelectorAll("table.sortable")) {
  sortable($("thead", table), (column, sign) => {
    const body = $("tbody", table);
    const rows = [...body.rows].map((row) => [valueOf(row.cells[column]), row]);
    body.append(...rows.sort((one, other) => sign * compare(one[0], other[0])).map((pair) => pair[1]));
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
