"use strict";
// Everything that the page does: theme, sorting, and the ledger of problems. Texts of models are only ever set as
// `textContent`, so that nothing in them becomes HTML.
(() => {
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

  // --- what differs in two programs -----------------------------------------------------------------------------------
  const MOST_LINES = 600;
  // The first place at which two texts differ, widened to the word there, or to all that was put in or left out on that
  // line; null where they are equal.
  const firstDifference = (one, other) => {
    if (one === other) return null;
    let at = 0;
    while (at < one.length && at < other.length && one[at] === other[at]) at += 1;
    if (at && /[\ud800-\udbff]/.test(one[at - 1])) at -= 1; // not within a pair of surrogates
    const word = (text) => {
      for (const found of text.matchAll(/\w+|\s+|[^\w\s]/gu)) {
        const to = found.index + found[0].length;
        if (at < to) return { from: found[0].trim() ? found.index : Math.max(found.index, at), to };
      }
      return { from: text.length, to: text.length };
    };
    // How much of a line stands before what the other text goes on with; at the end of a line, if the next is the same.
    const extra = (long, short) => (long[0].length > short[0].length && long[0].endsWith(short[0])
      && (short[0] || long[1] === short[1]) ? long[0].length - short[0].length : 0);
    const [rest, changed] = [one, other].map((text) => text.slice(at).split("\n"));
    const [left, put] = [extra(rest, changed), extra(changed, rest)];
    const part = (text, more) => (left || put ? { from: at, to: at + more } : word(text));
    const before = one.slice(0, at);
    return { line: before.split("\n").length, column: at - before.lastIndexOf("\n"), one: part(one, left), other: part(other, put) };
  };
  // Put the lines of a change on the same rows: those that were there first stand in a run, those that replace them next.
  const besideEachOther = (pairs) => {
    const rows = [];
    let run = [[], []];
    const flush = () => {
      for (let at = 0; at < Math.max(run[0].length, run[1].length); at += 1) rows.push([run[0][at] ?? null, run[1][at] ?? null]);
      run = [[], []];
    };
    for (const [i, j] of pairs) {
      if (i !== null && j !== null) { flush(); rows.push([i, j]); }
      else if (i !== null) run[0].push(i);
      else run[1].push(j);
    }
    flush();
    return rows;
  };
  // Pairs of line numbers, null for a line that the other text lacks: a longest common subsequence.
  const align = (one, other) => {
    if (one.length > MOST_LINES || other.length > MOST_LINES) {
      return Array.from({ length: Math.max(one.length, other.length) }, (_, at) =>
        [at < one.length ? at : null, at < other.length ? at : null]);
    }
    const width = other.length + 1;
    const best = new Uint16Array((one.length + 1) * width);
    for (let i = one.length - 1; i >= 0; i -= 1) {
      for (let j = other.length - 1; j >= 0; j -= 1) {
        best[i * width + j] = one[i] === other[j] ? best[(i + 1) * width + j + 1] + 1
          : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
      }
    }
    const pairs = [];
    let i = 0;
    let j = 0;
    while (i < one.length && j < other.length) {
      if (one[i] === other[j]) { pairs.push([i, j]); i += 1; j += 1; }
      else if (best[(i + 1) * width + j] >= best[i * width + j + 1]) { pairs.push([i, null]); i += 1; }
      else { pairs.push([null, j]); j += 1; }
    }
    for (; i < one.length; i += 1) pairs.push([i, null]);
    for (; j < other.length; j += 1) pairs.push([null, j]);
    return besideEachOther(pairs);
  };
  // One side of the comparison; `marked` is a part of the whole text.
  const side = (label, lines, numbers, isSame, marked, sign) => {
    const starts = [];
    lines.reduce((at, line) => { starts.push(at); return at + line.length + 1; }, 0);
    const shown = numbers.map((number, row) => {
      if (number === null) return make("span", { class: "line pad", "aria-hidden": "true" }, "\n");
      const line = lines[number];
      const from = marked ? marked.from - starts[number] : -1;
      const parts = marked && from >= 0 && from <= line.length
        ? [line.slice(0, from), make("mark", {}, line.slice(from, marked.to - starts[number]) || (from === line.length ? "⏎" : "")),
          line.slice(marked.to - starts[number])]
        : [line];
      return make("span", { class: `line ${isSame[row] ? "same" : sign === "−" ? "del" : "ins"}` },
        make("span", { class: "no", "aria-hidden": "true" }, `${number + 1}`.padStart(3)),
        make("span", { class: "sign" }, isSame[row] ? " " : sign), ...parts, "\n");
    });
    return make("pre", { tabindex: "0", role: "region", "aria-label": label }, ...shown);
  };
  const codes = (base, own, names) => {
    // The line end of a last line that both have makes no line of its own.
    const shorter = (text) => (own.endsWith("\n") && (base === null || base.endsWith("\n")) ? text.slice(0, -1) : text);
    const [one, other] = [base, own].map((text) => (text === null ? [] : shorter(text).split("\n")));
    const pairs = base === null ? other.map((_, at) => [null, at]) : align(one, other);
    const isSame = pairs.map(([i, j]) => base === null || (i !== null && j !== null && one[i] === other[j]));
    const first = base === null ? null : firstDifference(base, own);
    const panes = [];
    if (base !== null) panes.push(side(names[0], one, pairs.map((pair) => pair[0]), isSame, first?.one, "−"));
    panes.push(side(names[1], other, pairs.map((pair) => pair[1]), isSame, first?.other, "+"));
    const said = (text, part) => JSON.stringify(text.slice(part.from, part.to));
    const what = () => (first.one.from === first.one.to ? `${said(own, first.other)} was added`
      : first.other.from === first.other.to ? `${said(base, first.one)} is missing`
        : `${said(base, first.one)} became ${said(own, first.other)}`);
    const note = base === null ? "" : first === null ? "Both wrote the same text."
      : `First difference: line ${first.line}, column ${first.column}: ${what()}.`;
    return { panes, note };
  };

  // --- the ledger ----------------------------------------------------------------------------------------------------
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
})();
