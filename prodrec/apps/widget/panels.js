// What stands around the products: the trail, the question, the tray, the customer, votes, and the reasons for one card.

import { button, count, h, jpeg, many, partName, rove, textButton } from "./dom.js";

const KINDS = { id: "like", image: "picture", text: "words", user: "for", positive: "more like", negative: "less like", where: "only" };

function picture(bytes, alt) {
  if (!bytes?.byteLength) return h("span", { class: "prodrec-noface" });
  return h("img", { src: jpeg(bytes), alt, draggable: "false" });
}

// The steps that led here, and what is asked now, piece by piece
export class Question {
  constructor(send) {
    this.send = send;
    this.backButton = button("Back (Backspace)", "back", () => send({ do: "back" }), { class: "prodrec-back" });
    this.trail = h("ol", { class: "prodrec-trail", "aria-label": "Trail" });
    this.where = h("div", { class: "prodrec-where", role: "navigation", "aria-label": "Where you are" }, this.backButton, this.trail);
    this.chips = h("ul", { class: "prodrec-chips", "aria-label": "The question" });
    this.pills = h("ul", { class: "prodrec-chips prodrec-pills", "aria-label": "Filters that are set" });
    this.settle = [this.trail, this.chips, this.pills].map((node) => rove(node, "button"));
  }

  draw(view) {
    const last = view.trail.length - 1;
    this.backButton.hidden = last < 1 && !view.opinion;
    const step = (label, i) => (i === last ? h("span", { "aria-current": "step", text: label }) : textButton(label, () => this.send({ do: "back", to: i ? i + view.skipped : 0 }), { title: label }));
    const dots = view.skipped > 0 && h("li", { class: "prodrec-dots", text: "…", title: `${many(view.skipped, "step")} more` });
    const steps = view.trail.map((label, i) => h("li", {}, step(label, i)));
    this.trail.replaceChildren(...[steps[0], dots, ...steps.slice(1)].filter(Boolean));
    requestAnimationFrame(() => this.trail.lastChild?.scrollIntoView?.({ block: "nearest", inline: "nearest" }));
    const chip = (c) => h("li", { class: `prodrec-chip prodrec-chip-${c.kind}` }, c.thumb && picture(c.thumb, ""),
      h("small", { text: KINDS[c.kind] ?? c.kind }), h("span", { text: c.label }),
      button(`Remove ${c.label}`, "close", () => this.send({ do: "drop", kind: c.kind, at: c.at })));
    this.chips.replaceChildren(...view.chips.map(chip));
    this.chips.hidden = !view.chips.length;
    this.pills.replaceChildren(...view.filters.map((f) => h("li", { class: "prodrec-pill" }, h("span", { text: f.label }),
      button(`Remove the filter ${f.label}`, "close", () => this.send({ do: "drop", kind: "filter", at: f.column })))));
    this.pills.hidden = !view.filters.length;
    this.settle.forEach((settle) => settle());
  }
}

// A strip of small pictures: a customer's products, or the tray
class Strip {
  constructor(name, label) {
    this.title = h("p", { class: "prodrec-heading" });
    this.items = h("ul", { class: "prodrec-strip", "aria-label": label });
    this.buttons = h("div", { class: "prodrec-stripbuttons" });
    this.node = h("section", { class: `prodrec-${name}`, "aria-label": label, hidden: true }, h("div", { class: "prodrec-striphead" }, this.title, this.buttons), this.items);
    this.settle = rove(this.items, "button");
  }

  draw(title, cards, label, onclick) {
    this.node.hidden = !cards;
    if (!cards) return;
    this.title.textContent = title;
    this.items.replaceChildren(...cards.map((c) => h("li", {}, h("button", { type: "button", title: c.title, "aria-label": label(c), onclick: () => onclick(c) }, picture(c.thumb, c.title)))));
    this.settle();
  }
}

export class Customer extends Strip {
  constructor(pivot) {
    super("customer", "What the customer had");
    this.pivot = pivot;
  }

  show({ customer }) {
    const title = customer && (customer.n ? `${customer.name} had or liked ${many(customer.n, "product")}` : `Nothing is known of ${customer.name} yet: these products are popular`);
    this.draw(title, customer?.cards, (c) => `${c.title}. Show products like it.`, (c) => this.pivot(c.id));
  }
}

export class Tray extends Strip {
  constructor(send) {
    super("tray", "Tray");
    this.send = send;
    this.buttons.append(
      textButton("Like all of these", () => send({ do: "like_tray" }), { class: "prodrec-pillbutton" }),
      textButton("CSV", () => send({ do: "csv" }), { class: "prodrec-pillbutton", "aria-label": "Download the tray as CSV" }),
      textButton("Empty", () => send({ do: "pick", ids: this.cards.map((c) => c.id), put: false }), { class: "prodrec-link", "aria-label": "Empty the tray" }),
    );
  }

  show({ tray }) {
    this.cards = tray;
    this.draw(`${many(tray.length, "product")} in the tray, and in browser.tray`, tray.length ? tray : null, (c) => `Take ${c.title} out of the tray`, (c) => this.send({ do: "pick", ids: [c.id], put: false }));
  }

