// The ledger: problems with what became of them, filtered, searched, sorted, and two programs of each side by side.
const inflate = async (text) => {
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};
const FLIPS = "regressed and fixed";
const OTHER_TEXT = "other text, same outcome";
const ALL = "all";
const PAGE = 100;
const SIGNS = { regressed: "▼", fixed: "▲" };
const textOf = (record, at) => record.samples[at][0];
const isChanged = (entry) => entry.base !== null && textOf(entry.base, entry.at[0]) !== textOf(entry.own, entry.at[1]);
const resultOf = (record, at) => {
  const [, status, detail, tokens] = record.samples[at];
  const scores = record.scores.length ? ` (${record.scores.join(", ")})` : "";
  const count = record.samples.length > 1 ? `, ${record.passed} of ${record.samples.length} samples passed` : "";
  return `${status}${detail ? `: ${detail}` : ""}${scores}${tokens === null ? "" : `, ${tokens} tokens`}${count}`;
};
const COLUMNS = [
  ["Problem", (entry) => entry.case],
  ["Benchmark", (entry) => entry.benchmark + (entry.perturbed ? ", perturbed" : "")],
  ["Recipe", (entry) => entry.recipe],
  ["Kind", (entry) => entry.kind],
  ["What became of it", (entry) => resultOf(entry.own, entry.at[1])],
];

const showDetail = (entry, baseline) => {
  const at = [...entry.at];
  const box = make("div", { class: "detail" });
  const draw = () => {
    const base = entry.base === null ? null : textOf(entry.base, at[0]);
    const { panes, note } = codes(base, textOf(entry.own, at[1]), [`${baseline}, ${entry.case}`, `${entry.recipe}, ${entry.case}`]);
    const records = entry.base === null ? [[entry.recipe, entry.own, 1]] : [[baseline, entry.base, 0], [entry.recipe, entry.own, 1]];
    const columns = records.map(([name, record, which], index) => {
      const head = make("p", { class: "result" }, make("code", {}, name), ` ${resultOf(record, at[which])} `);
      if (record.samples.length > 1) {
        const select = make("select", { "aria-label": `sample of ${name}` },
          ...record.samples.map((_, number) => make("option", { value: number }, `sample ${number + 1}`)));
        select.value = at[which];
        select.addEventListener("change", () => { at[which] = Number(select.value); draw(); });
        head.append(select);
      }
      return make("div", { class: "column" }, head, panes[index]);
    });
    box.replaceChildren(make("p", { class: "note" }, note), make("div", { class: "columns" }, ...columns));
    if (entry.diff) box.append(make("details", {}, make("summary", {}, "How the prompt was perturbed"), make("pre", { tabindex: "0" }, entry.diff)));
  };
  draw();
  return box;
};

const startLedger = (entries) => {
  const form = $("#filters");
  const { benchmark, recipe, kind, search } = form.elements;
  const baseline = $("#verdict .eyebrow code")?.textContent ?? "";
  const options = (select, names) => select.replaceChildren(...names.map((name) => make("option", {}, name)));
  const own = [...kind.options].map((option) => option.value);
  const hasFlips = own.includes("regressed") || own.includes("fixed");
  options(benchmark, [ALL, ...new Set(entries.map(COLUMNS[1][1]))]);
  options(recipe, [ALL, ...new Set(entries.map((entry) => entry.recipe))]);
  options(kind, [...(hasFlips ? [FLIPS] : []), ALL, ...own, ...(baseline ? [OTHER_TEXT] : [])]);
  for (const entry of entries) {
    const records = [entry.own, ...(entry.base ? [entry.base] : [])];
    entry.words = [entry.case, ...records.flatMap((record) => record.samples.flatMap((one) => [one[0], one[1], one[2]]))]
      .join("\n").toLowerCase();
  }
  const fits = {
    [ALL]: () => true,
    [FLIPS]: (entry) => entry.kind === "regressed" || entry.kind === "fixed",
    [OTHER_TEXT]: (entry) => entry.kind.startsWith("both") && isChanged(entry),
  };
  let sorting = [0, 1];
  let limit = PAGE;
  const body = make("tbody");
  const head = make("thead", {}, make("tr", {}, ...COLUMNS.map(([title]) => make("th", { scope: "col" }, title))));
  const row = (entry) => {
    const button = make("button", { type: "button", "aria-expanded": "false" }, entry.case);
    const cells = COLUMNS.slice(1).map(([, text], index) =>
      make("td", index === 2 ? { class: `kind ${entry.kind}` } : {}, index === 2 && SIGNS[entry.kind] ? `${SIGNS[entry.kind]} ` : "", text(entry)));
    const line = make("tr", {}, make("th", { scope: "row" }, button), ...cells);
    button.addEventListener("click", () => {
      const opened = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!opened));
      if (opened) line.nextElementSibling.remove();
      else line.after(make("tr", { class: "opened" }, make("td", { colspan: COLUMNS.length }, showDetail(entry, baseline))));
    });
    return line;
  };
  const update = () => {
    const words = search.value.trim().toLowerCase();
    const test = fits[kind.value] ?? ((entry) => entry.kind === kind.value);
    const [column, sign] = sorting;
    const found = entries.filter((entry) => test(entry)
      && (benchmark.value === ALL || COLUMNS[1][1](entry) === benchmark.value)
      && (recipe.value === ALL || entry.recipe === recipe.value) && entry.words.includes(words));
    found.sort((one, other) => sign * compare(COLUMNS[column][1](one), COLUMNS[column][1](other)));
    body.replaceChildren(...found.slice(0, limit).map(row));
    $("#count").textContent = `${found.length} of ${entries.length} cases, each under one recipe${found.length > limit ? `; the first ${limit} are shown` : ""}`;
    $("#more").hidden = found.length <= limit;
  };
  const filter = () => { limit = PAGE; update(); };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  $("#more").addEventListener("click", () => { limit += PAGE; update(); });
  for (const link of document.querySelectorAll("a[data-recipe]")) {
    link.addEventListener("click", () => {
      if ([...recipe.options].some((option) => option.value === link.dataset.recipe)) recipe.value = link.dataset.recipe;
      filter();
    });
  }
  sortable(head, (column, sign) => { sorting = [column, sign]; update(); });
  $("#ledger").append(make("table", {}, head, body));
  $("#ledger").hidden = form.hidden = false;
  update();
};

const payload = $("#payload");
if (payload) {
  inflate(payload.textContent).then(startLedger).catch((error) => {
    $("#count").textContent = `This browser cannot show the programs (${error.message}): they are in the samples files beside this page.`;
  });
}
