"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const TERMS = ["total", "content", "style"];
  const SVG = "http://www.w3.org/2000/svg";
  const at = (id) => document.getElementById(id);
  const state = { sort: "lane", down: false, filters: {}, layers: false, log: true,
    terms: { total: true, content: false, style: false },
    single: { total: true, content: true, style: true }, open: null };

  // Text goes in as text nodes only: nothing that a user wrote is read as HTML.
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }
  function draw(tag, attributes = {}, text = "") {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  }

  // --- columns ---------------------------------------------------------------
  const columns = [{ name: "lane", value: (lane) => lane.index, text: (lane) => lane.name }];
  data.axes.forEach((axis, i) => columns.push({
    name: axis.column, axis: true, value: (lane) => lane.values[i], text: (lane) => lane.labels[i] }));
  for (const name of [...data.terms, ...data.scores, ...data.layers]) columns.push({
    name, layer: data.layers.includes(name), value: (lane) => lane.numbers[name],
    text: (lane) => format(lane.numbers[name]) });
  columns.push({ name: "seconds", value: (lane) => lane.seconds, text: (lane) => format(lane.seconds) });
  columns.push({ name: "outcome", value: (lane) => lane.trouble || lane.outcome,
    text: (lane) => lane.trouble || lane.outcome });
  columns.forEach((column, key) => {
    column.key = String(key);
    column.number = !column.axis && column.name !== "outcome"
      || column.axis && data.lanes.every((lane) => typeof column.value(lane) === "number");
  });
  state.sort = columns[0].key;

  // Numbers that are not finite come as text, a lane without one as undefined.
  function format(number) {
    if (number === undefined || number === null) return "";
    if (typeof number !== "number") return String(number);
    if (number === 0) return "0";
    const size = Math.abs(number);
    return size >= 1e-3 && size < 1e5 ? String(Number(number.toPrecision(4))) : number.toExponential(3);
  }
  // Numbers by size, then text by the alphabet, then nothing; the lane decides ties.
  function compare(column) {
    const sign = state.down ? -1 : 1;
    const rank = (value) => typeof value === "number" ? 0 : value === undefined || value === null ? 2 : 1;
    return (one, other) => {
      const a = column.value(one), b = column.value(other);
      if (rank(a) !== rank(b)) return rank(a) - rank(b);
      const order = rank(a) === 0 ? a - b
        : rank(a) === 1 ? String(a).localeCompare(String(b), undefined, { numeric: true }) : 0;
      return order ? sign * order : one.index - other.index;
    };
  }
  function visible() {
    const chosen = Object.entries(state.filters);
    const lanes = data.lanes.filter((lane) => chosen.every(([i, label]) => lane.labels[i] === label));
    return lanes.sort(compare(columns.find((column) => column.key === state.sort)));
  }

  // --- table -----------------------------------------------------------------
  function sortBy(key, down) {
    state.down = down === undefined ? state.sort === key && !state.down : down;
    state.sort = key;
    fill();
  }
  function shownColumns() { return columns.filter((column) => state.layers || !column.layer); }
  function fillHead() {
    const cells = shownColumns().map((column) => make("th",
      { scope: "col", class: column.number ? "number" : "", "data-key": column.key },
      make("button", { type: "button", onclick: () => sortBy(column.key) }, column.name)));
    document.querySelector("#lanes thead").replaceChildren(
      make("tr", {}, make("td", {}), ...cells));
  }
  function thumb(lane) {
    const inside = lane.thumb
      ? make("img", { src: lane.thumb, alt: "", loading: "lazy", width: lane.size[0], height: lane.size[1] })
      : make("span", { class: "none" }, lane.trouble || "no picture");
    return make("button", { type: "button", class: "thumb", "aria-label": `Open lane ${title(lane)}`,
      onclick: () => open(lane) }, inside);
  }
  function title(lane) {
    const parts = data.axes.map((axis, i) => `${axis.name} ${lane.labels[i]}`);
    return `${lane.name}${parts.length ? ": " : ""}${parts.join(", ")}`;
  }
  function row(lane) {
    const cells = shownColumns().map((column) => {
      const kind = column.number ? "number" : column.axis ? "label" : "";
      const bad = column.name === "outcome" && lane.trouble ? " bad" : "";
      return make("td", { class: kind + bad, "data-name": column.name }, column.text(lane));
    });
    return make("tr", { class: lane.trouble ? "trouble" : "", "data-lane": lane.index,
      onmouseenter: () => highlight(lane), onmouseleave: () => highlight(null),
      onfocusin: () => highlight(lane), onfocusout: () => highlight(null) },
    make("td", { class: "picture" }, thumb(lane)), ...cells);
  }
  function fill() {
    const lanes = visible();
    document.querySelector("#lanes tbody").replaceChildren(...lanes.map(row));
    for (const cell of document.querySelectorAll("#lanes th")) {
      const sorted = cell.dataset.key === state.sort;
      cell.setAttribute("aria-sort", sorted ? (state.down ? "descending" : "ascending") : "none");
    }
    at("count").textContent = lanes.length === data.lanes.length
      ? `All ${lanes.length} lanes` : `${lanes.length} of ${data.lanes.length} lanes`;
    at("sort").value = state.sort;
    at("direction").textContent = state.down ? "▼" : "▲";
    chart();
  }

  // --- curves ----------------------------------------------------------------
  function chart() { redraw("curves", visible(), state.terms); }
  function single() { redraw("viewer-curves", [state.open], state.single); }
  function redraw(place, lanes, terms) {
    const width = Math.max(280, at(place).clientWidth);
    const height = Math.min(340, Math.max(210, 0.32 * width));
    const shown = TERMS.filter((term) => terms[term]);
    at(place).replaceChildren(curves(lanes, shown, width, height));
  }
  const usable = (y) => typeof y === "number" && (!state.log || y > 0);
  function curves(lanes, terms, width, height) {
    const box = { left: 66, right: width - 14, top: 12, bottom: height - 34 };
    const svg = draw("svg", { width, height, role: "img",
      class: lanes.length === 1 ? "single" : lanes.length > 40 ? "many" : "",
      "aria-label": `${terms.join(", ") || "no"} loss over the iterations, ${lanes.length} lanes` });
    const xs = [], ys = [], later = [];
    for (const lane of lanes) for (const term of terms) lane.trace[term].forEach((y, i) => {
      if (!usable(y)) return;
      xs.push(lane.trace.iteration[i]);
      ys.push(y);
      // From the content picture, content begins at next to nothing: without that
      // point the rest of the curves has room.
      if (i > 1) later.push(y);
    });
    if (!ys.length) {
      svg.append(draw("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "nothing to draw"));
      return svg;
    }
    const most = (values, pick) => values.reduce((a, b) => pick(a, b));
    const x = scale(most(xs, Math.min), most(xs, Math.max), box.left, box.right, false);
    const y = scale(most(later.length ? later : ys, Math.min), most(ys, Math.max), box.bottom, box.top, state.log);
    for (const tick of y.ticks) {
      svg.append(draw("line", { class: "grid", x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }));
      svg.append(draw("text", { x: box.left - 6, y: y(tick) + 4, "text-anchor": "end" }, short(tick)));
    }
    for (const tick of x.ticks) svg.append(draw("text",
      { x: x(tick), y: box.bottom + 16, "text-anchor": "middle" }, short(tick)));
    svg.append(draw("text", { x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, "iteration"));
    for (const lane of lanes) for (const term of terms) {
      const path = draw("path", { class: term, "data-lane": lane.index, d: line(lane.trace, term, x, y) });
      path.append(draw("title", {}, `${title(lane)} (${term})`));
      svg.append(path);
    }
    return svg;
  }
  function line(trace, term, x, y) {
    let text = "", pen = "M";
    trace[term].forEach((value, i) => {
      if (!usable(value)) { pen = "M"; return; }
      text += `${pen}${x(trace.iteration[i]).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    });
    return text;
  }
  function short(number) {
    if (number !== 0 && (Math.abs(number) >= 1e5 || Math.abs(number) < 1e-2)) {
      return number.toExponential().replace("+", "");
    }
    return String(number);
  }
  // A function from values to pixels, with its ticks.
  function scale(low, high, from, to, log) {
    const f = log ? Math.log10 : (value) => value;
    if (low === high) { high = log || high ? high + Math.abs(high) * 0.1 : 1; }
    const place = (value) => from + (f(Math.max(value, low)) - f(low)) / (f(high) - f(low)) * (to - from);
    place.ticks = (log ? powers(low, high) : steps(low, high));
    return place;
  }
  function powers(low, high) {
    const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
    const every = Math.max(1, Math.ceil((last - first) / 8));
    const found = [];
    for (let power = first; power <= last; power += every) {
      for (const digit of last - first <= 2 ? [1, 2, 5] : [1]) found.push(Number(`${digit}e${power}`));
    }
    const inside = found.filter((tick) => tick >= low && tick <= high);
    return inside.length > 1 ? inside : steps(low, high);
  }
  function steps(low, high) {
    const raw = (high - low) / 6, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => size >= raw);
    const found = [];
    for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-12); i++) {
      found.push(Number((i * step).toPrecision(6)));
    }
    return found;
  }
  function highlight(lane) {
    const svg = at("curves").querySelector("svg");
    svg.classList.toggle("dimmed", lane !== null);
    for (const path of svg.querySelectorAll("path")) {
      path.classList.toggle("strong", lane !== null && path.dataset.lane === String(lane.index));
    }
  }

  // --- one lane --------------------------------------------------------------
  function open(lane) {
    state.open = lane;
    at("viewer-title").textContent = `Lane ${title(lane)}`;
    const picture = at("viewer-picture"), link = at("viewer-link"), note = at("viewer-note");
    note.hidden = true;
    link.hidden = !lane.thumb;
    picture.classList.remove("enlarged");
    picture.alt = `Result of lane ${title(lane)}`;
    picture.onerror = () => {
      picture.onerror = null;
      picture.classList.add("enlarged");
      picture.src = lane.thumb;
      link.removeAttribute("href");
      note.hidden = false;
      note.textContent = "The full picture is not beside this page; this is its thumbnail.";
    };
    if (lane.thumb) { link.href = lane.url; picture.src = lane.url; } else picture.removeAttribute("src");
    at("viewer-text").textContent = lane.text;
    at("viewer-text").className = lane.trouble ? "bad" : "";
    const facts = columns.filter((column) => column.text(lane) !== "");
    at("viewer-facts").replaceChildren(...facts.flatMap((column) =>
      [make("dt", {}, column.name), make("dd", {}, column.text(lane))]));
    if (!at("viewer").open) at("viewer").showModal();
    single();  // once it has a width
  }
  function step(by) {
    const lanes = visible(), place = lanes.findIndex((lane) => lane.index === state.open.index);
    open(lanes[(place + by + lanes.length) % lanes.length]);
  }

  // --- page ------------------------------------------------------------------
  function checkbox(text, checked, change, kind = "") {
    const input = make("input", { type: "checkbox", onchange: (event) => change(event.target.checked) });
    input.checked = checked;
    return make("label", { class: kind }, input, text);
  }
  function toggles(terms, change) {
    return TERMS.map((term) => checkbox(term, terms[term],
      (on) => { terms[term] = on; change(); }, `key ${term}`));
  }
  function select(text, options, change, attributes = {}) {
    const element = make("select", { ...attributes, onchange: (event) => change(event.target.value) },
      ...options.map(([value, label]) => make("option", { value }, label)));
    return make("label", { class: attributes.class || "" }, text, element);
  }
  function build() {
    const wrong = data.lanes.filter((lane) => lane.trouble).length;
    at("summary").textContent = `${data.lanes.length} lanes` + (wrong ? `, ${wrong} in trouble` : "");
    at("files").append(...data.files.map(([name, url]) => make("a", { href: url }, name)));
    at("facts").append(...data.facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
    at("config").textContent = data.settings;
    at("chart-bar").append(...toggles(state.terms, chart),
      checkbox("logarithmic", true, (on) => { state.log = on; chart(); }));
    at("viewer-bar").append(...toggles(state.single, single));
    window.addEventListener("resize", () => { chart(); if (state.open) single(); });
    data.axes.forEach((axis, i) => at("filters").append(select(axis.name,
      [["", "all"], ...axis.labels.map((label, j) => [String(j), label])],
      (j) => { if (j) state.filters[i] = axis.labels[j]; else delete state.filters[i]; fill(); },
      { "data-axis": axis.name })));
    if (data.layers.length) at("filters").append(checkbox("show layers", false,
      (on) => { state.layers = on; fillHead(); fill(); }));
    at("filters").append(
      select("sort by", columns.map((column) => [column.key, column.name]),
        (key) => sortBy(key, false), { id: "sort", class: "narrow" }),
      make("button", { type: "button", id: "direction", class: "narrow", "aria-label": "Reverse the order",
        onclick: () => sortBy(state.sort) }));
    at("theme").addEventListener("click", () => {
      const root = document.documentElement;
      const dark = getComputedStyle(root).colorScheme === "dark";
      root.dataset.theme = dark ? "light" : "dark";
    });
    at("close").addEventListener("click", () => at("viewer").close());
    at("previous").addEventListener("click", () => step(-1));
    at("next").addEventListener("click", () => step(1));
    at("viewer").addEventListener("click", (event) => { if (event.target === at("viewer")) at("viewer").close(); });
    at("viewer").addEventListener("close", () => { state.open = null; });
    at("viewer").addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") step(-1);
      if (event.key === "ArrowRight") step(1);
    });
    fillHead();
    fill();
  }
  build();
})();
