// Lists of cards. One Tab stop for all of them: arrows move, keys act on the product that has the focus.

import { button, h, isShown, jpeg, many, partName, textButton } from "./dom.js";

const KEYS = { "+": "like", "=": "like", "-": "dislike" };

export class Cards {
  constructor(page) {
    Object.assign(this, { page, unfolded: new Set(), shown: [], current: null });
    this.node = h("div", { class: "prodrec-lists" });
    this.node.addEventListener("focusin", (e) => {
      const face = e.target.closest?.(".prodrec-card")?.querySelector(".prodrec-face");
      if (face) this.settle(face);
    });
  }

  faces() { return [...this.node.querySelectorAll(".prodrec-face")]; }

  settle(face) {
    const all = this.faces();
    this.current = all.includes(face) ? face : all[0];
    all.forEach((f) => (f.tabIndex = f === this.current ? 0 : -1));
  }

  draw(lists, view, isSelection) {
    const active = document.activeElement;
    const held = this.node.contains(active) && active.closest?.(".prodrec-card")?.dataset.id;
    const place = held && active.classList.contains("prodrec-act") ? [...active.classList].find((c) => c.startsWith("prodrec-act-")) : "prodrec-face";
    Object.assign(this, { shown: lists, view, isSelection });
    this.node.dataset.n = String(lists.length);
    this.node.classList.toggle("prodrec-compare", !!this.page.setup.compare && lists.length > 1);
    this.node.replaceChildren(...lists.map((list, i) => this.list(list, i)));
    this.settle(null);
    if (held) {
      const same = this.node.querySelector(`.prodrec-card[data-id="${CSS.escape(held)}"]`) ?? this.node.querySelector(".prodrec-card");
      (same?.querySelector(`.${place}`) ?? same?.querySelector(".prodrec-face"))?.focus({ preventScroll: true });
    }
  }

  list(list, at) {
    const cards = list.cards.flatMap((c) => [c, ...(this.unfolded.has(c.id) ? c.copies ?? [] : [])]);
    const top = Math.max(1, ...list.cards.map((c) => c.score ?? 0));
    const both = list.cards.filter((c) => c.both).length;
    const parts = [...new Set(list.cards.flatMap((c) => Object.keys(c.parts ?? {})))];
    const side = this.page.setup.compare && list.cards.length && !this.view.votes.open && h("small", { text: `${both} of ${list.cards.length} in both` });
    return h("div", { class: "prodrec-list", "data-list": String(at) },
      list.name && h("h3", {}, h("span", { text: list.name }), side),
      list.note && h("p", { class: "prodrec-note", text: list.note }),
      !list.cards.length && !list.note && h("p", { class: "prodrec-note", text: "No product matches. Lower the threshold, or take a filter away." }),
      parts.length > 1 && h("p", { class: "prodrec-parts" }, parts.map((p) => h("span", {}, h("i", { class: `prodrec-part prodrec-part-${p}` }), partName(p)))),
      cards.length > 0 && h("ul", { class: "prodrec-grid", "aria-label": list.name ?? "Products" }, cards.map((c) => this.card(c, top, at))));
  }

