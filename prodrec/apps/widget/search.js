// The box: words, a product by its name, a customer, a path. It offers while somebody types.

import { h, icon, jpeg } from "./dom.js";

export class Search {
  constructor(page) {
    Object.assign(this, { page, asked: "", chosen: -1, options: [] });
    const own = page.own;
    this.input = h("input", {
      type: "text", class: "prodrec-input", role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", autocomplete: "off",
      "aria-controls": `found-${own}`, spellcheck: false, "aria-label": this.hint(), placeholder: this.hint(),
      oninput: () => this.typed(), onkeydown: (e) => this.key(e), onblur: () => setTimeout(() => this.close(), 150), onfocus: () => this.input.value && this.typed(),
    });
    this.found = h("ul", { class: "prodrec-found", role: "listbox", id: `found-${own}`, "aria-label": "What to ask", hidden: true });
    this.file = h("input", { type: "file", accept: "image/*,.jpg,.jpeg,.png,.webp", class: "prodrec-file", tabIndex: -1, "aria-label": "Picture file",
      onchange: () => { if (this.file.files[0]) page.upload(this.file.files[0]); this.file.value = ""; } });
    this.uploadButton = h("button", { type: "button", class: "prodrec-upload", "aria-label": "Upload a picture", title: "Ask with a picture: choose a file, drop it here, or paste it", onclick: () => this.file.click() }, icon("picture"), h("span", { text: "Upload a picture" }));
    this.node = h("form", { class: "prodrec-ask", role: "search", "aria-label": "Ask", onsubmit: (e) => { e.preventDefault(); this.take(this.chosen); } },
      icon("search"), this.input, this.uploadButton, this.file, this.found);
  }

  hint() {
    const { setup } = this.page, also = [setup.users && "a customer", setup.paths && "a path or URL"].filter(Boolean);
    return `Words, a product${also.length ? `, ${also.join(", ")}` : ""}`;
  }

  typed() {
    clearTimeout(this.typing);
    const text = this.input.value.trim();
    if (!text) return this.close();
    this.offer({ text, products: [], users: [] }, [], true);
    this.typing = setTimeout(() => this.page.send({ do: "find", text }), 120);
  }

  offer(reply, buffers, first = false) {
    const text = this.input.value.trim(), { setup } = this.page;
    if (reply.text !== text || !text) return;
    const place = setup.paths && /^(https?:\/\/|[.~]?\/|[a-z]:\\)|\.(jpe?g|png|webp|gif)$/i.test(text);
    const words = !place && (!Object.keys(setup.weights).length || setup.words !== false);
    this.options = [
      place && { kind: "image", value: text, icon: "picture", label: "Picture at", strong: text },
      words && { kind: "text", value: text, icon: "words", label: "Words", strong: text },
      ...reply.users.map((u) => ({ kind: "user", value: u, icon: "person", label: "Customer", strong: u })),
      ...reply.products.map((p, i) => ({ kind: "id", value: p.id, thumb: buffers[i], label: p.facts, strong: p.title })),
    ].filter(Boolean);
    if (first && !this.found.hidden && this.options.length) {
      // what was found for fewer letters stays until the new answer is there
      if (this.found.firstChild) this.found.firstChild.replaceWith(this.option(this.options[0], 0));
      return;
    }
    this.found.replaceChildren(...this.options.map((o, i) => this.option(o, i)));
    if (!this.options.length) this.found.replaceChildren(h("li", { class: "prodrec-nothing", role: "option", "aria-disabled": "true", text: "No product has this name." }));
    this.found.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.choose(Math.min(this.chosen, this.options.length - 1));
  }

  face(o) {
    if (o.icon) return icon(o.icon);
    if (!o.thumb?.byteLength) return h("span", { class: "prodrec-noface" });
    return h("img", { src: jpeg(o.thumb), alt: "" });
  }

  option(o, i) {
    const add = this.page.view?.asked && h("span", { class: "prodrec-add", title: "Add to the question (Shift+Enter)", onclick: (e) => { e.stopPropagation(); this.take(i, true); } }, icon("plus"));
    return h("li", { role: "option", id: `option-${this.page.own}-${i}`, "aria-selected": "false", onmousedown: (e) => e.preventDefault(), onclick: (e) => this.take(i, e.shiftKey) },
      this.face(o), h("span", { class: "prodrec-optiontext" }, h("b", { text: o.strong }), h("small", { text: o.label })), add);
  }

  choose(i) {
    this.chosen = i;
    [...this.found.children].forEach((li, j) => li.setAttribute("aria-selected", String(i === j)));
    if (i >= 0) { this.input.setAttribute("aria-activedescendant", `option-${this.page.own}-${i}`); this.found.children[i]?.scrollIntoView({ block: "nearest" }); }
    else this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    this.found.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.choose(-1);
  }

  take(i, add = false) {
    const option = this.options[Math.max(0, i)];
    if (!this.input.value.trim() || !option) return;
    clearTimeout(this.typing);
    this.asked = option.kind === "id" ? "" : this.input.value;
    this.page.send({ do: "ask", kind: option.kind, value: option.value, add });
    this.input.value = "";
    this.close();
  }

  // What could not be answered stands in the box again, to be mended
  restore() { if (this.asked && !this.input.value) this.input.value = this.asked; }

  key(e) {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (moves[e.key] && this.options.length) {
      e.preventDefault();
      this.choose((this.chosen + moves[e.key] + this.options.length) % this.options.length);
    } else if (e.key === "Enter") {
      e.preventDefault();
      this.take(this.chosen, e.shiftKey);
    } else if (e.key === "Escape") this.close();
  }
}