  download(text) {
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    h("a", { href: url, download: "tray.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}

// Views that were kept under a name
export class Views {
  constructor(send) {
    Object.assign(this, { send });
    this.list = h("ul", { class: "prodrec-chips", "aria-label": "Views that are kept" });
    this.settle = rove(this.list, "button");
    this.input = h("input", { type: "text", class: "prodrec-seek", maxlength: "40", autocomplete: "off", "aria-label": "Name of this view", placeholder: "Name of this view" });
    this.form = h("form", { class: "prodrec-keep", onsubmit: (e) => { e.preventDefault(); send({ do: "view", act: "keep", name: this.input.value.trim() || this.usual }); this.input.value = ""; } },
      this.input, h("button", { type: "submit", class: "prodrec-pillbutton", text: "Keep this view" }));
    this.node = h("section", { class: "prodrec-views", "aria-label": "Views", hidden: true }, this.form, this.list);
  }

  show({ views, trail }) {
    this.usual = trail[trail.length - 1];
    this.list.hidden = !views.length;
    this.list.replaceChildren(...views.map((name) => h("li", { class: "prodrec-pill" }, textButton(name, () => this.send({ do: "view", act: "show", name }), { class: "prodrec-viewname", title: `Show ${name}` }),
      button(`Forget the view ${name}`, "close", () => this.send({ do: "view", act: "forget", name })))));
    this.settle();
  }
}

// A vote between two answers that do not say who made them
export class Votes {
  constructor(send) {
    const side = (label, name, key) => textButton(label, () => send({ do: "vote", side: name }), { class: "prodrec-pillbutton", "aria-keyshortcuts": key });
    this.buttons = h("div", { class: "prodrec-votebuttons", role: "group", "aria-label": "Which side is better?" }, side("Left is better", "left", "1"), side("Neither", "tie", "0"), side("Right is better", "right", "2"));
    this.text = h("p", { class: "prodrec-votetext" });
    this.node = h("section", { class: "prodrec-votes", "aria-label": "Votes", hidden: true }, this.buttons, this.text);
  }

  show({ votes, asked }, setup) {
    this.open = votes.open;
    this.node.hidden = !setup.blind || !asked;
    this.buttons.hidden = !votes.open;
    const percent = (v) => Math.round(100 * v);
    this.text.textContent = votes.votes
      ? `${setup.labels[0]} won ${percent(votes.share)} % of ${many(votes.votes, "vote")} (95 % interval: ${percent(votes.low)} to ${percent(votes.high)} %)${votes.open ? "" : ". Ask another question to vote again."}`
      : "Which side is better? The names are shown after the vote.";
  }
}

// Why one product is recommended: the parts of its score, what it shares with the question, the heat on both pictures
export class Why {
  constructor(back) {
    this.back = back;
    this.body = h("div");
    this.closeButton = button("Close", "close", () => this.hide());
    this.title = h("p", { class: "prodrec-heading", id: `why-${Math.random().toString(36).slice(2)}` });
    this.node = h("section", { class: "prodrec-reasons", role: "dialog", "aria-labelledby": this.title.id, hidden: true, onkeydown: (e) => { if (e.key === "Escape") { e.stopPropagation(); this.hide(); } } },
      h("div", { class: "prodrec-striphead" }, this.title, this.closeButton), this.body);
  }

  show(reply, buffers) {
    this.id = reply.id;
    this.title.textContent = `Why ${reply.title}?`;
    const top = Math.max(reply.score, 1e-9), parts = Object.entries(reply.parts);
    const row = ([name, value]) => {
      const bar = h("i", { class: `prodrec-part prodrec-part-${name}` });
      bar.style.width = `${Math.max(0, Math.min(100, (100 * value) / top))}%`;
      return h("tr", {}, h("th", { scope: "row", text: partName(name) }), h("td", { text: value.toFixed(3) }), h("td", { class: "prodrec-whybar" }, bar));
    };
    const sum = h("tr", { class: "prodrec-sum" }, h("th", { scope: "row", text: "Score" }), h("td", { text: reply.score.toFixed(3) }), h("td"));
    const shared = reply.shared.length ? h("p", {}, h("b", { text: "In common: " }), reply.shared.map(([name, value]) => `${name} ${value}`).join(", ")) : null;
    const names = buffers.length > 1 ? [reply.asked, reply.title] : [reply.title];
    const heat = buffers.length ? h("div", { class: "prodrec-heat" }, buffers.map((b, i) => h("figure", {}, picture(b, `${names[i]}, warm where the two are alike`), h("figcaption", { text: names[i] })))) : null;
    const hint = buffers.length ? h("p", { class: "prodrec-hint", text: "Warm: where the network sees the likeness." }) : null;
    this.body.replaceChildren(...[h("table", {}, h("tbody", {}, parts.map(row), parts.length > 1 && sum)), shared, heat, hint].filter(Boolean));
    this.node.hidden = false;
    this.closeButton.focus();
  }

  hide() {
    if (this.node.hidden) return;
    const held = this.node.contains(document.activeElement);
    this.node.hidden = true;
    if (held) this.back(this.id);
  }
}

export function prediction(rows) {
  return [h("p", { class: "prodrec-heading", text: "The classifier sees" }), h("ul", {}, rows.map(({ label, p }) => {
    const bar = h("i");
    bar.style.width = `${100 * p}%`;
    return h("li", {}, h("span", { text: label }), h("span", { class: "prodrec-p" }, bar), h("b", { text: `${(100 * p).toFixed(p < 0.1 ? 1 : 0)} %` }));
  }))];
}

// What a screen reader says after each answer
export function statusWords(view, setup) {
  const n = view.lists.reduce((sum, l) => Math.max(sum, l.n), 0), filtered = Object.keys(view.where).length || view.filters.length || view.chips.some((c) => c.kind === "where");
  const of = filtered ? `${count(view.total)} of ${many(setup.n, "product")} match the filters` : many(setup.n, "product");
  if (!view.asked) return `${of} · click one to see products like it`;
  const asked = view.trail[view.trail.length - 1], about = asked === "All products" ? "" : ` for ${asked}`;
  const opinions = view.chips.filter((c) => c.kind === "positive" || c.kind === "negative").length;
  return `${n ? many(n, "recommendation") : "No recommendation"}${about}${opinions ? `, ${many(opinions, "opinion")}` : ""} · ${of}`;
}
