// The whole page: it draws what `_view` holds and sends back what is clicked. Nothing is fetched from anywhere.

import { Cards } from "./cards.js";
import { h, icon, rove, textButton } from "./dom.js";
import { Facets } from "./facets.js";
import { Plane } from "./map.js";
import { Customer, prediction, Question, statusWords, Tray, Views, Votes, Why } from "./panels.js";
import { Frame, shrink } from "./picture.js";
import { Search } from "./search.js";

const PATIENCE = 2000; // milliseconds until a silent kernel is talked about
const SILENT = "No answer yet. If another cell is running, the answer comes after it. If the kernel has stopped, restart it and run this cell again.";
const GONE = "The kernel does not answer. Restart it and run this cell again.";
const QUIET = ["find", "peek", "map", "names", "thumbs", "why", "csv"]; // asked for beside the answer

class Page {
  constructor(model, el) {
    Object.assign(this, { model, setup: model.get("_setup"), own: Math.random().toString(36).slice(2, 8), count: 0, waiting: new Map(), later: null, newest: null, tab: "answer" });
    this.send = this.send.bind(this);
    this.point = this.point.bind(this);
    this.pivot = (id) => this.send({ do: "ask", kind: "id", value: id });
    this.plane = new Plane(this.send, (at) => this.pivotAt(at));
    this.plane.onhover = (at) => this.mark(at);
    this.root = h("div", { class: "prodrec-browser", "data-lm-suppress-shortcuts": "true", "data-own": this.setup.own, "aria-label": "Product browser", role: "region" });
    this.build();
    el.append(this.root);
    this.onView = () => this.viewed(model.get("_view"));
    this.onSetup = () => { this.setup = model.get("_setup"); this.arrange(); this.onView(); };
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
    this.theme = new MutationObserver(() => this.plane.recolour());
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class", "data-vscode-theme-kind"] });
    this.onView();
  }

  close() {
    this.model.off("change:_view", this.onView);
    this.model.off("change:_setup", this.onSetup);
    this.model.off("msg:custom", this.onReply);
    this.theme.disconnect();
    this.fit.disconnect();
    this.plane.close();
    clearTimeout(this.slow);
    clearTimeout(this.search.typing);
  }

  // -- talking to the kernel

  send(content, buffers = []) {
    const waits = (what) => [...this.waiting.values()].includes(what);
    if (content.do === "steer" && waits("steer")) {
      // a slider moves faster than answers come: only where it ends is asked for
      this.later = { do: "steer", options: { ...this.later?.options, ...content.options } };
      return;
    }
    if (content.do === "ask" && !content.add && waits("ask")) {
      this.newest = content; // of several quick clicks the last one counts
      return;
    }
    const n = `${this.own}-${++this.count}`;
    this.waiting.set(n, content.do);
    this.busy();
    try {
      // a promise where the kernel is elsewhere: it must not fail unheard
      Promise.resolve(this.model.send({ ...content, n }, undefined, buffers)).catch(() => this.gone());
    } catch {
      this.gone();
    }
  }

  busy() {
    const busy = [...this.waiting.values()].some((what) => !QUIET.includes(what));
    this.root.setAttribute("aria-busy", String(busy));
    clearTimeout(this.slow);
    if (this.waiting.size) this.slow = setTimeout(() => this.say(SILENT), PATIENCE);
    else if (this.errorText.textContent === SILENT) this.say(null);
  }

  gone() {
    clearTimeout(this.slow);
    this.waiting.clear();
    this.root.setAttribute("aria-busy", "false");
    this.say(GONE);
  }

  done(n) {
    if (!this.waiting.delete(n)) return false;
    this.busy();
    const waits = (what) => [...this.waiting.values()].includes(what);
    if (this.newest && !waits("ask")) {
      const newest = this.newest;
      this.newest = null;
      this.send(newest);
    } else if (this.later && !waits("steer")) {
      const later = this.later;
      this.later = null;
      this.send(later);
    }
    return true;
  }

  viewed(view) {
    if (this.newest && this.waiting.get(view.n) === "ask") {
      this.newest.again = true; // this answer is never looked at, and is no step of the trail
      this.done(view.n);
    } else this.draw(view);
  }

  reply(reply, buffers) {
    const what = this.waiting.get(reply.n), mine = this.done(reply.n);
    if (reply.kind === "error" && mine) {
      this.say(reply.text);
      if (what === "ask") this.search.restore();
    } else if (reply.kind === "found" && mine) this.search.offer(reply, buffers);
    else if (reply.kind === "map") this.mapped(reply, buffers);
    else if (reply.kind === "names") this.plane.rename(reply);
    else if (reply.kind === "peek") this.plane.peek(reply, buffers);
    else if (reply.kind === "thumbs") this.plane.showFaces(reply, buffers);
    else if (reply.kind === "why" && mine) this.why.show(reply, buffers);
    else if (reply.kind === "csv" && mine) this.tray.download(reply.text);
    else if (mine && !QUIET.includes(what)) this.say(null);
  }

