"use strict";
// Everything here works on what is in the file: no address is ever asked for anything.
(() => {
  const MOST = 8, MOST_DRAWN = 16, MOST_ROWS = 500, NARROW = 620, IDLE_CHARTS = 40;
  const root = document.documentElement;
  const one = (query, within = document) => within.querySelector(query);
  const all = (query, within = document) => [...within.querySelectorAll(query)];
  const make = (name, content = "", attributes = {}) => {
    const element = document.createElement(name);
    // Text only: no name of a model is ever read as HTML.
    if (content instanceof Node) element.append(content);
    else element.textContent = content;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const say = (text) => { one("#live").textContent = text; };
  const later = (work, wait) => {
    let timer;
    return () => { clearTimeout(timer); timer = setTimeout(work, wait); };
  };
  root.classList.add("js");

  // ---- what the file carries -----------------------------------------------------------------------------------
  const unpack = async (id) => {
    const text = atob(one(`#${id}`).textContent);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  let told;
  const data = unpack("data").then(JSON.parse).then((found) => { told = found; return found; });
  let library;
  const vega = () => {
    library ??= unpack("vega").then((code) => {
      // The page's policy knows this script by its hash.
      document.head.append(make("script", code));
      return window.vegaEmbed;
    });
    return library;
  };

  // ---- dark and light ------------------------------------------------------------------------------------------
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefers.matches);
  const remember = (theme) => { try { localStorage.setItem("bench-theme", theme); } catch { /* not allowed here */ } };
  try { const kept = localStorage.getItem("bench-theme"); if (kept) root.dataset.theme = kept; } catch { /* as above */ }
  const darkButton = one("#dark");
  const themed = () => { darkButton.setAttribute("aria-pressed", String(isDark())); redraw(() => true); };
  darkButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    themed();
  });
  prefers.addEventListener("change", themed);

  // ---- what stands behind a number -----------------------------------------------------------------------------
  const tip = one("#tip");
  let shownFor = null, hiding;
  const percent = (share) => `${+(100 * share).toPrecision(4)} %`;
  const behind = (at, metric) => {
    const figures = told.figures, which = figures.metrics.findIndex((each) => each.name === metric);
    if (which < 0) return null;
    const place = at * figures.metrics.length + which, kind = figures.metrics[which];
    const how = figures.hows[figures.how[place]], value = figures.value[place];
    const unit = (figures.unit && figures.unit[place]) || kind.unit;
    const lines = [];
    if (value !== null) {
      lines.push(["value", `${value} ${unit === "1" ? "" : unit}`.trim()]);
      lines.push(["interval", figures.span[place] && figures.low[place] !== null
        ? `${figures.span[place]}${figures.confidence[place] ? `, at ${percent(figures.confidence[place])}` : ""}` : "none is known"]);
      lines.push(["n", figures.n[place].toLocaleString("en")]);
      const [way, ...rest] = how.split(":");
      lines.push([way, rest.join(":")]);
    }
    return { kind, unit, lines, text: figures.text[place], reason: value === null ? how.replace(/^unavailable:/, "") : null,
      span: figures.span[place], n: figures.n[place], how, label: told.cases[at].label };
  };
  const list = (lines) => {
    const made = make("dl");
    for (const [name, value] of lines) made.append(make("dt", name), make("dd", value));
    return made;
  };
  const tipOf = (element) => {
    const heading = element.closest("th[data-metric]");
    if (heading) {
      const kind = told.figures.metrics.find((each) => each.name === heading.dataset.metric);
      return [make("p", kind.about, { class: "head" }), list([["unit", kind.unit === "1" ? "none: a share or a count" : kind.unit], ["better", kind.better]])];
    }
    const at = Number(element.dataset.at ?? element.closest("tr").dataset.at);
    const found = behind(at, element.dataset.metric);
    if (!found) return null;
    const parts = [make("p", `${found.kind.title}, ${found.label}`, { class: "head" })];
    parts.push(make("p", found.reason === null ? found.text : "not known", { class: "big" }));
    parts.push(found.reason === null ? list(found.lines) : make("p", found.reason));
    parts.push(make("p", found.kind.about, { class: "head" }));
    return parts;
  };
  const place = (box) => {
    tip.hidden = false;
    const width = tip.offsetWidth, height = tip.offsetHeight, gap = 8;
    const left = Math.max(gap, Math.min(box.left + box.width / 2 - width / 2, root.clientWidth - width - gap));
    const below = box.bottom + gap + height <= innerHeight || box.top - gap - height < 0;
    tip.style.left = `${left}px`;
    tip.style.top = `${below ? Math.min(box.bottom + gap, Math.max(gap, innerHeight - height - gap)) : box.top - gap - height}px`;
  };
  const hide = () => {
    clearTimeout(hiding);
    tip.hidden = true;
    if (shownFor) shownFor.removeAttribute("aria-describedby");
    shownFor = null;
  };
  const show = (element) => {
    clearTimeout(hiding);
    if (!told || element === shownFor) return;
    const parts = tipOf(element);
    if (!parts) return;
    hide();
    tip.replaceChildren(...parts);
    shownFor = element;
    (element.matches("th") ? one("button", element) : element).setAttribute("aria-describedby", "tip");
    place(element.getBoundingClientRect());
  };
  const numberAt = (target) => (target instanceof Element ? target.closest("[data-metric]") : null);
  // What scrolls under a resting pointer, as keys are pressed, is not pointed at.
  let keyed = false;
  document.addEventListener("keydown", () => { keyed = true; }, true);
  document.addEventListener("pointermove", (event) => { if (event.movementX || event.movementY) keyed = false; });
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch" || keyed) return;
    const found = numberAt(event.target);
    if (found) show(found);
    else if (tip.contains(event.target)) clearTimeout(hiding);
    else if (shownFor && !shownFor.contains(document.activeElement)) { clearTimeout(hiding); hiding = setTimeout(hide, 150); }
  });
  document.addEventListener("focusin", (event) => { const found = numberAt(event.target); if (found) show(found); else if (!tip.contains(event.target)) hide(); });
  document.addEventListener("click", (event) => { const found = numberAt(event.target); if (found) show(found); else if (!tip.contains(event.target)) hide(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !tip.hidden) hide(); });
  document.addEventListener("scroll", () => { if (shownFor && !tip.hidden) { const box = shownFor.getBoundingClientRect(); if (box.bottom < 0 || box.top > innerHeight) hide(); else place(box); } }, { passive: true, capture: true });

  // ---- the table: sorted by the raw values, narrowed by words and choices ---------------------------------------
  const table = one("#table"), body = one("tbody", table), rows = [...body.rows];
  const words = rows.map((row) => row.textContent.toLowerCase());
  const collator = new Intl.Collator("en", { numeric: true });
  const key = (row, column, kind) => {
    const cell = row.cells[column];
    if (kind === "text") return cell.textContent.trim();
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  };
  const sort = (heading) => {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const each of all("[aria-sort]", table)) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const kind = heading.dataset.sort, column = heading.cellIndex, way = descending ? -1 : 1;
    const keyed = rows.map((row, at) => [key(row, column, kind), at, row]);
    keyed.sort(([a, i], [b, j]) => {
      // What is not known comes last whichever way.
      if (a === null || b === null) return (a === null) - (b === null) || i - j;
      return (kind === "text" ? collator.compare(a, b) : a - b) * way || i - j;
    });
    body.append(...keyed.map(([, , row]) => row));
    say(`sorted by ${heading.textContent.trim()}, ${descending ? "descending" : "ascending"}`);
    entry();
  };
  for (const heading of all("thead th[data-sort]", table)) {
    const button = make("button", "", { type: "button" });
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sort(heading));
  }
  const filters = one("#filters"), search = one("#words"), selects = all("[data-filter]", filters);
  const narrow = () => {
    const asked = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, at) => {
      const fits = asked.every((word) => words[at].includes(word))
        && selects.every((select) => select.value === "" || row.dataset[select.dataset.filter] === select.value);
      row.hidden = !fits;
      count += fits;
    });
    one("#count").textContent = count === rows.length ? `${count.toLocaleString("en")} cases` : `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} cases`;
    one("#nothing").hidden = count > 0;
    entry();
  };
  search.addEventListener("input", later(narrow, 120));
  for (const select of selects) select.addEventListener("change", narrow);
  const columns = () => { table.classList.toggle("all", one("#columns").value === "all"); entry(); };
  one("#columns").addEventListener("change", columns);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(() => { narrow(); columns(); }));
  one("[data-clear]").addEventListener("click", () => { filters.reset(); search.focus(); });

  // One stop of the Tab key for all numbers; arrow keys go from one to the next.
  table.setAttribute("role", "grid");
  let stop = null;
  const standOn = (cell, focus) => {
    if (stop && stop !== cell) stop.removeAttribute("tabindex");
    stop = cell;
    if (!cell) return;
    cell.tabIndex = 0;
    if (focus) { cell.focus({ preventScroll: true }); cell.scrollIntoView({ block: "nearest", inline: "nearest" }); }
  };
  const seen = (cell) => cell && cell.offsetParent !== null;
  const entry = () => {
    if (stop && seen(stop) && !stop.parentElement.hidden) return;
    const first = [...body.rows].find((row) => !row.hidden);
    standOn(first ? all("td[data-metric]", first).find(seen) : null, false);
  };
  const step = (cell, key) => {
    const row = cell.parentElement;
    const along = (from, way) => { let next = from; do next = next?.[way]; while (next && (next.hidden || !seen(next))); return next; };
    if (key === "ArrowLeft" || key === "ArrowRight") {
      const next = along(cell, key === "ArrowLeft" ? "previousElementSibling" : "nextElementSibling");
      return next?.matches("td[data-metric]") ? next : null;
    }
    if (key === "Home" || key === "End") { const numbers = all("td[data-metric]", row).filter(seen); return numbers.at(key === "Home" ? 0 : -1); }
    const next = along(row, key === "ArrowUp" ? "previousElementSibling" : "nextElementSibling");
    return next?.cells[cell.cellIndex];
  };
  body.addEventListener("keydown", (event) => {
    if (!event.target.matches("td[data-metric]") || !/^(Arrow|Home$|End$)/.test(event.key)) return;
    event.preventDefault();
    const next = step(event.target, event.key);
    if (next) standOn(next, true);
  });
  body.addEventListener("pointerdown", (event) => { const cell = event.target.closest("td[data-metric]"); if (cell) standOn(cell, false); });

  // ---- which cases are drawn ------------------------------------------------------------------------------------
  const ticks = new Map(rows.map((row) => [Number(row.dataset.at), one("input", row)]));
  const chosen = () => [...ticks].filter(([, tick]) => tick.checked).map(([at]) => at);
  const counted = () => {
    const count = chosen().length;
    one("#drawn").textContent = count;
    for (const each of all(".drawn-count")) each.textContent = count;
    return count;
  };
  const rechosen = later(() => redraw((chart) => chart.scope === "chosen"), 200);
  body.addEventListener("change", (event) => { if (event.target.matches("input")) { counted(); rechosen(); } });
  const initially = chosen();
  for (const button of all("[data-draw]")) {
    button.addEventListener("click", () => {
      const listed = [...body.rows].filter((row) => !row.hidden).map((row) => Number(row.dataset.at));
      const wanted = { first: initially, listed: listed.slice(0, MOST_DRAWN), none: [] }[button.dataset.draw];
      for (const [at, tick] of ticks) tick.checked = wanted.includes(at);
      const cut = button.dataset.draw === "listed" && listed.length > MOST_DRAWN ? `, the first of ${listed.length} listed: more lines would cover each other` : "";
      say(`${counted()} cases drawn${cut}`);
      rechosen();
    });
  }

  // ---- the one case that is looked at closely -------------------------------------------------------------------
  let picked = 0;
  const pickers = all("select.one");
  const pick = (at) => {
    picked = at;
    for (const picker of pickers) picker.value = String(at);
    every();
    redraw((chart) => chart.scope === "one");
  };
  const EVERY = ["figure", "value", "interval", "n", "how it was got", "what it is"];
  const every = () => {
    const target = one("#every"), head = make("thead"), line = make("tr");
    for (const title of EVERY) line.append(make("th", title, { scope: "col", class: title === "n" ? "num" : "" }));
    head.append(line);
    const lines = make("tbody");
    for (const kind of told.figures.metrics) {
      const found = behind(picked, kind.name), row = make("tr");
      const known = found.reason === null;
      const cells = [known ? found.text : "–", found.span || "–", known ? found.n.toLocaleString("en") : "–", known ? found.how : `not known: ${found.reason}`, kind.about];
      row.append(make("th", kind.title, { scope: "row" }), ...cells.map((text, at) => make("td", text, { "data-title": EVERY[at + 1], ...(text === "–" ? { class: "none" } : at === 2 ? { class: "num" } : {}) })));
      lines.append(row);
    }
    target.replaceChildren(one("caption", target), head, lines);
    const record = one("#record"), seenCase = told.cases[picked];
    record.replaceChildren();
    for (const [name, value] of seenCase.facts) record.append(make("dt", name), make("dd", value));
    for (const warning of seenCase.warnings) record.append(make("dt", "warning"), make("dd", warning));
  };
  for (const picker of pickers) picker.addEventListener("change", () => pick(Number(picker.value)));
  body.addEventListener("click", (event) => {
    const link = event.target.closest("[data-pick]");
    if (!link || !told) return;
    event.preventDefault();
    pick(Number(link.dataset.pick));
    one("#one").scrollIntoView();
    one("#one").focus({ preventScroll: true });
  });

  // ---- charts: drawn when they come into view, and again when what they show changes ----------------------------
  const charts = all(".chart").map((figure) => ({
    figure, place: Number(figure.dataset.chart), scope: figure.dataset.scope, box: one(".drawn", figure), state: "waiting", visible: false, turn: 0,
  }));
  const kept = (chart) => (chart.scope === "all" ? null : chart.scope === "one" ? new Set([picked]) : new Set(chosen()));
  const records = (columns, keep) => {
    const names = Object.keys(columns), made = [];
    const count = names.length ? columns[names[0]].length : 0;
    for (let at = 0; at < count; at += 1) {
      // What is of no case, such as a roof, is always there.
      if (keep && columns.case[at] !== null && !keep.has(columns.case[at])) continue;
      made.push(Object.fromEntries(names.map((name) => [name, columns[name][at]])));
    }
    return made;
  };
  const merged = (base, over) => {
    const made = { ...base };
    for (const [name, value] of Object.entries(over ?? {})) {
      made[name] = value && typeof value === "object" && !Array.isArray(value) ? merged(made[name] ?? {}, value) : value;
    }
    return made;
  };
  const composed = (spec) => spec.hconcat || spec.vconcat || spec.concat || spec.facet || spec.repeat;
  // What a chart is otherwise on a narrow screen, by JSON Pointer; null takes away: see `bench.report.charts.drawing`.
  const narrowed = (spec) => {
    for (const [pointer, value] of Object.entries(spec.usermeta?.narrow ?? {})) {
      const path = pointer.split("/").slice(1), last = path.pop();
      const node = path.reduce((found, name) => found[name], spec);
      if (value !== null) node[last] = value;
      else if (Array.isArray(node)) node.splice(Number(last), 1);
      else delete node[last];
    }
  };
  // Legends, headings and axes that ask for more than a narrow screen has.
  const squeezed = (node, width) => {
    if (!node || typeof node !== "object") return;
    const { legend, header, axis } = Array.isArray(node) ? {} : node;
    if (legend) Object.assign(legend, { labelLimit: legend.orient === "top" ? width / 2 - 40 : width - 60, ...(legend.orient !== "top" ? { columns: 1 } : legend.columns ? { columns: 2 } : {}) },
      legend.titleOrient ? { titleOrient: "top" } : {});
    if (header) header.labelLimit = width * 0.7;
    if (axis?.tickCount) axis.tickCount = Math.min(axis.tickCount, 5);
    for (const each of Object.values(node)) squeezed(each, width);
  };
  const fitted = (spec, width) => {
    if (width < NARROW) { squeezed(spec, width); narrowed(spec); }
    if (!composed(spec)) spec.width = width;
    return spec;
  };
  // Panels of a chart take the width that axes and headings leave, which is known only when they are drawn.
  const spread = async (view, spec, box) => {
    if (!composed(spec)) return;
    const beside = spec.facet && !spec.facet.row && !spec.facet.column ? Math.min(spec.columns ?? 1, panels(spec)) : 1;
    for (let tries = 0; tries < 3; tries += 1) {
      const room = box.clientWidth - one("svg", box).getBoundingClientRect().width;
      const signals = Object.entries(view.getState({ signals: (name) => /^(.*_)?width$/i.test(name), data: () => false }).signals);
      if (room >= 0 && room < 2) return;
      for (const [name, value] of signals) if (value > 0) view.signal(name, Math.max(90, value + Math.floor(room / beside)));
      await view.resize().runAsync();
    }
  };
  const panels = (spec) => new Set((spec.datasets[spec.data.name] ?? []).map((record) => record[spec.facet.field])).size;
  const slimmed = (config, width) => (width >= NARROW ? config : merged(config, {
    legend: { orient: "bottom", columns: 1, labelLimit: width - 60, direction: "vertical" },
    axis: { labelLimit: width * 0.34 }, axisY: { labelLimit: width * 0.34 }, header: { labelLimit: width * 0.4 },
    title: { limit: width - 20 }, text: { limit: width * 0.5 },
  }));
  const readings = (handler, event, item, value) => {
    if (!value || typeof value !== "object") { if (!shownFor) hide(); return; }
    clearTimeout(hiding);
    hide();
    tip.replaceChildren(list(Object.entries(value).map(([name, text]) => [name, String(text)])));
    place({ left: event.clientX, right: event.clientX, top: event.clientY, bottom: event.clientY, width: 0, height: 0 });
  };
  const note = (chart) => {
    const why = one(".why", chart.figure);
    const missing = chart.scope === "one" ? told.cases[picked].missing[told.charts[chart.place].kind] ?? [] : [];
    why.textContent = missing.join("\n");
    why.hidden = !missing.length;
  };
  // A chart that brings a template is drawn of any two of its metrics: see the texts of `bench.report.charts.pareto`.
  const filled = (node, values) => {
    if (Array.isArray(node)) return node.map((each) => filled(each, values));
    if (node && typeof node === "object") return Object.fromEntries(Object.entries(node).map(([name, each]) => [name, filled(each, values)]));
    return typeof node === "string" && Object.hasOwn(values, node) ? values[node] : node;
  };
  const chooser = (chart, drawing) => {
    if (chart.axes) return;
    const { axes, x, y } = drawing.spec.usermeta, target = one(".choice", chart.figure);
    chart.axes = { x, y };
    chart.about = drawing.about;
    const selects = {};
    for (const [axis, title] of [["x", "Across"], ["y", "Up"]]) {
      const label = make("label", `${title} `), select = make("select");
      for (const [metric, look] of Object.entries(axes)) select.append(make("option", look.name, { value: metric }));
      select.value = chart.axes[axis];
      select.dataset.axis = axis;
      label.append(select);
      target.append(label);
      selects[axis] = select;
      select.addEventListener("change", () => {
        const other = axis === "x" ? "y" : "x";
        // Both axes cannot be the same: they change places.
        if (chart.axes[other] === select.value) { chart.axes[other] = chart.axes[axis]; selects[other].value = chart.axes[other]; }
        chart.axes[axis] = select.value;
        draw(chart);
      });
    }
    target.hidden = false;
  };
  const inWords = (drawing, axes, names, front) => {
    const sets = Object.values(drawing.data)[0], groups = {};
    sets[front].forEach((word, at) => { (groups[word ?? "not drawn, as a figure is not known"] ??= []).push(sets.label[at]); });
    const who = Object.entries(groups).map(([word, labels]) => `${word}: ${labels.slice(0, 3).join(", ")}${labels.length > 3 ? ` and ${labels.length - 3} more` : ""}.`);
    return `Each point is a choice, ${names.x} across and ${names.y} up; bars are intervals, the dashed line joins the best of both. ${who.join(" ")}`;
  };
  const frontOf = (axes, { x, y }) => {
    const order = Object.keys(axes);
    return order.indexOf(x) < order.indexOf(y) ? `front__${x}__${y}` : `front__${y}__${x}`;
  };
  const specOf = (chart, drawing, width) => {
    const meta = drawing.spec.usermeta;
    if (!meta?.template) return structuredClone(drawing.spec);
    chooser(chart, drawing);
    const { x, y } = chart.axes, front = frontOf(meta.axes, chart.axes);
    const values = { $front: front, $place: `place__${x}__${y}` };
    for (const [axis, metric] of [["x", x], ["y", y]]) for (const [name, value] of Object.entries(meta.axes[metric])) values[`$${axis}.${name}`] = value;
    const spec = filled(structuredClone(meta.template), values);
    const same = x === meta.x && y === meta.y;
    one("figcaption p", chart.figure).textContent = same ? chart.about : inWords(drawing, chart.axes, { x: meta.axes[x].name, y: meta.axes[y].name }, front);
    // Labels were placed for a wide chart: on a narrow one they would lie on each other.
    if (width < NARROW) spec.layer = spec.layer.filter((layer) => layer.mark?.type !== "text");
    return spec;
  };
  // Only what scrolls needs to be reached by the keyboard.
  const reach = (chart) => {
    if (chart.box.scrollWidth > chart.box.clientWidth) {
      chart.box.tabIndex = 0;
      chart.box.setAttribute("role", "region");
      chart.box.setAttribute("aria-labelledby", `chart-${chart.place}`);
    } else for (const name of ["tabindex", "role", "aria-labelledby"]) chart.box.removeAttribute(name);
  };
  const sizes = new ResizeObserver((entries) => { for (const { target } of entries) reach(charts.find((each) => each.box === target)); });
  for (const chart of charts) sizes.observe(chart.box);
  const ended = (chart, state) => { chart.state = state; chart.figure.dataset.state = state; };
  const draw = async (chart) => {
    const turn = chart.turn += 1;
    chart.state = "drawing";
    const [embed] = await Promise.all([vega(), data]);
    if (turn !== chart.turn) return;
    const drawing = told.charts[chart.place], keep = kept(chart), dark = isDark();
    const width = Math.floor(chart.box.clientWidth) || 600;
    const sets = Object.fromEntries(Object.entries(drawing.data).map(([name, columns]) => [name, records(columns, keep)]));
    note(chart);
    const empty = Object.values(sets).every((set) => !set.length);
    if (empty) {
      chart.box.replaceChildren(make("p", chart.scope === "chosen" ? "None of the ticked cases has what is drawn here: tick others in the table." : "Nothing is on record of this case to draw here.", { class: "wait" }));
      ended(chart, "drawn");
      return;
    }
    const spec = fitted(specOf(chart, drawing, width), width);
    spec.datasets = merged(spec.datasets ?? {}, sets);
    spec.description = one("figcaption p", chart.figure).textContent;
    const config = slimmed(merged(told.themes[dark ? "dark" : "light"], { background: "transparent", padding: 4 }), width);
    spec.config = merged(config, spec.config);
    const box = make("div");
    // Drawn beside the old one, which stays until the new one is there: nothing jumps.
    chart.old?.finalize();
    chart.old = null;
    chart.box.style.minHeight = `${chart.box.offsetHeight}px`;
    chart.box.replaceChildren(box);
    try {
      // Axes and legends count in the width; Vega-Lite itself would warn of every chart whose rows make its height.
      const patch = (compiled) => (composed(spec) ? compiled : { ...compiled, autosize: { type: "fit-x", contains: "padding" } });
      const result = await embed(box, spec, { mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false, tooltip: readings, patch, logLevel: 1 });
      if (turn !== chart.turn) { result.finalize(); return; }
      chart.old = result;
      chart.width = width;
      chart.figure.toggleAttribute("data-dark", dark);
      await spread(result.view, spec, chart.box);
      if (turn !== chart.turn) return;
      ended(chart, "drawn");
      // A drawing without marks has nothing that could be named.
      for (const empty of all("[role='graphics-symbol']:not([aria-label]), [role='graphics-object']:not([aria-label])", box)) empty.removeAttribute("role");
    } catch (error) {
      ended(chart, "failed");
      chart.box.replaceChildren(make("p", `The chart could not be drawn: ${error.message}`, { class: "wait" }));
    }
    chart.box.style.minHeight = "";
    reach(chart);
    const open = one("details.data", chart.figure);
    if (open.open) rowsOf(chart, one(".scroll", open));
  };
  const redraw = (which) => {
    for (const chart of charts) {
      if (!which(chart) || chart.state === "waiting") continue;
      if (chart.visible) draw(chart);
      else { ended(chart, "waiting"); watch.unobserve(chart.figure); watch.observe(chart.figure); }
    }
  };
  // What only helps to draw is left out; of a template only the two metrics that are drawn are told.
  const HELPERS = ["case", "row", "at", "place", "room", "shift", "column"];
  const toldOf = (chart, names) => {
    const { template, axes, x, y } = told.charts[chart.place].spec.usermeta ?? {};
    if (!template) return names.filter((each) => !HELPERS.includes(each));
    const drawn = chart.axes ?? { x, y };
    return ["name", axes[drawn.x].told, axes[drawn.y].told, frontOf(axes, drawn)];
  };
  const rowsOf = (chart, target) => {
    target.replaceChildren();
    for (const [name, columns] of Object.entries(told.charts[chart.place].data)) {
      const found = records(columns, kept(chart)), names = toldOf(chart, Object.keys(columns));
      const made = make("table");
      made.append(make("caption", found.length > MOST_ROWS ? `${name}: the first ${MOST_ROWS} of ${found.length.toLocaleString("en")} lines` : name));
      const head = make("tr"), lines = make("tbody");
      for (const each of names) head.append(make("th", each.replaceAll("_", " "), { scope: "col" }));
      for (const record of found.slice(0, MOST_ROWS)) {
        const line = make("tr");
        for (const each of names) line.append(make("td", record[each] ?? "–", typeof record[each] === "number" ? { class: "num" } : {}));
        lines.append(line);
      }
      const top = make("thead");
      top.append(head);
      made.append(top, lines);
      target.append(made);
    }
  };
  for (const chart of charts) {
    const details = one("details.data", chart.figure);
    details.addEventListener("toggle", async () => { if (details.open) { await data; rowsOf(chart, one(".scroll", details)); } });
  }
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const chart = charts.find((each) => each.figure === target);
      chart.visible = isIntersecting;
      if (isIntersecting && chart.state === "waiting") draw(chart);
    }
  }, { rootMargin: "300px" });
  for (const chart of charts) watch.observe(chart.figure);
  addEventListener("resize", later(() => redraw((chart) => Math.abs(chart.box.clientWidth - (chart.width ?? 0)) > 8), 200));

  // ---- print: every chart, on white ------------------------------------------------------------------------------
  const drawWaiting = async (most) => {
    for (const chart of charts.filter((each) => each.state === "waiting").slice(0, most)) {
      await draw(chart);
      await new Promise((done) => setTimeout(done, 30));
    }
  };
  const opened = [];
  addEventListener("beforeprint", () => { for (const each of all("#warnings details:not([open]), .sheet:not([open])")) { each.open = true; opened.push(each); } });
  addEventListener("afterprint", () => { for (const each of opened.splice(0)) each.open = false; });
  one("#print").addEventListener("click", async () => { await drawWaiting(charts.length); print(); });

  // ---- where the reader is --------------------------------------------------------------------------------------
  const links = new Map(all(".bar ul a").map((link) => [link.hash.slice(1), link]));
  const whereabouts = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      for (const [id, link] of links) { if (id === target.id) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current"); }
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const id of links.keys()) { const section = document.getElementById(id); if (section) whereabouts.observe(section); }

  darkButton.setAttribute("aria-pressed", String(isDark()));
  narrow();
  data.then((found) => {
    for (const picker of pickers) for (const [at, each] of found.cases.entries()) picker.append(make("option", each.label, { value: at }));
    if (found.cases.length) pick(initially[0] ?? 0);
    else one("#one").hidden = true;
    root.dataset.ready = "";
    const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 1000));
    idle(() => drawWaiting(IDLE_CHARTS), { timeout: 3000 });
  }).catch((error) => say(`The data of this page could not be read: ${error.message}`));
})();
