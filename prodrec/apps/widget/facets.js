// Facets: how the answer is made, and which products may be shown. Every filter says how many it would leave.

import { count, h, partName, rove, textButton } from "./dom.js";

export class Facets {
  constructor(send, own) {
    Object.assign(this, { send, own, where: {}, sliders: {}, filters: {} });
    this.node = h("aside", { class: "prodrec-steer", "aria-label": "Filters and settings" });
  }

  slider(label, attributes, name, words, valueOf) {
    const id = `${name}-${this.own}`, out = h("span", { class: "prodrec-value", "aria-hidden": "true" }); // the slider says its value itself
    const input = h("input", { type: "range", id, ...attributes });
    const row = { input, set: (value) => { input.value = value; out.textContent = words(Number(input.value)); input.setAttribute("aria-valuetext", out.textContent); } };
    input.addEventListener("input", () => {
      row.set(input.value);
      clearTimeout(row.wait);
      row.wait = setTimeout(() => this.send({ do: "steer", options: valueOf(Number(input.value)) }), 90);
    });
    return [row, h("div", { class: "prodrec-slider" }, h("label", { for: id, text: label }), out, input)];
  }

  build(setup) {
    this.setup = setup;
    const rows = [], add = (name, label, attributes, words, valueOf) => { const [row, node] = this.slider(label, attributes, name, words, valueOf); this.sliders[name] = row; rows.push(node); };
    this.sliders = {};
    add("k", "Products", { min: "1", max: "48", step: "1" }, (v) => String(v), (v) => ({ k: v }));
    add("min_score", "At least this similar", { min: "0", max: "1", step: "0.01" }, (v) => (v ? v.toFixed(2) : "any"), (v) => ({ min_score: v || null }));
    add("diversity", "Diversity", { min: "0", max: "1", step: "0.05" }, (v) => (v ? v.toFixed(2) : "off"), (v) => ({ diversity: v }));
    const parts = Object.keys(setup.weights);
    if (parts.length > 1)
      for (const part of parts)
        add(`weight-${part}`, `Weight of ${partName(part).toLowerCase()}`, { min: "0", max: "1", step: "0.05" }, (v) => v.toFixed(2),
          (v) => ({ weights: Object.fromEntries(parts.map((p) => [p, p === part ? v : Number(this.sliders[`weight-${p}`].input.value)])) }));
    this.collapse = h("input", { type: "checkbox", onchange: () => this.send({ do: "steer", options: { collapse: this.collapse.checked } }) });
    rows.push(h("label", { class: "prodrec-choice" }, this.collapse, h("span", { text: "Fold near copies" })));
    this.within = h("select", { id: `within-${this.own}`, onchange: () => this.send({ do: "steer", options: { within: this.within.value || null } }) },
      h("option", { value: "", text: "everywhere" }),
      setup.classifier && h("option", { value: "predicted", text: "in the predicted category" }),
      setup.category && h("option", { value: "category", text: "in the same category" }));
    if (setup.classifier || setup.category)
      rows.push(h("div", { class: "prodrec-slider" }, h("label", { for: `within-${this.own}`, text: "Search" }), this.within));
    this.filters = {};
    const filters = setup.filters.map((f, i) => this.filter(f, i < 1));
    this.clear = textButton("Clear filters", () => this.send({ do: "steer", options: { where: {} } }), { class: "prodrec-link", hidden: true });
    this.node.replaceChildren(
      h("div", { class: "prodrec-filterhead" }, h("h3", { text: "Filters" }), this.clear), ...filters,
      h("h3", { class: "prodrec-settingshead", text: "Settings" }), h("div", { class: "prodrec-sliders" }, rows),
    );
  }

  filter(filter, open) {
    const chosen = h("span", { class: "prodrec-chosen" });
    const body = filter.kind === "words" ? this.words(filter, chosen) : this.range(filter, chosen);
    return h("details", { class: "prodrec-filter", open }, h("summary", {}, h("span", { text: filter.label }), chosen), body);
  }

  // Words: a bar for each, as long as its share of the most frequent one; a swatch where they are colours
  words(filter, chosen) {
    const colours = filter.values.filter((v) => CSS.supports("color", v)).length >= 0.6 * filter.values.length;
    const rows = filter.values.map((value, i) => {
      const box = h("input", { type: "checkbox", onchange: () => this.filtered(filter.name, rows.flatMap((r, j) => (r.box.checked ? [j] : []))) });
      const number = h("span", { class: "prodrec-count" }), bar = h("i", { class: "prodrec-share" }), swatch = colours && h("i", { class: "prodrec-dab" });
      if (swatch) swatch.style.background = CSS.supports("color", value) ? value : "conic-gradient(red, gold, green, blue, red)";
      return { box, number, bar, node: h("label", { class: "prodrec-choice" }, box, swatch, h("span", { class: "prodrec-choicename", text: value }), number, bar) };
    });
    const list = h("div", { class: "prodrec-choices", role: "group", "aria-label": filter.label }, rows.map((r) => r.node));
    const settle = rove(list, "input");
    settle();
    let last = null;
    this.filters[filter.name] = (wanted, counts) => {
      const top = Math.max(1, ...(counts ?? [])), told = JSON.stringify(counts), isNew = told !== last;
      last = told;
      rows.forEach((r, i) => {
        const changed = r.box.checked !== (wanted?.includes(i) ?? false);
        if (changed) r.box.checked = !r.box.checked;
        if (!isNew && !changed) return; // a click on a product changes no count
        r.number.textContent = counts ? count(counts[i]) : "";
        r.bar.style.width = counts ? `${(100 * counts[i]) / top}%` : "0";
        r.node.classList.toggle("prodrec-none", !!counts && !counts[i] && !r.box.checked);
      });
      chosen.textContent = wanted?.length ? String(wanted.length) : "";
    };
    if (rows.length <= 15) return list;
    const seek = h("input", { type: "search", class: "prodrec-seek", placeholder: `Find in ${rows.length}`, "aria-label": `Find in ${filter.label}`,
      oninput: () => { rows.forEach((r, i) => (r.node.hidden = !filter.values[i].toLowerCase().includes(seek.value.toLowerCase()))); settle(); } });
    return h("div", {}, seek, list);
  }