  // The points are painted before their names are asked for
  mapped(reply, buffers) {
    this.plane.load(reply, buffers);
    if (reply.column) requestAnimationFrame(() => setTimeout(() => this.send({ do: "names", column: reply.column })));
  }

  say(words) {
    this.error.hidden = !words;
    this.errorText.textContent = words ?? "";
    if (words && words !== SILENT) this.draw(this.model.get("_view")); // what was moved goes back to where it was
  }

  // -- what stays on the page

  build() {
    this.search = new Search(this);
    this.facets = new Facets(this.send, this.own);
    this.frame = new Frame(this.send);
    this.question = new Question(this.send);
    this.customer = new Customer(this.pivot);
    this.tray = new Tray(this.send);
    this.votes = new Votes(this.send);
    this.views = new Views(this.send);
    this.cards = new Cards(this);
    this.why = new Why((id) => (this.cards.node.querySelector(`.prodrec-card[data-id="${CSS.escape(id)}"] .prodrec-face`) ?? this.cards.faces()[0])?.focus());
    this.toggles = { steer: this.toggle("Filters", "steer", true), map: this.toggle("Map", "map", false), views: this.toggle("Views", "views", false), code: this.toggle("Code", "code", false) };
    this.tools = h("div", { class: "prodrec-tools", role: "toolbar", "aria-label": "Show" }, Object.values(this.toggles));
    this.settleTools = rove(this.tools, "button:not([hidden])");
    this.errorText = h("span");
    this.error = h("div", { class: "prodrec-error", role: "alert", hidden: true }, this.errorText, textButton("Dismiss", () => this.say(null), { class: "prodrec-link" }));
    this.status = h("div", { class: "prodrec-status", role: "status", "aria-live": "polite" });
    this.order = h("select", { "aria-label": "Sort by", onchange: () => this.send({ do: "sort", by: this.order.value }) });
    this.prediction = h("div", { class: "prodrec-prediction", hidden: true });
    this.tabs = h("div", { class: "prodrec-tabs", role: "tablist", "aria-label": "Lists" });
    this.settleTabs = rove(this.tabs, "[role=tab]");
    this.pages = h("div", { class: "prodrec-pages" });
    this.tabrow = h("div", { class: "prodrec-tabrow", hidden: true }, this.tabs, this.pages);
    this.codeText = h("pre", { class: "prodrec-codetext", tabIndex: 0, role: "region", "aria-label": "Code for what is on the screen" });
    this.copied = textButton("Copy", () => this.copy(), { class: "prodrec-copy" });
    this.code = h("section", { class: "prodrec-code", "aria-label": "Code", hidden: true }, this.codeText, this.copied);
    const results = h("div", { class: "prodrec-results" }, this.customer.node, this.prediction, this.votes.node, this.tabrow, this.cards.node);
    this.answer = h("section", { class: "prodrec-answer", "aria-label": "Products" },
      h("div", { class: "prodrec-pair" }, this.frame.node, results), this.tray.node, this.why.node);
    this.root.append(
      h("div", { class: "prodrec-bar", "aria-hidden": "true" }),
      h("div", { class: "prodrec-top" }, this.search.node, this.tools),
      this.question.where, this.question.chips, this.question.pills, this.error, this.views.node, this.code,
      h("div", { class: "prodrec-statusrow" }, this.status, this.order),
      h("div", { class: "prodrec-body" }, this.answer, this.facets.node, this.plane.node),
    );
    this.root.addEventListener("keydown", (e) => this.key(e));
    this.root.addEventListener("paste", (e) => { const f = [...(e.clipboardData?.files ?? [])][0]; if (f) { e.preventDefault(); this.upload(f); } });
    this.root.addEventListener("dragover", (e) => { e.preventDefault(); this.root.classList.add("prodrec-dropping"); });
    this.root.addEventListener("dragleave", (e) => this.root.contains(e.relatedTarget) || this.root.classList.remove("prodrec-dropping"));
    this.root.addEventListener("drop", (e) => { e.preventDefault(); this.root.classList.remove("prodrec-dropping"); const f = e.dataTransfer?.files[0]; if (f) this.upload(f); });
    this.arrange();
  }

