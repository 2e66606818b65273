// The page side of prodrec.apps.browser.Browser: it draws what `_view` holds and sends back what is clicked.
// Text comes to the page through textContent alone; nothing is fetched from anywhere.

const SVG = "http://www.w3.org/2000/svg";
const SIDE = 512; // pixels: the longer side of a picture that is sent
const MAX_PIXELS = 40e6; // the kernel takes no more, so no more is decoded here
const RAW = 65536; // bytes of a file that is no picture: enough for the kernel to say what it is
const PALETTE = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#d4a72c", "#ff9da7", "#9c755f", "#6b8e9e"];
const RAMP = ["#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#c8d92e"];
const PARTS = { image: "Picture", text: "Words", history: "History", user: "History" };
const ICONS = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20.5 20.5",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01",
  words: "M5 7V5h14v2M12 5v14M9 19h6",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4.5 20c1-4 4-5 7.500-5s6.500 1 7.500 5",
  map: "M4 4v16h16M9 15h.01M12 9h.01M16 13h.01M17 6h.01M8 11h.01",
  code: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  steer: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4",
  up: "M6 14.500l6-6 6 6",
  down: "M6 9.500l6 6 6-6",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  back: "M19 12H5M11 6l-6 6 6 6",
  filter: "M4 6h16M7 12h10M10 18h4",
  lasso: "M12 4c5 0 8 2.500 8 5.500S16.500 15 12 15 4 12.500 4 9.500 7 4 12 4zM8 14.500c-1 2 0 4-2 5.500",
  move: "M12 3v18M3 12h18M12 3l-2 2M12 3l2 2M12 21l-2-2M12 21l2-2M3 12l2-2M3 12l2 2M21 12l-2-2M21 12l-2 2",
  whole: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
};

function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
const button = (label, name, onclick, more = {}) =>
  h("button", { type: "button", "aria-label": label, title: label, onclick, ...more }, icon(name));
const many = (n, one, some = one + "s") => `${n.toLocaleString("en")} ${n === 1 ? one : some}`;
const partName = (part) => PARTS[part] ?? part.charAt(0).toUpperCase() + part.slice(1);

// -- a picture that somebody sends

// [width, height] from the header, so that nothing too large is ever decoded; null where it cannot be told
function headSize(b) {
  const be = (i) => (b[i] << 8) | b[i + 1];
  const le24 = (i) => b[i] | (b[i + 1] << 8) | (b[i + 2] << 16);
  const is = (at, text) => [...text].every((c, i) => b[at + i] === c.charCodeAt(0));
  if (b[0] === 0x89 && is(1, "PNG")) return [be(16) * 65536 + be(18), be(20) * 65536 + be(22)];
  if (is(0, "RIFF") && is(8, "WEBP")) {
    if (is(12, "VP8X")) return b[20] & 2 ? null : [le24(24) + 1, le24(27) + 1];
    if (is(12, "VP8L")) return [1 + (((b[22] & 0x3f) << 8) | b[21]), 1 + (((b[24] & 15) << 10) | (b[23] << 2) | (b[22] >> 6))];
    return is(12, "VP8 ") ? [(b[26] | (b[27] << 8)) & 0x3fff, (b[28] | (b[29] << 8)) & 0x3fff] : null;
  }
  if (b[0] !== 0xff || b[1] !== 0xd8) return null;
  for (let i = 2; i < b.length - 9; ) {
    if (b[i] !== 0xff) i += 1;
    else if (b[i + 1] >= 0xc0 && b[i + 1] <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(b[i + 1])) return [be(i + 7), be(i + 5)];
    else if (b[i + 1] === 0xff) i += 1;
    else if (b[i + 1] <= 1 || (b[i + 1] >= 0xd0 && b[i + 1] <= 0xd9)) i += 2;
    else i += 2 + be(i + 2);
  }
  return null;
}

const isAnimated = (b) => b[0] === 0x89 && new TextDecoder("latin1").decode(b.subarray(0, 4096)).includes("acTL");

// The file made small where the page can read it, else as much of it as the kernel needs to say what is wrong
export async function shrink(file) {
  const head = new Uint8Array(await file.slice(0, 1 << 20).arrayBuffer());
  const size = headSize(head);
  const raw = async () => new Uint8Array(await file.slice(0, file.size > 1e6 ? RAW : file.size).arrayBuffer());
  if (!size || isAnimated(head) || size[0] * size[1] > MAX_PIXELS || Math.min(...size) < 8) return raw();
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
    const canvas = h("canvas", { width: Math.max(1, Math.round(picture.width * scale)), height: Math.max(1, Math.round(picture.height * scale)) });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff"; // what shows through is white, as in the kernel
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
    return new Uint8Array(await blob.arrayBuffer());
  } catch {
    return raw();
  }
}

// -- the map