  // Numbers and dates: a histogram with two handles; the handles stand between its bars
  range(filter, chosen) {
    const { edges } = filter, n = edges.length - 1, number = filter.kind === "number";
    const priced = filter.name === "price" && this.setup.currency, cost = priced && new Intl.NumberFormat("en", { style: "currency", currency: this.setup.currency });
    const [fine, round] = [2, 0].map((maximumFractionDigits) => new Intl.NumberFormat("en", { maximumFractionDigits }));
    const words = (v) => (priced ? cost.format(v) : number ? (Math.abs(v) < 100 ? fine : round).format(v) : String(v));
    const few = n > 1 && edges[n] === edges[n - 1]; // a bar for each value, which lies at its left edge
    const bars = edges.slice(1).map(() => h("i"));
    const chart = h("div", { class: "prodrec-bars", "aria-hidden": "true" }, bars);
    const handles = ["low", "high"].map((end, side) => h("input", { type: "range", min: "0", max: String(n), step: "1", value: side ? String(n) : "0",
      class: `prodrec-handle prodrec-handle-${end}`, "aria-label": `${filter.label}, ${side ? "to" : "from"}`,
      oninput: () => { keepApart(side); shade(); clearTimeout(this.waiting); this.waiting = setTimeout(send, 120); } }));
    const low = h("span"), high = h("span");
    const value = (side) => Number(handles[side].value);
    const keepApart = (side) => { const [a, b] = [value(0), value(1)]; if (a >= b) handles[side].value = String(side ? Math.min(n, a + 1) : Math.max(0, b - 1)); };
    const isOpen = (side) => value(side) === (side ? n : 0);
    const end = (side) => edges[value(side) - (side && few ? 1 : 0)];
    const shade = () => {
      bars.forEach((bar, i) => bar.classList.toggle("prodrec-out", i < value(0) || i >= value(1)));
      [low, high].forEach((node, side) => (node.textContent = words(end(side))));
      handles.forEach((handle, side) => handle.setAttribute("aria-valuetext", isOpen(side) ? "open" : words(end(side))));
    };
    const send = () => this.filtered(filter.name, [isOpen(0) ? null : end(0), isOpen(1) ? null : end(1)]);
    let last = null;
    const rise = (counts) => { // a click on a product changes no count
      if (JSON.stringify(counts) === last) return;
      last = JSON.stringify(counts);
      const top = Math.max(1, ...counts);
      bars.forEach((bar, i) => { bar.style.height = `${(100 * counts[i]) / top}%`; bar.title = `${words(edges[i])} to ${words(edges[i + 1])}: ${count(counts[i])}`; });
    };
    this.filters[filter.name] = (wanted, counts) => {
      const at = (v, side) => (v === null || v === undefined ? (side ? n : 0) : nearest(v) + (side && few ? 1 : 0));
      const nearest = (v) => edges.slice(0, few ? -1 : undefined).reduce((best, e, i) => (Math.abs(pos(e) - pos(v)) < Math.abs(pos(edges[best]) - pos(v)) ? i : best), 0);
      const pos = (v) => (number ? Number(v) : Date.parse(v));
      rise(counts);
      handles.forEach((handle, side) => { if (handle !== document.activeElement || !wanted) handle.value = String(at(wanted?.[side], side)); });
      shade();
      if (wanted) [low, high].forEach((node, side) => { if (wanted[side] !== null) node.textContent = words(wanted[side]); });
      chosen.textContent = wanted ? "1" : "";
    };
    return h("div", { class: "prodrec-range" }, chart, h("div", { class: "prodrec-handles" }, handles), h("div", { class: "prodrec-ends" }, low, high));
  }

  filtered(name, wanted) {
    this.where = { ...this.where, [name]: wanted };
    this.send({ do: "steer", options: { where: this.where } });
  }

  draw(view, busy) {
    this.where = view.where;
    const { options } = view, held = document.activeElement;
    const weights = { ...this.setup.weights, ...options.weights };
    const values = { k: options.k ?? 12, min_score: options.min_score ?? 0, diversity: options.diversity ?? 0 };
    for (const [name, row] of Object.entries(this.sliders)) {
      const value = name.startsWith("weight-") ? weights[name.slice(7)] : values[name];
      if (row.input !== held || !busy) row.set(value);
    }
    this.within.value = options.within ?? "";
    this.collapse.checked = !!options.collapse;
    for (const [name, update] of Object.entries(this.filters)) update(view.where[name], view.counts[name] ?? view.bins[name] ?? []);
    this.clear.hidden = !Object.keys(view.where).length && !view.chips.some((c) => c.kind === "where");
  }
}
