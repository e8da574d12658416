// What differs in two programs: the first place, and their lines beside each other.
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