class Plane {
  constructor(send, pivot) {
    Object.assign(this, { send, pivot, n: 0, k: 1, x: 0, y: 0, mode: "move", hits: [], asked: [], picked: null, off: new Set() });
    this.peeked = new Map();
    this.canvas = h("canvas", {
      class: "prodrec-canvas", tabIndex: 0, role: "img",
      "aria-label": "Map of the products. Arrow keys move it, plus and minus zoom, 0 shows all of it, Enter asks for the product under the pointer or in the middle.",
    });
    this.tip = h("div", { class: "prodrec-tip", hidden: true });
    this.legend = h("ul", { class: "prodrec-legend", "aria-label": "Colours of the map" });
    this.column = h("select", { "aria-label": "Colour the map by", onchange: () => send({ do: "map", column: this.column.value, only: true }) });
    this.modes = ["move", "lasso"].map((mode) =>
      button(mode === "move" ? "Move the map" : "Draw around products (or hold Shift)", mode, () => this.setMode(mode), { "aria-pressed": String(mode === "move") }),
    );
    this.field = h("div", { class: "prodrec-field" }, this.canvas, this.tip);
    this.node = h(
      "section", { class: "prodrec-map", "aria-label": "Map", hidden: true },
      h("div", { class: "prodrec-maptools" },
        h("label", {}, h("span", { text: "Colour" }), this.column),
        h("span", { class: "prodrec-group", role: "group", "aria-label": "What dragging does" }, ...this.modes),
        h("span", { class: "prodrec-group", role: "group", "aria-label": "Zoom" },
          button("Zoom in", "plus", () => this.zoom(1.5)), button("Zoom out", "minus", () => this.zoom(1 / 1.5)),
          button("Show all of it", "whole", () => this.reset())),
      ),
      this.field, this.legend,
    );
    this.listen();
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.field);
  }

  setMode(mode) {
    this.mode = mode;
    this.modes.forEach((b, i) => b.setAttribute("aria-pressed", String(["move", "lasso"][i] === mode)));
    this.canvas.dataset.mode = mode;
  }

  load(reply, buffers) {
    this.codes = bytesOf(buffers[0]);
    this.labels = reply.labels;
    this.off.clear();
    if (buffers.length > 1) this.place(new Float32Array(bytesOf(buffers[1]).buffer));
    // by colour, so that the pen changes its colour a dozen times and not once a point
    const counts = new Uint32Array(257);
    for (const c of this.codes) counts[c + 1] += 1;
    for (let c = 0; c < 256; c++) counts[c + 1] += counts[c];
    this.starts = counts.slice();
    this.order = new Uint32Array(this.n);
    for (let i = 0; i < this.n; i++) this.order[counts[this.codes[i]]++] = i;
    const ordered = reply.labels.length === 6 && reply.labels.every((l) => / to /.test(l));
    const words = reply.labels.filter((l) => l !== "other" && l !== "missing");
    this.named = words.length > 0 && words.filter((l) => CSS.supports("color", l)).length >= 0.8 * words.length; // red is red
    const colour = (label, i) => (this.named && CSS.supports("color", label) ? label : (ordered ? RAMP : PALETTE)[i % (ordered ? 6 : 10)]);
    this.colours = reply.labels.map((label, i) => (words.includes(label) ? colour(label, i) : "#9aa0a6"));
    this.legend.replaceChildren(...reply.labels.map((label, i) => this.key(label, i)));
    this.column.value = reply.column;
    this.draw();
  }

  key(label, i) {
    const swatch = h("i", { class: "prodrec-swatch" });
    swatch.style.background = this.colours[i];
    const toggle = () => {
      this.off.has(i) ? this.off.delete(i) : this.off.add(i);
      key.setAttribute("aria-pressed", String(!this.off.has(i)));
      this.draw();
    };
    const key = h("button", { type: "button", "aria-pressed": "true", onclick: toggle }, swatch, h("span", { text: label }));
    return h("li", {}, key);
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
    for (let i = 0; i < raw.length; i += 2) {
      raw[i] = (raw[i] - (x0 + x1) / 2) / span;
      raw[i + 1] = ((y0 + y1) / 2 - raw[i + 1]) / span; // y grows upwards
    }
    this.cells = new Map(); // what lies near the pointer is found by its cell
    for (let i = 0; i < this.n; i++) {
      const cell = this.cell(raw[2 * i], raw[2 * i + 1]);
      this.cells.has(cell) ? this.cells.get(cell).push(i) : this.cells.set(cell, [i]);
    }
  }

  cell(x, y) { return Math.floor((x + 0.5) * 100) * 1000 + Math.floor((y + 0.5) * 100); }
  get scale() { return this.k * Math.min(this.width, this.height) * 0.94; }
  toPage(i) { return [this.width / 2 + (this.points[2 * i] - this.x) * this.scale, this.height / 2 + (this.points[2 * i + 1] - this.y) * this.scale]; }
  fromPage(px, py) { return [(px - this.width / 2) / this.scale + this.x, (py - this.height / 2) / this.scale + this.y]; }

  draw() {
    if (this.asking) return;
    this.asking = requestAnimationFrame(() => { this.asking = 0; this.paint(); });
  }

  paint() {
    this.width = this.field.clientWidth;
    this.height = this.field.clientHeight;
    if (!this.n || !this.width || !this.height) return;
    const dense = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(this.width * dense) || this.canvas.height !== Math.round(this.height * dense)) {
      this.canvas.width = Math.round(this.width * dense);
      this.canvas.height = Math.round(this.height * dense);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    const base = this.n > 20000 ? 1.6 : this.n > 3000 ? 2.4 : 4.5;
    const r = Math.min(7, base * Math.sqrt(this.k));
    const { scale, points } = this, [left, top] = [this.width / 2 - this.x * scale, this.height / 2 - this.y * scale];
    pen.strokeStyle = "#8888"; // white on white is seen by its edge
    pen.lineWidth = 0.8;
    const dots = (from, to, list) => {
      for (let j = from; j < to; j++) {
        const i = list[j], px = left + points[2 * i] * scale, py = top + points[2 * i + 1] * scale;
        if (px < -9 || py < -9 || px > this.width + 9 || py > this.height + 9) continue;
        if (r < 3) pen.fillRect(px - r / 2, py - r / 2, r, r);
        else { pen.beginPath(); pen.arc(px, py, r / 2 + 0.5, 0, 7); pen.fill(); if (this.named) pen.stroke(); }
      }
    };
    for (let c = 0; c < this.labels.length; c++) {
      pen.fillStyle = this.colours[c];
      pen.globalAlpha = this.off.has(c) ? 0.05 : this.picked ? 0.15 : 0.8;
      dots(this.starts[c], this.starts[c + 1], this.order);
    }
    if (this.picked) {
      pen.globalAlpha = 1;
      for (let c = 0; c < this.labels.length; c++) {
        pen.fillStyle = this.colours[c];
        const own = this.picked.filter((i) => this.codes[i] === c);
        dots(0, own.length, own);
      }
    }
    pen.globalAlpha = 1;
    const style = getComputedStyle(this.node), ink = style.getPropertyValue("--prodrec-ink"), accent = style.getPropertyValue("--prodrec-accent");
    this.rings(pen, this.hits, 7, accent, 2.2);
    this.rings(pen, this.asked, 10, ink, 2.6);
    if (this.over !== undefined) this.rings(pen, [this.over], 9, ink, 2);
    if (this.lasso?.length > 1) {
      pen.beginPath();
      this.lasso.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.closePath();
      pen.globalAlpha = 0.12; pen.fillStyle = accent; pen.fill();
      pen.globalAlpha = 1; pen.strokeStyle = accent; pen.lineWidth = 1.5; pen.setLineDash([5, 4]); pen.stroke(); pen.setLineDash([]);
    }
    this.node.dataset.painted = String(performance.now());
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
    const [x, y] = this.fromPage(px, py), reach = 12 / this.scale, steps = Math.min(6, Math.ceil(reach * 100));
    let best, least = reach * reach;
    for (let a = -steps; a <= steps; a++) for (let b = -steps; b <= steps; b++) {
      for (const i of this.cells.get(this.cell(x + a / 100, y + b / 100)) ?? []) {
        const d = (this.points[2 * i] - x) ** 2 + (this.points[2 * i + 1] - y) ** 2;
        if (d < least && !this.off.has(this.codes[i])) [best, least] = [i, d];
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
    this.draw();
  }

  peek(reply, buffers) {
    const thumb = buffers[0]?.byteLength ? URL.createObjectURL(new Blob([bytesOf(buffers[0])], { type: "image/jpeg" })) : null;
    this.peeked.set(reply.at, { ...reply, thumb });
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
      if (x < x0 || x > x1 || y < y0 || y > y1 || this.off.has(this.codes[i])) continue;
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
      if (moved && path?.length > 2) this.send({ do: "select" }, [new Uint32Array(this.inside(path)).buffer]);
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
        "+": () => this.zoom(1.5), "=": () => this.zoom(1.5), "-": () => this.zoom(1 / 1.5), 0: () => this.reset(),
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
    if (this.asking) cancelAnimationFrame(this.asking);
    for (const { thumb } of this.peeked.values()) if (thumb) URL.revokeObjectURL(thumb);
  }
}

// -- the page

class Page {
  constructor(model, el) {
    Object.assign(this, { model, setup: model.get("_setup"), own: Math.random().toString(36).slice(2, 8), count: 0, waiting: new Map(), later: null });
    Object.assign(this, { asked: "", tab: "answer", unfolded: new Set(), urls: [], chosen: -1, options: [] });
    this.plane = new Plane((c, b) => this.send(c, b), (at) => this.pivotAt(at));
    this.root = h("div", { class: "prodrec-browser", "data-lm-suppress-shortcuts": "true", "aria-label": "Product browser", role: "region" });
    this.build();
    el.append(this.root);
    this.onView = () => this.draw(model.get("_view"));
    this.onSetup = () => { this.setup = model.get("_setup"); this.buildSteer(); this.onView(); };
    this.onReply = (reply, buffers) => this.reply(reply, buffers ?? []);
    model.on("change:_view", this.onView);
    model.on("change:_setup", this.onSetup);
    model.on("msg:custom", this.onReply);
    this.fit = new ResizeObserver(([{ contentRect }]) => {
      if (!contentRect.width) return; // not on the page yet
      this.fit.disconnect();
      if (contentRect.width < 620) this.show("steer", false); // on a phone the products come first
    });
    this.fit.observe(this.root);
    this.theme = new MutationObserver(() => this.plane.draw());
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
    this.onView();
  }

  close() {
    this.model.off("change:_view", this.onView);
    this.model.off("change:_setup", this.onSetup);
    this.model.off("msg:custom", this.onReply);
    this.theme.disconnect();
    this.fit.disconnect();
    this.plane.close();
    this.urls.forEach((u) => URL.revokeObjectURL(u));
    clearTimeout(this.slow);
    clearTimeout(this.typing);
  }

  // -- talking to the kernel

  send(content, buffers = []) {
    if (content.do === "steer" && [...this.waiting.values()].includes("steer")) {
      // a slider moves faster than answers come: only where it ends is asked for
      this.later = { do: "steer", options: { ...this.later?.options, ...content.options } };
      return;
    }
    const n = `${this.own}-${++this.count}`;
    this.waiting.set(n, content.do);
    this.busy();
    this.model.send({ ...content, n }, undefined, buffers);
  }

  busy() {
    const busy = [...this.waiting.values()].some((what) => !["find", "peek"].includes(what));
    this.root.setAttribute("aria-busy", String(busy));
    clearTimeout(this.slow);
    if (this.waiting.size) this.slow = setTimeout(() => this.say("No answer yet. Is the kernel running, and not busy with another cell?"), 15000);
  }

  done(n) {
    if (!this.waiting.delete(n)) return false;
    this.busy();
    if (this.later && ![...this.waiting.values()].includes("steer")) {
      const later = this.later;
      this.later = null;
      this.send(later);
    }
    return true;
  }

  reply(reply, buffers) {
    const what = this.waiting.get(reply.n), mine = this.done(reply.n);
    if (reply.kind === "error" && mine) {
      this.say(reply.text);
      if (what === "ask" && this.asked && !this.input.value) this.input.value = this.asked; // to be mended
    }
    else if (reply.kind === "found" && mine) this.offer(reply, buffers);
    else if (reply.kind === "map") this.plane.load(reply, buffers);
    else if (reply.kind === "peek") this.plane.peek(reply, buffers);
    else if (mine && what !== "peek" && what !== "find") this.say(null);
  }

  say(words) {
    this.error.hidden = !words;
    this.errorText.textContent = words ?? "";
    if (words) this.draw(this.model.get("_view")); // what was moved goes back to where it was
  }

  // -- what stays on the page

  build() {
    this.input = h("input", {
      type: "text", class: "prodrec-input", role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", autocomplete: "off",
      "aria-controls": `found-${this.own}`, spellcheck: false,
      "aria-label": this.hint(), placeholder: this.hint(),
      oninput: () => this.typed(), onkeydown: (e) => this.typedKey(e), onblur: () => setTimeout(() => this.closeFound(), 150), onfocus: () => this.input.value && this.typed(),
    });
    this.found = h("ul", { class: "prodrec-found", role: "listbox", id: `found-${this.own}`, "aria-label": "What to ask", hidden: true });
    this.file = h("input", { type: "file", accept: "image/*,.jpg,.jpeg,.png,.webp", class: "prodrec-file", tabIndex: -1, "aria-label": "Picture file",
      onchange: () => { if (this.file.files[0]) this.upload(this.file.files[0]); this.file.value = ""; } });
    this.uploadButton = h("button", { type: "button", class: "prodrec-upload", "aria-label": "Upload a picture", title: "Ask with a picture: choose a file, drop it here, or paste it", onclick: () => this.file.click() }, icon("picture"), h("span", { text: "Upload a picture" }));
    const ask = h("form", { class: "prodrec-ask", role: "search", onsubmit: (e) => { e.preventDefault(); this.take(this.chosen); } },
      icon("search"), this.input, this.uploadButton, this.file, this.found);
    this.toggles = {
      steer: this.toggle("Filters", "steer", true), map: this.toggle("Map", "map", false), code: this.toggle("Code", "code", false),
    };
    this.tools = h("div", { class: "prodrec-tools", role: "group", "aria-label": "Show" }, ...Object.values(this.toggles));
    this.trail = h("ol", { class: "prodrec-trail", "aria-label": "Trail" });
    this.backButton = button("Back (Backspace)", "back", () => this.send({ do: "back" }), { class: "prodrec-back" });
    this.chips = h("ul", { class: "prodrec-chips", "aria-label": "The question" });
    this.errorText = h("span");
    this.error = h("div", { class: "prodrec-error", role: "alert", hidden: true }, this.errorText, button("Dismiss", "close", () => this.say(null)));
    this.status = h("div", { class: "prodrec-status", role: "status", "aria-live": "polite" });
    this.prediction = h("div", { class: "prodrec-prediction", hidden: true });
    this.tabs = h("div", { class: "prodrec-tabs", role: "tablist", "aria-label": "Lists", hidden: true });
    this.lists = h("div", { class: "prodrec-lists" });
    this.steer = h("aside", { class: "prodrec-steer", "aria-label": "Steering and filters" });
    this.codeText = h("pre", { class: "prodrec-codetext", tabIndex: 0, "aria-label": "Code for what is on the screen" });
    this.copied = h("button", { type: "button", class: "prodrec-copy", text: "Copy", onclick: () => this.copy() });
    this.code = h("section", { class: "prodrec-code", "aria-label": "Code", hidden: true }, this.codeText, this.copied);
    this.answer = h("section", { class: "prodrec-answer", "aria-label": "Products" }, this.prediction, this.tabs, this.lists);
    this.root.append(
      h("div", { class: "prodrec-bar", "aria-hidden": "true" }),
      h("header", { class: "prodrec-top" }, ask, this.tools),
      h("nav", { class: "prodrec-where", "aria-label": "Where you are" }, this.backButton, this.trail),
      this.chips, this.error, this.code, this.status,
      h("div", { class: "prodrec-body" }, this.steer, this.answer, this.plane.node),
    );
    this.root.addEventListener("keydown", (e) => this.key(e));
    this.root.addEventListener("paste", (e) => { const f = [...(e.clipboardData?.files ?? [])][0]; if (f) { e.preventDefault(); this.upload(f); } });
    this.root.addEventListener("dragover", (e) => { e.preventDefault(); this.root.classList.add("prodrec-dropping"); });
    this.root.addEventListener("dragleave", (e) => this.root.contains(e.relatedTarget) || this.root.classList.remove("prodrec-dropping"));
    this.root.addEventListener("drop", (e) => { e.preventDefault(); this.root.classList.remove("prodrec-dropping"); const f = e.dataTransfer?.files[0]; if (f) this.upload(f); });
    this.buildSteer();
  }

  hint() {
    const also = [this.setup.users && "a customer", this.setup.paths && "a path or URL"].filter(Boolean);
    return `Words, a product${also.length ? `, ${also.join(", ")}` : ""}`;
  }

  toggle(label, name, pressed) {
    const b = h("button", { type: "button", "aria-label": label, title: label, "aria-pressed": String(pressed), onclick: () => this.show(name, b.getAttribute("aria-pressed") !== "true") }, icon(name), h("span", { text: label }));
    return b;
  }

  show(name, on) {
    this.toggles[name].setAttribute("aria-pressed", String(on));
    this.root.classList.toggle(`prodrec-with-${name}`, on);
    if (name === "steer") this.root.classList.toggle("prodrec-without-steer", !on);
    if (name === "code") this.code.hidden = !on;
    if (name !== "map") return;
    if (!this.setup.map) {
      if (on) this.say("There is no map here. Make one with `map=`: a table with id, x and y, or a ProductMap.");
      return;
    }
    this.plane.node.hidden = !on;
    if (on && !this.plane.n) this.send({ do: "map" });
    this.plane.draw();
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.codeText.textContent);
      this.copied.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(this.codeText);
      this.copied.textContent = "Selected";
    }
    setTimeout(() => (this.copied.textContent = "Copy"), 1500);
  }

  // -- steering

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

  buildSteer() {
    const { setup } = this, rows = [];
    const add = (name, ...rest) => { const [row, node] = this.slider(rest[0], rest[1], name, rest[2], rest[3]); this.sliders[name] = row; rows.push(node); };
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
    const filters = setup.filters.map((f, i) => this.buildFilter(f, i === 0));
    this.clear = h("button", { type: "button", class: "prodrec-clear", text: "Clear filters", hidden: true, onclick: () => this.send({ do: "steer", options: { where: {} } }) });
    this.steer.replaceChildren(
      h("div", { class: "prodrec-sliders" }, ...rows),
      h("div", { class: "prodrec-filterhead" }, h("h3", { text: "Filters" }), this.clear),
      ...filters,
    );
    this.plane.column.replaceChildren(...(setup.map?.columns ?? []).map((c) => h("option", { value: c, text: c })));
  }

  buildFilter(filter, open) {
    const chosen = h("span", { class: "prodrec-chosen" });
    const body = filter.kind === "words" ? this.wordsFilter(filter, chosen) : this.rangeFilter(filter, chosen);
    return h("details", { class: "prodrec-filter", open }, h("summary", {}, h("span", { text: filter.name }), chosen), body);
  }

  wordsFilter(filter, chosen) {
    const rows = filter.values.map((value, i) => {
      const box = h("input", { type: "checkbox", onchange: () => this.filtered(filter.name, rows.flatMap((r, j) => (r.box.checked ? [j] : []))) });
      const count = h("span", { class: "prodrec-count" });
      return { box, count, node: h("label", { class: "prodrec-choice" }, box, h("span", { text: value }), count) };
    });
    const list = h("div", { class: "prodrec-choices", role: "group", "aria-label": filter.name }, ...rows.map((r) => r.node));
    this.filters[filter.name] = (wanted, counts) => {
      rows.forEach((r, i) => {
        r.box.checked = wanted?.includes(i) ?? false;
        r.count.textContent = counts ? counts[i].toLocaleString("en") : "";
        r.node.classList.toggle("prodrec-none", !!counts && !counts[i] && !r.box.checked);
      });
      chosen.textContent = wanted?.length ? String(wanted.length) : "";
    };
    if (rows.length <= 15) return list;
    const seek = h("input", { type: "search", class: "prodrec-seek", placeholder: `Find in ${rows.length}`, "aria-label": `Find in ${filter.name}`,
      oninput: () => rows.forEach((r, i) => (r.node.hidden = !filter.values[i].toLowerCase().includes(seek.value.toLowerCase()))) });
    return h("div", {}, seek, list);
  }

  rangeFilter(filter, chosen) {
    const number = filter.kind === "number", value = (box) => (box.value === "" ? null : number ? Number(box.value) : box.value);
    const send = () => this.filtered(filter.name, boxes.map(value));
    const boxes = ["low", "high"].map((end) => h("input", {
      type: number ? "number" : "date", step: number ? "any" : undefined, placeholder: String(filter[end]), onchange: send,
      "aria-label": `${filter.name}, ${end === "low" ? "from" : "to"}`,
    }));
    this.filters[filter.name] = (wanted) => {
      boxes.forEach((box, i) => { if (box !== document.activeElement) box.value = wanted?.[i] ?? ""; });
      chosen.textContent = wanted ? "1" : "";
    };
    return h("div", { class: "prodrec-range" }, boxes[0], h("span", { text: "to" }), boxes[1]);
  }

  filtered(name, wanted) {
    this.where = { ...this.where, [name]: wanted };
    this.send({ do: "steer", options: { where: this.where } });
  }

  // -- asking

  typed() {
    clearTimeout(this.typing);
    const text = this.input.value.trim();
    if (!text) return this.closeFound();
    this.offer({ text, products: [], users: [] }, [], true);
    this.typing = setTimeout(() => this.send({ do: "find", text }), 120);
  }

  offer(reply, buffers, first = false) {
    const text = this.input.value.trim();
    if (reply.text !== text || !text) return;
    const place = this.setup.paths && /^(https?:\/\/|[.~]?\/|[a-z]:\\)|\.(jpe?g|png|webp|gif)$/i.test(text);
    const words = !Object.keys(this.setup.weights).length || "text" in this.setup.weights;
    this.options = [
      place && { kind: "image", value: text, icon: "picture", label: "Picture at", strong: text },
      words && !place && { kind: "text", value: text, icon: "words", label: "Words", strong: text },
      ...reply.users.map((u) => ({ kind: "user", value: u, icon: "person", label: "Customer", strong: u })),
      ...reply.products.map((p, i) => ({ kind: "id", value: p.id, thumb: buffers[i], label: p.facts, strong: p.title })),
    ].filter(Boolean);
    if (first && !this.found.hidden && this.options.length) {
      // what was found for fewer letters stays until the new answer is there
      if (this.found.firstChild) this.found.firstChild.replaceWith(this.option(this.options[0], 0));
      return;
    }
    this.found.replaceChildren(...this.options.map((o, i) => this.option(o, i)));
    if (!this.options.length) this.found.replaceChildren(h("li", { class: "prodrec-nothing", text: "Nothing is called so." }));
    this.found.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.choose(Math.min(this.chosen, this.options.length - 1));
  }

  option(o, i) {
    const face = o.icon ? icon(o.icon) : o.thumb?.byteLength ? h("img", { src: this.url(o.thumb), alt: "" }) : h("span", { class: "prodrec-noface" });
    return h("li", { role: "option", id: `option-${this.own}-${i}`, "aria-selected": "false", onmousedown: (e) => e.preventDefault(), onclick: (e) => this.take(i, e.shiftKey) },
      face, h("span", { class: "prodrec-optiontext" }, h("b", { text: o.strong }), h("small", { text: o.label })),
      this.view?.asked && h("button", { type: "button", class: "prodrec-add", tabIndex: -1, title: "Add to the question (Shift+Enter)", "aria-label": `Add ${o.strong} to the question`, onclick: (e) => { e.stopPropagation(); this.take(i, true); } }, icon("plus")));
  }

  choose(i) {
    this.chosen = i;
    [...this.found.children].forEach((li, j) => li.setAttribute("aria-selected", String(i === j)));
    if (i >= 0) { this.input.setAttribute("aria-activedescendant", `option-${this.own}-${i}`); this.found.children[i]?.scrollIntoView({ block: "nearest" }); }
    else this.input.removeAttribute("aria-activedescendant");
  }

  closeFound() {
    this.found.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.choose(-1);
  }

  take(i, add = false) {
    const option = this.options[Math.max(0, i)];
    if (!this.input.value.trim() || !option) return;
    clearTimeout(this.typing);
    this.asked = option.kind === "id" ? "" : this.input.value;
    this.send({ do: "ask", kind: option.kind, value: option.value, add });
    this.input.value = "";
    this.closeFound();
  }

  typedKey(e) {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (moves[e.key] && this.options.length) {
      e.preventDefault();
      this.choose((this.chosen + moves[e.key] + this.options.length) % this.options.length);
    } else if (e.key === "Enter") {
      e.preventDefault();
      this.take(this.chosen, e.shiftKey);
    } else if (e.key === "Escape") this.closeFound();
  }

  async upload(file) {
    this.root.setAttribute("aria-busy", "true");
    const data = await shrink(file);
    this.sent = data.byteLength;
    this.send({ do: "upload", name: file.name || "pasted picture", size: file.size }, [data.buffer]);
  }

  pivotAt(at) {
    const known = this.plane.peeked.get(at);
    if (known) return this.send({ do: "ask", kind: "id", value: known.id });
    this.send({ do: "ask", kind: "at", value: at });
  }

  key(e) {
    e.stopPropagation(); // the notebook has other plans with most keys
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
    if (e.key === "Backspace") { e.preventDefault(); if (this.view.trail.length > 1) this.send({ do: "back" }); return; }
    const card = e.target.closest?.(".prodrec-card");
    if (!card) return;
    const cards = [...this.lists.querySelectorAll(".prodrec-card:not([hidden])")], at = cards.indexOf(card);
    const perRow = cards.filter((c) => c.offsetTop === cards[0].offsetTop).length || 1;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: perRow, ArrowUp: -perRow }[e.key];
    const acts = { "+": "more", "=": "more", "-": "less" }[e.key];
    if (step && cards[at + step]) { e.preventDefault(); cards[at + step].querySelector("button").focus(); }
    else if (acts) { e.preventDefault(); this.send({ do: acts, id: card.dataset.id }); }
  }

  // -- what an answer changes

  url(view) {
    const url = URL.createObjectURL(new Blob([bytesOf(view)], { type: "image/jpeg" }));
    this.urls.push(url);
    return url;
  }

  draw(view) {
    if (!view || !view.options) return;
    const moved = this.view && this.view !== view;
    const old = this.urls;
    this.urls = [];
    const focused = this.root.contains(document.activeElement) && document.activeElement.closest?.(".prodrec-card")?.dataset.id;
    this.view = view;
    this.where = view.where;
    if (moved) { this.error.hidden = true; this.unfolded.clear(); }
    this.drawQuestion(view);
    this.drawSteer(view);
    this.drawPrediction(view);
    this.drawTabs(view, moved);
    this.drawLists(view);
    this.codeText.textContent = view.code;
    if (focused) (this.lists.querySelector(`.prodrec-card[data-id="${CSS.escape(focused)}"]`) ?? this.lists.querySelector(".prodrec-card"))?.querySelector("button").focus({ preventScroll: true });
    const places = this.shown.flatMap((list) => list.cards.map((c) => c.at));
    this.plane.hits = view.asked ? places : [];
    this.plane.asked = view.chips.flatMap((c) => (c.kind === "id" ? [c.place] : []));
    const picked = view.selection.at.byteLength ? new Uint32Array(bytesOf(view.selection.at).buffer) : null;
    this.plane.picked = picked && [...picked];
    this.plane.draw();
    setTimeout(() => old.forEach((u) => URL.revokeObjectURL(u)), 1000);
    if (view.n) this.done(view.n);
  }

  drawQuestion(view) {
    const last = view.trail.length - 1;
    this.backButton.hidden = last < 1;
    this.trail.replaceChildren(...view.trail.map((label, i) =>
      h("li", {}, i === last
        ? h("span", { "aria-current": "step", text: label })
        : h("button", { type: "button", text: label, title: label, onclick: () => this.send({ do: "back", to: i }) }))));
    this.trail.lastChild?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
    const names = { id: "like", image: "picture", text: "words", user: "for", more: "more like", less: "less like", where: "only" };
    this.chips.replaceChildren(...view.chips.map((c) =>
      h("li", { class: `prodrec-chip prodrec-chip-${c.kind}` },
        c.thumb && h("img", { src: this.url(c.thumb), alt: "" }),
        h("small", { text: names[c.kind] ?? c.kind }), h("span", { text: c.label }),
        button(`Remove ${c.label}`, "close", () => this.send({ do: "drop", kind: c.kind, at: c.at })))));
    this.chips.hidden = !view.chips.length;
    const n = view.lists.reduce((sum, l) => Math.max(sum, l.n), 0), filtered = Object.keys(view.where).length || view.chips.some((c) => c.kind === "where");
    const of = filtered ? `${view.total.toLocaleString("en")} of ${many(this.setup.n, "product")} match the filters` : many(this.setup.n, "product");
    this.status.textContent = view.asked ? `${n ? many(n, "recommendation") : "No recommendation"} · ${of}` : `${of} · click one to see what is like it`;
    this.clear.hidden = !filtered;
  }

  drawSteer(view) {
    const { options } = view, held = document.activeElement;
    const weights = { ...this.setup.weights, ...options.weights };
    const values = { k: options.k ?? 12, min_score: options.min_score ?? 0, diversity: options.diversity ?? 0 };
    for (const [name, row] of Object.entries(this.sliders)) {
      const value = name.startsWith("weight-") ? weights[name.slice(7)] : values[name];
      if (row.input !== held || !this.later) row.set(value);
    }
    this.within.value = options.within ?? "";
    this.collapse.checked = !!options.collapse;
    for (const [name, update] of Object.entries(this.filters)) update(view.where[name], view.counts[name]);
  }

  drawPrediction(view) {
    this.prediction.hidden = !view.prediction.length;
    this.prediction.replaceChildren(h("h3", { text: "The classifier sees" }), h("ul", {}, ...view.prediction.map(({ label, p }) => {
      const bar = h("i");
      bar.style.width = `${100 * p}%`;
      return h("li", {}, h("span", { text: label }), h("span", { class: "prodrec-p" }, bar), h("b", { text: `${(100 * p).toFixed(p < 0.1 ? 1 : 0)} %` }));
    })));
  }

  drawTabs(view, moved) {
    const n = view.selection.n, which = `${n} ${view.selection.cards.map((c) => c.id).join(" ")}`;
    if (!n) this.tab = "answer";
    else if (which !== this.selected) this.tab = "selection";
    else if (moved) this.tab = "answer";
    this.selected = which;
    this.tabs.hidden = !n;
    const tab = (name, label) => h("button", { type: "button", role: "tab", "aria-selected": String(this.tab === name), text: label, onclick: () => { this.tab = name; this.drawTabs(view); this.drawLists(view); } });
    this.tabs.replaceChildren(tab("answer", view.asked ? "Recommended" : "All products"), tab("selection", `Selected on the map (${n.toLocaleString("en")})`),
      n ? h("button", { type: "button", class: "prodrec-clear", text: "Clear selection", onclick: () => this.send({ do: "select" }) }) : "");
  }

  drawLists(view) {
    const chosen = { name: null, note: null, cards: view.selection.cards, n: view.selection.n };
    this.shown = this.tab === "selection" ? [chosen] : view.lists;
    this.lists.dataset.n = String(this.shown.length);
    this.lists.classList.toggle("prodrec-compare", !!this.setup.compare && this.shown.length > 1);
    this.lists.replaceChildren(...this.shown.map((list) => this.list(list, view)));
  }

  list(list, view) {
    const cards = list.cards.flatMap((c) => [c, ...(this.unfolded.has(c.id) ? c.copies : [])]);
    const top = Math.max(1, ...list.cards.map((c) => c.score ?? 0));
    const both = list.cards.filter((c) => c.both).length;
    const parts = [...new Set(list.cards.flatMap((c) => Object.keys(c.parts ?? {})))];
    return h("div", { class: "prodrec-list" },
      list.name && h("h3", {}, h("span", { text: list.name }), this.setup.compare && list.cards.length ? h("small", { text: `${both} of ${list.cards.length} in both` }) : null),
      list.note && h("p", { class: "prodrec-note", text: list.note }),
      !list.cards.length && !list.note && h("p", { class: "prodrec-note", text: "No product matches. Lower the threshold, or take a filter away." }),
      parts.length > 1 && h("p", { class: "prodrec-parts" }, ...parts.map((p) => h("span", {}, h("i", { class: `prodrec-part prodrec-part-${p}` }), partName(p)))),
      h("ul", { class: "prodrec-grid" }, ...cards.map((c) => this.card(c, top, view))));
  }

  card(c, top, view) {
    const face = c.thumb ? h("img", { src: this.url(c.thumb), alt: "", draggable: false }) : h("span", { class: "prodrec-noface", text: "no picture" });
    const score = c.score === undefined ? null : c.score;
    const label = `${c.title}${c.facts ? `, ${c.facts}` : ""}${score === null ? "" : `, score ${score.toFixed(2)}`}. Show what is like it.`;
    const act = (name, label, icon_, pressed) => button(label, icon_, () => this.send({ do: name, id: c.id }), { class: `prodrec-act prodrec-act-${name}`, "aria-pressed": pressed });
    return h("li", { class: "prodrec-card", "data-id": c.id, "data-said": c.said, onmouseenter: () => this.point(c.at), onmouseleave: () => this.point(undefined), onfocusin: () => this.point(c.at), onfocusout: () => this.point(undefined) },
      h("button", { type: "button", class: "prodrec-face", "aria-label": label, title: c.title, onclick: () => this.send({ do: "ask", kind: "id", value: c.id }) }, face),
      score !== null && h("span", { class: "prodrec-score", text: score.toFixed(2), "aria-hidden": "true" }),
      h("span", { class: "prodrec-acts" },
        act("more", "More like this (+)", "up", String(c.said === "like")), act("less", "Less like this (-)", "down", String(c.said === "dislike")),
        view.asked && button("Add to the question", "plus", () => this.send({ do: "ask", kind: "id", value: c.id, add: true }), { class: "prodrec-act" })),
      h("div", { class: "prodrec-words" },
        h("div", { class: "prodrec-title", text: c.title }),
        c.facts && h("div", { class: "prodrec-facts", text: c.facts }),
        c.parts && this.bar(c, top),
        c.reason && h("div", { class: "prodrec-reason", text: c.reason }),
        c.both && h("span", { class: "prodrec-both", text: "in both" }),
        c.copies && h("button", { type: "button", class: "prodrec-copies", text: this.unfolded.has(c.id) ? "Fold copies" : `+ ${many(c.copies.length, "near copy", "near copies")}`, onclick: () => { this.unfolded.has(c.id) ? this.unfolded.delete(c.id) : this.unfolded.add(c.id); this.drawLists(view); } })));
  }

  bar(c, top) {
    const entries = Object.entries(c.parts).filter(([, v]) => v > 0);
    const words = Object.entries(c.parts).map(([p, v]) => `${partName(p)} ${v.toFixed(2)}`).join(", ");
    return h("div", { class: "prodrec-scorebar", role: "img", "aria-label": `Score ${c.score.toFixed(2)}: ${words}`, title: words }, ...entries.map(([p, v]) => {
      const part = h("i", { class: `prodrec-part prodrec-part-${p}` });
      part.style.width = `${(100 * v) / top}%`;
      return part;
    }));
  }

  point(at) {
    this.plane.over = at ?? undefined;
    if (!this.plane.node.hidden) this.plane.draw();
  }
}

export default {
  render({ model, el }) {
    const page = new Page(model, el);
    return () => page.close();
  },
};