  card(c, top, at) {
    const { send, point } = this.page;
    const face = c.thumb ? h("img", { src: jpeg(c.thumb), alt: c.title, draggable: "false" }) : h("span", { class: "prodrec-noface", text: "no picture" });
    const score = c.score ?? null, explained = score !== null && !this.isSelection && (at === 0 || this.page.setup.compare);
    const barred = score !== null && !this.isSelection;
    const label = `${c.title}${c.facts ? `, ${c.facts}` : ""}${score === null ? "" : `, score ${score.toFixed(2)}`}. Show products like it.`;
    const act = (name, text, picture, onclick, pressed) => button(`${text} ${c.title}`, picture, onclick, { class: `prodrec-act prodrec-act-${name}`, tabIndex: -1, title: text, "aria-pressed": pressed });
    const say = (event) => () => send({ do: "say", id: c.id, event });
    return h("li", { class: "prodrec-card", "data-id": c.id, "data-said": c.said, "data-tray": c.tray ? "true" : null,
        onmouseenter: () => point(c.at, c.id), onmouseleave: () => point(undefined), onfocusin: () => point(c.at, c.id), onfocusout: () => point(undefined) },
      h("button", { type: "button", class: "prodrec-face", "aria-label": label, title: c.title, "aria-keyshortcuts": "Enter + - ? t", onclick: () => this.page.pivot(c.id) }, face),
      score !== null && h("span", { class: "prodrec-score", text: score.toFixed(2), "aria-hidden": "true" }),
      h("span", { class: "prodrec-acts" },
        act("like", "More like", "up", say("like"), String(c.said === "like")),
        act("dislike", "Less like", "down", say("dislike"), String(c.said === "dislike")),
        act("tray", c.tray ? "Take out of the tray:" : "Put into the tray:", c.tray ? "mark" : "tray", () => this.pick(c), String(!!c.tray)),
        this.view.asked && act("add", "Add to the question:", "plus", () => send({ do: "ask", kind: "id", value: c.id, add: true }))),
      h("div", { class: "prodrec-words" },
        h("div", { class: "prodrec-title", text: c.title }),
        c.facts && h("div", { class: "prodrec-facts", text: c.facts }),
        barred && this.bar(c, top),
        c.reason && h("div", { class: "prodrec-reason" }, c.because && h("img", { src: jpeg(c.because), alt: "" }), h("span", { text: c.reason })),
        c.moved !== undefined && this.move(c, at),
        h("div", { class: "prodrec-more" },
          c.copies && textButton(this.unfolded.has(c.id) ? "Fold copies" : `+ ${many(c.copies.length, "copy", "copies")}`, () => this.unfold(c), { class: "prodrec-copies", tabIndex: -1 }),
          explained && textButton("Why?", () => this.why(c, at), { class: "prodrec-why", tabIndex: -1, "aria-label": `Why ${c.title}?` }))));
  }

  // How many places higher or lower this side puts the product
  move(c, at) {
    const other = this.page.setup.labels[1 - at], n = Math.abs(c.moved ?? 0);
    if (c.moved === null) return h("span", { class: "prodrec-both prodrec-only", text: "only here" });
    const words = n ? `${many(n, "place")} ${c.moved > 0 ? "higher" : "lower"}` : "same place";
    return h("span", { class: `prodrec-both${c.moved > 0 ? " prodrec-higher" : c.moved < 0 ? " prodrec-lower" : ""}`, title: n ? `${words} than ${other} puts it` : `${other} puts it at the same place` },
      h("b", { text: c.moved > 0 ? "▲ " : c.moved < 0 ? "▼ " : "= ", "aria-hidden": "true" }), words);
  }

  unfold(c) {
    this.unfolded.has(c.id) ? this.unfolded.delete(c.id) : this.unfolded.add(c.id);
    this.draw(this.shown, this.view, this.isSelection);
  }

  why(c, at) {
    this.page.send({ do: "why", id: c.id, second: !!this.page.setup.compare && at === 1 });
  }

  pick(c) { this.page.send({ do: "pick", ids: [c.id], put: !c.tray }); }

  bar(c, top) {
    const entries = Object.entries(c.parts).filter(([, v]) => v > 0);
    const words = Object.entries(c.parts).map(([p, v]) => `${partName(p)} ${v.toFixed(2)}`).join(", ");
    return h("div", { class: "prodrec-scorebar", role: "img", "aria-label": `Score ${c.score.toFixed(2)}: ${words}`, title: words }, entries.map(([p, v]) => {
      const part = h("i", { class: `prodrec-part prodrec-part-${p}` });
      part.style.width = `${(100 * v) / top}%`;
      return part;
    }));
  }

  // True where the key meant something
  key(e) {
    const card = e.target.closest?.(".prodrec-card");
    if (!card || !this.node.contains(card)) return false;
    const faces = this.faces().filter(isShown), at = faces.indexOf(card.querySelector(".prodrec-face"));
    const row = (f) => Math.round(f.getBoundingClientRect().top);
    const perRow = faces.filter((f) => row(f) === row(faces[at])).length || 1;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: perRow, ArrowUp: -perRow, Home: -at, End: faces.length - 1 - at };
    const list = card.closest(".prodrec-list"), n = Number(list.dataset.list);
    const data = this.shown[n]?.cards.flatMap((c) => [c, ...(c.copies ?? [])]).find((c) => c.id === card.dataset.id);
    if (e.key in steps) faces[at + steps[e.key]]?.focus();
    else if (KEYS[e.key]) this.page.send({ do: "say", id: card.dataset.id, event: KEYS[e.key] });
    else if (e.key === "t" && data) this.pick(data);
    else if (e.key === "?" && data && data.score !== undefined && data.score !== null) this.why(data, n);
    else return false;
    return true;
  }
}
