// The map: every product a point on a canvas. Filters fade it, a lasso selects on it, and all of it works by keyboard.

import { button, bytesOf, count, h, jpeg, rove } from "./dom.js";

// Told apart by eyes that see no red or no green (CIEDE2000), and three times as light or dark as the background
const PALETTES = {
  light: ["#3c7182", "#bf6e03", "#302f62", "#439379", "#972205", "#9971fd", "#5b2a31", "#3803f1"],
  dark: ["#46caf2", "#ef758e", "#07a608", "#bcf630", "#e815a1", "#048ce8", "#13f9dc", "#1a8658"],
};
const RAMPS = {
  light: ["#c2410c", "#a8470f", "#8a4316", "#6b3a1a", "#4d2e1a", "#332117"],
  dark: ["#7f8fa6", "#8fa3c4", "#a3b8e0", "#b9ccf5", "#d2defa", "#edf2ff"],
};
const REST = { light: "#767676", dark: "#8f8f8f" };
const EDGE = "#808080"; // seen on white and on black, around points that have the colour of their name
const SHAPES = ["circle", "square", "triangle", "diamond"];
const CROWD = 6000; // points in view: more are painted pixel by pixel
const TILE = 76; // pixels: one product of each tile shows its picture
const CLOSE = 2.4; // zoomed in so far, products show their pictures
const MOST = 60; // pictures at once