  // What depends on the catalogue
  arrange() {
    const { setup } = this;
    this.facets.build(setup);
    this.toggles.map.hidden = !setup.map; // no map, no button
    this.settleTools();
    this.plane.columns(setup.map?.columns ?? []);
    this.order.replaceChildren(...setup.sorts.map((s) => h("option", { value: s.name, text: s.label })));
    this.order.hidden = setup.sorts.length < 2;
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
    if (name === "views") { this.views.node.hidden = !on; if (on) this.views.input.focus(); }
    if (name !== "map") return;
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

  async upload(file) {
    this.root.setAttribute("aria-busy", "true");
    const data = await shrink(file);
    this.send({ do: "upload", name: file.name || "pasted picture", size: file.size }, [data.buffer]);
  }

  pivotAt(at) {
    const known = this.plane.peeked.get(at);
    this.send(known ? { do: "ask", kind: "id", value: known.id } : { do: "ask", kind: "at", value: at });
  }

  key(e) {
    e.stopPropagation(); // the notebook has other plans with most keys
    const typing = /^(SELECT|TEXTAREA)$/.test(e.target.tagName) || (e.target.tagName === "INPUT" && !/^(checkbox|range)$/.test(e.target.type));
    if (typing || e.ctrlKey || e.metaKey || e.altKey) return;
    const sides = { 1: "left", 2: "right", 0: "tie" };
    if (e.key === "Backspace") { if (!this.question.backButton.hidden) this.send({ do: "back" }); }
    else if (this.votes.open && e.key in sides && e.target !== this.plane.canvas) this.send({ do: "vote", side: sides[e.key] });
    else if (!this.cards.key(e)) return;
    e.preventDefault();
  }

  // -- what an answer changes

  draw(view) {
    if (!view || !view.options) return;
    const moved = this.view && this.view !== view;
    this.view = view;
    const question = `${view.skipped} ${view.trail.join(" ")} ${view.selection.page}`;
    if (question !== this.asking) this.answer.scrollTop = 0; // a new question is read from its beginning
    this.asking = question;
    if (moved) { this.error.hidden = true; this.errorText.textContent = ""; }
    if (moved && view.asked) this.cards.unfolded.clear();
    this.question.draw(view);
    this.frame.show(view.question);
    this.customer.show(view);
    this.tray.show(view);
    this.views.show(view);
    this.votes.show(view, this.setup);
    this.facets.draw(view, !!this.later);
    this.prediction.hidden = !view.prediction.length;
    this.prediction.replaceChildren(...prediction(view.prediction));
    this.drawTabs(view, moved);
    this.drawLists();
    if (moved) this.why.hide();
    this.codeText.textContent = view.code;
    this.order.value = view.sort;
    const words = statusWords(view, this.setup);
    this.status.textContent = moved && this.status.textContent === words ? `${words}\u00a0` : words; // said again
    const places = view.lists.flatMap((list) => list.cards.map((c) => c.at));
    this.plane.hits = view.asked ? places : [];
    this.plane.asked = view.chips.flatMap((c) => (c.kind === "id" ? [c.place] : []));
    this.plane.light(view.lit);
    const at = view.selection.at;
    this.plane.picked = at.byteLength ? [...new Uint32Array(at.buffer.slice(at.byteOffset, at.byteOffset + at.byteLength))] : null;
    this.plane.draw();
    if (view.n) this.done(view.n);
  }

  drawTabs(view, moved) {
    const { n, page, pages } = view.selection, which = `${n} ${view.selection.at.byteLength} ${view.selection.cards[0]?.id ?? ""}`;
    if (!n) this.tab = "answer";
    else if (which !== this.selected || page !== this.page) this.tab = "selection";
    else if (moved && view.trail.length + view.skipped !== this.steps) this.tab = "answer";
    Object.assign(this, { selected: which, page, steps: view.trail.length + view.skipped });
    this.tabrow.hidden = !n;
    const tab = (name, label) => h("button", { type: "button", role: "tab", "aria-selected": String(this.tab === name), text: label, onclick: () => { this.tab = name; this.drawTabs(view); this.drawLists(); } });
    this.tabs.replaceChildren(tab("answer", view.asked ? "Recommended" : "All products"), tab("selection", `Selected on the map (${n.toLocaleString("en")})`));
    this.settleTabs(this.tabs.querySelector("[aria-selected=true]"));
    const turn = (to, label) => textButton(label, () => this.send({ do: "page", page: to }), { class: "prodrec-link", disabled: to < 0 || to >= pages });
    const turning = this.tab === "selection" && pages > 1 ? [turn(page - 1, "Previous"), h("span", { text: `page ${page + 1} of ${pages.toLocaleString("en")}` }), turn(page + 1, "Next")] : [];
    this.pages.replaceChildren(...turning, textButton("Put all into the tray", () => this.send({ do: "pick", selection: true }), { class: "prodrec-link" }),
      textButton("Clear selection", () => this.send({ do: "select" }), { class: "prodrec-link" }));
  }

  drawLists() {
    const chosen = { name: null, note: null, cards: this.view.selection.cards, n: this.view.selection.n };
    const isSelection = this.tab === "selection";
    this.cards.draw(isSelection ? [chosen] : this.view.lists, this.view, isSelection);
  }

  // The card under the pointer is ringed on the map, and the point under the pointer is framed among the cards
  point(at, id = null) {
    if (this.setup.compare) this.cards.node.querySelectorAll(".prodrec-card").forEach((card) => card.classList.toggle("prodrec-marked", card.dataset.id === id)); // the same product on the other side
    this.plane.over = at ?? undefined;
    if (!this.plane.node.hidden) this.plane.draw();
  }

  mark(at) {
    const ids = this.cards.shown.flatMap((list) => list.cards).filter((c) => at !== undefined && c.at === at).map((c) => c.id);
    this.cards.node.querySelectorAll(".prodrec-card").forEach((card) => card.classList.toggle("prodrec-marked", ids.includes(card.dataset.id)));
  }
}

export default {
  render({ model, el }) {
    const page = new Page(model, el);
    return () => page.close();
  },
};