export class Plane {
  constructor(send, pivot) {
    Object.assign(this, { send, pivot, n: 0, k: 1, x: 0, y: 0, mode: "move", hits: [], asked: [], picked: null, lit: null, off: new Set(), names: [] });
    this.peeked = new Map();
    this.faces = new Map(); // place → picture, or null while it is on its way
    this.canvas = h("canvas", {
      class: "prodrec-canvas", tabIndex: 0, role: "img",
      "aria-label": "Map of the products. Arrow keys move it, plus and minus zoom, 0 shows all of it, S selects the products in view, Enter asks for the product under the pointer or in the middle.",
    });
    this.tip = h("div", { class: "prodrec-tip", hidden: true });
    this.legend = h("ul", { class: "prodrec-legend", "aria-label": "Colours of the map" });
    this.column = h("select", { "aria-label": "Colour the map by", onchange: () => send({ do: "map", column: this.column.value, only: true }) });
    this.modes = ["move", "lasso"].map((mode) =>
      button(mode === "move" ? "Move the map" : "Draw around products (or hold Shift)", mode, () => this.setMode(mode), { "aria-pressed": String(mode === "move") }),
    );
    const tools = h("div", { class: "prodrec-maptools", role: "toolbar", "aria-label": "Map tools" },
      h("span", { class: "prodrec-group", role: "group", "aria-label": "What dragging does" }, this.modes),
      h("span", { class: "prodrec-group", role: "group", "aria-label": "Zoom" },
        button("Zoom in", "plus", () => this.zoom(1.5)), button("Zoom out", "minus", () => this.zoom(1 / 1.5)),
        button("Show all of it", "whole", () => this.reset())),
      button("Select the products in view", "mark", () => this.selectView(), { class: "prodrec-inview" }));
    rove(tools, "button")();
    this.settleLegend = rove(this.legend, "button");
    this.field = h("div", { class: "prodrec-field" }, this.canvas, this.tip);
    this.node = h("section", { class: "prodrec-map", "aria-label": "Map", hidden: true },
      h("div", { class: "prodrec-maphead" }, h("label", {}, h("span", { text: "Colour" }), this.column), tools), this.field, this.legend);
    this.listen();
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.field);
  }

  columns(columns) {
    this.column.replaceChildren(...columns.map((c) => h("option", { value: c.name, text: c.label })));
  }

  setMode(mode) {
    this.mode = mode;
    this.modes.forEach((b, i) => b.setAttribute("aria-pressed", String(["move", "lasso"][i] === mode)));
    this.canvas.dataset.mode = mode;
  }

  load(reply, buffers) {
    this.codes = bytesOf(buffers[0]);
    this.labels = reply.labels;
    this.names = [];
    this.off.clear();
    if (buffers.length > 1) this.place(new Float32Array(bytesOf(buffers[1]).buffer));
    // by colour, so that the pen changes its colour a dozen times and not once a point
    const counts = new Uint32Array(257);
    for (const c of this.codes) counts[c + 1] += 1;
    for (let c = 0; c < 256; c++) counts[c + 1] += counts[c];
    this.starts = counts.slice();
    this.order = new Uint32Array(this.n);
    for (let i = 0; i < this.n; i++) this.order[counts[this.codes[i]]++] = i;
    const words = this.labels.filter((l) => l !== "other" && l !== "missing");
    this.ordered = this.labels.length === 6 && this.labels.every((l) => / to /.test(l));
    this.named = words.length > 0 && words.filter((l) => CSS.supports("color", l)).length >= 0.8 * words.length; // red is red
    this.column.value = reply.column;
    this.recolour();
  }

  rename({ column, names }) {
    if (column !== this.column.value) return; // coloured by another column meanwhile
    this.names = names;
    this.draw();
  }

  // Which palette: that of the background, which a theme may change at any time
  recolour() {
    if (!this.labels) return;
    const pen = h("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
    pen.fillStyle = getComputedStyle(this.field).backgroundColor;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b] = pen.getImageData(0, 0, 1, 1).data;
    const theme = 0.2126 * r + 0.7152 * g + 0.0722 * b < 110 ? "dark" : "light";
    const colour = (label, i) => {
      if (label === "other" || label === "missing") return REST[theme];
      if (this.named && CSS.supports("color", label)) return label;
      return this.ordered ? RAMPS[theme][i % 6] : PALETTES[theme][i % PALETTES[theme].length];
    };
    this.colours = this.labels.map(colour);
    this.inks = this.colours.map((c) => { pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); return new Uint32Array(pen.getImageData(0, 0, 1, 1).data.buffer)[0] & 0xffffff; });
    // the colour of what has no name of its own lies below the others
    const isRest = (c) => this.labels[c] === "other" || this.labels[c] === "missing";
    this.turns = this.labels.map((_, c) => c).sort((a, b) => isRest(b) - isRest(a));
    this.node.dataset.theme = theme;
    this.legend.replaceChildren(...this.labels.map((label, i) => this.key(label, i)));
    this.settleLegend();
    this.draw();
  }

  key(label, i) {
    const swatch = h("i", { class: `prodrec-swatch prodrec-shape-${SHAPES[i % 4]}` });
    swatch.style.background = this.colours[i];
    const toggle = () => {
      this.off.has(i) ? this.off.delete(i) : this.off.add(i);
      key.setAttribute("aria-pressed", String(!this.off.has(i)));
      this.draw();
    };
    const n = this.starts[i + 1] - this.starts[i];
    const key = h("button", { type: "button", "aria-pressed": String(!this.off.has(i)), title: `Show or hide ${label}`, onclick: toggle }, swatch, h("span", { text: label }), h("small", { text: count(n) }));
    const select = () => this.select([...this.order.subarray(this.starts[i], this.starts[i + 1])]);
    return h("li", {}, key, button(`Select ${label}`, "mark", select, { class: "prodrec-selectkey" }));
  }

  select(places) {
    this.send({ do: "select" }, [new Uint32Array(places).buffer]);
  }

  selectView() {
    const inView = (i) => { const [x, y] = this.toPage(i); return x >= 0 && y >= 0 && x <= this.width && y <= this.height; };
    if (this.n) this.select(Array.from({ length: this.n }, (_, i) => i).filter((i) => this.alive(i) && inView(i)));
  }

  place(raw) {
    this.n = raw.length / 2;
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < raw.length; i += 2) {
      x0 = Math.min(x0, raw[i]); x1 = Math.max(x1, raw[i]);
      y0 = Math.min(y0, raw[i + 1]); y1 = Math.max(y1, raw[i + 1]);
    }
    const span = Math.max(x1 - x0, y1 - y0) || 1;
    this.points = raw;
    this.toUnit = (x, y) => [(x - (x0 + x1) / 2) / span, ((y0 + y1) / 2 - y) / span];
    this.faces.clear();
    for (let i = 0; i < raw.length; i += 2) {
      raw[i] = (raw[i] - (x0 + x1) / 2) / span;
      raw[i + 1] = ((y0 + y1) / 2 - raw[i + 1]) / span; // y grows upwards
    }
    this.cells = null;
  }

  // What lies near the pointer is found by its cell; the cells wait for the first pointer
  cellsOf() {
    if (this.cells) return this.cells;
    this.cells = new Map();
    for (let i = 0; i < this.n; i++) {
      const cell = this.cell(this.points[2 * i], this.points[2 * i + 1]);
      this.cells.has(cell) ? this.cells.get(cell).push(i) : this.cells.set(cell, [i]);
    }
    return this.cells;
  }

  light(bits) {
    this.lit = bits.byteLength ? bytesOf(bits) : null;
  }

  isLit(i) { return !this.lit || (this.lit[i >> 3] >> (7 - (i & 7))) & 1; }
  alive(i) { return this.isLit(i) && !this.off.has(this.codes[i]); }
  cell(x, y) { return Math.floor((x + 0.5) * 100) * 1000 + Math.floor((y + 0.5) * 100); }
  get scale() { return this.k * Math.min(this.width, this.height) * 0.94; }
  toPage(i) { return [this.width / 2 + (this.points[2 * i] - this.x) * this.scale, this.height / 2 + (this.points[2 * i + 1] - this.y) * this.scale]; }
  fromPage(px, py) { return [(px - this.width / 2) / this.scale + this.x, (py - this.height / 2) / this.scale + this.y]; }

  draw() {
    if (this.asking) return;
    this.asking = requestAnimationFrame(() => { this.asking = 0; this.paint(); });
  }

  paint() {
    if (!this.n) return;
    this.width = this.field.clientWidth;
    this.height = this.field.clientHeight;
    if (!this.width || !this.height) return;
    const dense = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(this.width * dense) || this.canvas.height !== Math.round(this.height * dense)) {
      this.canvas.width = Math.round(this.width * dense);
      this.canvas.height = Math.round(this.height * dense);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    const base = this.n > 20000 ? 1.6 : this.n > 3000 ? 2.4 : 4.5;
    this.r = Math.min(8, base * Math.sqrt(this.k));
    const seen = this.inView(), faded = this.lit || this.picked;
    if (seen.length > CROWD) this.speckle(pen, dense, seen, faded);
    else this.paintShapes(pen, seen, faded);
    pen.globalAlpha = 1;
    const style = getComputedStyle(this.node), ink = style.getPropertyValue("--prodrec-ink"), accent = style.getPropertyValue("--prodrec-accent");
    const page = style.getPropertyValue("--prodrec-page");
    this.drawFaces(pen, seen, page);
    this.drawNames(pen, ink, page);
    this.rings(pen, this.hits, 7, accent, 2.2);
    this.rings(pen, this.asked, 10, ink, 2.6);
    if (this.over !== undefined) this.rings(pen, [this.over], 9, ink, 2);
    if (this.lasso?.length > 1) this.drawLasso(pen, accent);
    this.node.dataset.painted = String(performance.now());
  }

  // The points on the page, those of one colour together, in the order of painting
  inView() {
    const { scale, points, width, height, order, starts } = this;
    const left = width / 2 - this.x * scale, top = height / 2 - this.y * scale;
    const seen = new Uint32Array(this.n);
    let n = 0;
    for (const c of this.turns) for (let j = starts[c]; j < starts[c + 1]; j++) {
      const i = order[j], px = left + points[2 * i] * scale, py = top + points[2 * i + 1] * scale;
      if (px > -9 && py > -9 && px < width + 9 && py < height + 9) seen[n++] = i;
    }
    return seen.subarray(0, n);
  }

  // Many points: squares written into the pixels, which takes milliseconds for hundreds of thousands
  speckle(pen, dense, seen, faded) {
    const { width: w, height: h } = this.canvas, side = Math.max(1, Math.round(this.r * dense));
    if (this.image?.width !== w || this.image?.height !== h) this.image = pen.createImageData(w, h);
    const pixels = new Uint32Array(this.image.data.buffer).fill(0), { points, scale, codes, inks } = this;
    const left = (this.width / 2 - this.x * scale) * dense - side / 2, top = (this.height / 2 - this.y * scale) * dense - side / 2, unit = scale * dense;
    const write = (i, alpha) => {
      const x = Math.round(left + points[2 * i] * unit), y = Math.round(top + points[2 * i + 1] * unit), ink = inks[codes[i]] | (alpha << 24);
      if (x < 0 || y < 0 || x + side > w || y + side > h) return;
      for (let row = y * w + x, end = row + side * w; row < end; row += w) for (let at = row; at < row + side; at++) pixels[at] = ink;
    };
    for (const i of seen) write(i, this.off.has(codes[i]) ? 10 : faded ? 34 : 235);
    if (faded) for (const i of this.picked ?? seen) if (this.picked ? !this.off.has(codes[i]) : this.alive(i)) write(i, 255);
    pen.putImageData(this.image, 0, 0);
  }

  paintShapes(pen, seen, faded) {
    pen.strokeStyle = EDGE;
    pen.lineWidth = 1;
    const each = (list, alpha) => {
      for (let j = 0, end; j < list.length; j = end) {
        const c = this.codes[list[j]];
        for (end = j; end < list.length && this.codes[list[end]] === c; ) end += 1;
        pen.fillStyle = this.colours[c];
        pen.globalAlpha = alpha(c);
        if (pen.globalAlpha) this.dots(pen, c, list, j, end);
      }
    };
    each(seen, (c) => (this.off.has(c) ? 0.04 : faded ? 0.12 : 0.9));
    if (!faded) return;
    const chosen = this.picked && new Set(this.picked);
    each(seen.filter((i) => (chosen ? chosen.has(i) : this.isLit(i))), (c) => (this.off.has(c) ? 0 : 1));
  }

  dots(pen, c, list, from, to) {
    const { r, scale, points, width, height } = this, shape = SHAPES[c % 4];
    const [left, top] = [width / 2 - this.x * scale, height / 2 - this.y * scale], s = r / 2 + 0.8;
    for (let j = from; j < to; j++) {
      const i = list[j], px = left + points[2 * i] * scale, py = top + points[2 * i + 1] * scale;
      if (r < 3) { pen.fillRect(px - r / 2, py - r / 2, r, r); continue; }
      pen.beginPath();
      if (shape === "circle") pen.arc(px, py, s, 0, 7);
      else if (shape === "square") pen.rect(px - s * 0.9, py - s * 0.9, s * 1.8, s * 1.8);
      else if (shape === "triangle") { pen.moveTo(px, py - s * 1.2); pen.lineTo(px + s * 1.1, py + s * 0.8); pen.lineTo(px - s * 1.1, py + s * 0.8); pen.closePath(); }
      else { pen.moveTo(px, py - s * 1.25); pen.lineTo(px + s * 1.25, py); pen.lineTo(px, py + s * 1.25); pen.lineTo(px - s * 1.25, py); pen.closePath(); }
      pen.fill();
      if (this.named) pen.stroke();
    }
  }

  // Zoomed in, one product of each tile shows its picture; the tiles move with the map, so nothing flickers
  drawFaces(pen, seen, page) {
    clearTimeout(this.pause);
    if (this.k < CLOSE) return;
    const tiles = new Map(), chosen = this.picked && new Set(this.picked);
    const { points, scale, width, height } = this, left = width / 2 - this.x * scale, top = height / 2 - this.y * scale;
    for (const i of seen) {
      const x = points[2 * i] * scale, y = points[2 * i + 1] * scale;
      if (x + left < 0 || y + top < 0 || x + left > width || y + top > height) continue;
      const key = Math.floor(x / TILE) * 100000 + Math.floor(y / TILE);
      if ((tiles.get(key) ?? Infinity) > i && this.alive(i) && (!chosen || chosen.has(i))) tiles.set(key, i);
    }
    const side = 44, taken = [];
    const shown = [...tiles.values()].sort((a, b) => a - b).filter((i) => {
      const [x, y] = this.toPage(i), isFree = taken.length < MOST && !taken.some(([a, b]) => Math.abs(a - x) < side + 6 && Math.abs(b - y) < side + 6);
      if (isFree) taken.push([x, y]);
      return isFree;
    });
    for (const i of shown) {
      const face = this.faces.get(i);
      if (!face) continue;
      const [x, y] = this.toPage(i), fit = (side - 4) / Math.max(face.width, face.height);
      pen.beginPath(); pen.roundRect(x - side / 2, y - side / 2, side, side, 8);
      pen.fillStyle = "#fff"; pen.fill();
      pen.lineWidth = 2; pen.strokeStyle = this.colours[this.codes[i]]; pen.stroke();
      pen.save(); pen.clip();
      pen.drawImage(face, x - (face.width * fit) / 2, y - (face.height * fit) / 2, face.width * fit, face.height * fit);
      pen.restore();
    }
    const missing = shown.filter((i) => !this.faces.has(i));
    if (missing.length) this.pause = setTimeout(() => this.askFaces(missing), 140); // once the map stands still
  }

  askFaces(places) {
    while (this.faces.size > 600) this.faces.delete(this.faces.keys().next().value);
    places.forEach((i) => this.faces.set(i, null));
    this.send({ do: "thumbs", at: places });
  }

  async showFaces(reply, buffers) {
    await Promise.all(reply.at.map(async (i, n) => {
      if (buffers[n]?.byteLength) this.faces.set(i, await createImageBitmap(new Blob([bytesOf(buffers[n])])).catch(() => null));
    }));
    this.node.dataset.faces = String([...this.faces.values()].filter(Boolean).length);
    this.draw();
  }

  // Each name stands where its products lie most densely, the most frequent first; one that would cover another is left out
  drawNames(pen, ink, page) {
    const taken = [], shown = [];
    pen.font = "600 12px system-ui, sans-serif";
    pen.textAlign = "center"; pen.textBaseline = "middle"; pen.lineJoin = "round";
    for (const { label, x, y } of this.names) {
      const at = this.labels.indexOf(label), strength = this.isNamedNow(at) ? 1 : 0.3;
      if (this.off.has(at < 0 ? this.labels.indexOf("other") : at)) continue;
      const [ux, uy] = this.toUnit(x, y), px = this.width / 2 + (ux - this.x) * this.scale, py = this.height / 2 + (uy - this.y) * this.scale;
      const half = pen.measureText(label).width / 2 + 4;
      if (px < half || py < 10 || px > this.width - half || py > this.height - 10) continue;
      if (taken.some(([a, b, c]) => Math.abs(a - px) < half + c && Math.abs(b - py) < 17)) continue;
      taken.push([px, py, half]);
      shown.push(label);
      pen.globalAlpha = 0.88 * strength; pen.strokeStyle = page; pen.lineWidth = 5; pen.strokeText(label, px, py);
      pen.globalAlpha = strength; pen.fillStyle = ink; pen.fillText(label, px, py);
    }
    pen.globalAlpha = 1;
    this.node.dataset.names = shown.join(", ");
  }

  // Whether a name still has products after the filters and the lasso
  isNamedNow(at) {
    if (!this.lit && !this.picked) return true;
    if (at < 0) return false;
    if (this.picked) return this.picked.some((i) => this.codes[i] === at);
    return this.order.subarray(this.starts[at], this.starts[at + 1]).some((i) => this.isLit(i));
  }

  drawLasso(pen, accent) {
    pen.beginPath();
    this.lasso.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.globalAlpha = 0.12; pen.fillStyle = accent; pen.fill();
    pen.globalAlpha = 1; pen.strokeStyle = accent; pen.lineWidth = 1.5; pen.setLineDash([5, 4]); pen.stroke(); pen.setLineDash([]);
  }

  rings(pen, places, r, colour, width) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    for (const i of places) {
      if (i === null || i === undefined || i >= this.n) continue;
      const [x, y] = this.toPage(i);
      pen.beginPath(); pen.arc(x, y, r, 0, 7); pen.stroke();
    }
  }

  nearest(px, py) {
    if (!this.n) return undefined;
    const [x, y] = this.fromPage(px, py), reach = 12 / this.scale, steps = Math.min(6, Math.ceil(reach * 100)), cells = this.cellsOf();
    let best, least = reach * reach;
    for (let a = -steps; a <= steps; a++) for (let b = -steps; b <= steps; b++) {
      for (const i of cells.get(this.cell(x + a / 100, y + b / 100)) ?? []) {
        const d = (this.points[2 * i] - x) ** 2 + (this.points[2 * i + 1] - y) ** 2;
        if (d < least && this.alive(i)) [best, least] = [i, d];
      }
    }
    return best;
  }

  hover(at) {
    if (at === this.over) return;
    this.over = at;
    this.canvas.style.cursor = at === undefined ? "" : "pointer";
    this.tip.hidden = true;
    clearTimeout(this.wait);
    if (at !== undefined) {
      if (this.peeked.has(at)) this.show(at);
      else this.wait = setTimeout(() => this.send({ do: "peek", at }), 60);
    }
    this.onhover?.(at);
    this.draw();
  }

  peek(reply, buffers) {
    this.peeked.set(reply.at, { ...reply, thumb: buffers[0]?.byteLength ? jpeg(buffers[0]) : null });
    if (reply.at === this.over) this.show(reply.at);
  }

  show(at) {
    const { thumb, title, facts } = this.peeked.get(at), [x, y] = this.toPage(at);
    this.tip.replaceChildren(...[thumb && h("img", { src: thumb, alt: "" }), h("b", { text: title }), h("span", { text: facts })].filter(Boolean));
    this.tip.hidden = false;
    this.tip.style.left = `${Math.max(4, Math.min(this.width - 164, x + 14))}px`;
    this.tip.style.top = `${Math.max(4, y + this.tip.offsetHeight + 18 > this.height ? y - this.tip.offsetHeight - 14 : y + 14)}px`;
  }

  zoom(by, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.fromPage(px, py);
    this.k = Math.max(0.6, Math.min(60, this.k * by));
    const [x2, y2] = this.fromPage(px, py);
    this.x += x - x2;
    this.y += y - y2;
    this.tip.hidden = true;
    this.draw();
  }

  reset() { Object.assign(this, { k: 1, x: 0, y: 0 }); this.draw(); }

  inside(path) {
    const found = [];
    const xs = path.map((p) => p[0]), ys = path.map((p) => p[1]);
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    for (let i = 0; i < this.n; i++) {
      const [x, y] = this.toPage(i);
      if (x < x0 || x > x1 || y < y0 || y > y1 || !this.alive(i)) continue;
      let odd = false;
      for (let a = 0, b = path.length - 1; a < path.length; b = a++)
        if (ys[a] > y !== ys[b] > y && x < ((xs[b] - xs[a]) * (y - ys[a])) / (ys[b] - ys[a]) + xs[a]) odd = !odd;
      if (odd) found.push(i);
    }
    return found;
  }

  listen() {
    const at = (e) => { const box = this.canvas.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
    let from = null, moved = false;
    this.canvas.addEventListener("pointerdown", (e) => {
      this.canvas.setPointerCapture(e.pointerId);
      from = at(e);
      moved = false;
      this.lasso = this.mode === "lasso" || e.shiftKey ? [from] : null;
    });
    this.canvas.addEventListener("pointermove", (e) => {
      const here = at(e);
      if (!from) return this.hover(this.nearest(...here));
      if (Math.hypot(here[0] - from[0], here[1] - from[1]) > 4) moved = true;
      if (!moved) return;
      this.tip.hidden = true;
      if (this.lasso) this.lasso.push(here);
      else { this.x -= (here[0] - from[0]) / this.scale; this.y -= (here[1] - from[1]) / this.scale; from = here; }
      this.draw();
    });
    this.canvas.addEventListener("pointerup", (e) => {
      const over = this.nearest(...at(e)), path = this.lasso;
      from = this.lasso = null;
      if (moved && path?.length > 2) this.select(this.inside(path));
      else if (!moved && over !== undefined) this.pivot(over);
      this.draw();
    });
    this.canvas.addEventListener("pointercancel", () => { from = this.lasso = null; this.draw(); });
    this.canvas.addEventListener("pointerleave", () => from || this.hover(undefined));
    this.canvas.addEventListener("dblclick", () => this.reset());
    this.canvas.addEventListener("wheel", (e) => {
      // the page scrolls past a map that nobody uses
      if (!(e.ctrlKey || e.metaKey || this.canvas === this.canvas.getRootNode().activeElement)) return;
      e.preventDefault();
      this.zoom(Math.exp(-e.deltaY / 400), ...at(e));
    }, { passive: false });
    this.canvas.addEventListener("keydown", (e) => {
      const step = 0.1 / this.k;
      const keys = {
        ArrowLeft: () => (this.x -= step), ArrowRight: () => (this.x += step), ArrowUp: () => (this.y -= step), ArrowDown: () => (this.y += step),
        "+": () => this.zoom(1.5), "=": () => this.zoom(1.5), "-": () => this.zoom(1 / 1.5), 0: () => this.reset(), s: () => this.selectView(),
        Enter: () => { const i = this.over ?? this.nearest(this.width / 2, this.height / 2); if (i !== undefined) this.pivot(i); },
      };
      if (!keys[e.key]) return;
      e.preventDefault();
      keys[e.key]();
      this.draw();
    });
  }

  close() {
    this.watch.disconnect();
    clearTimeout(this.wait);
    clearTimeout(this.pause);
    if (this.asking) cancelAnimationFrame(this.asking);
  }
}
