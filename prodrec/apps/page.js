// The page of `prodrec serve`. The address holds the question, so Back, Forward and a bookmark work.
import { words } from "./words.js";

const $ = (id) => document.getElementById(id);
const make = (tag, text, cls) => Object.assign(document.createElement(tag), { textContent: text ?? "", className: cls ?? "" });
const LONGEST = 1024; // pixels: what is larger is shrunk before it is sent
const PAGE = 24; // products at once
const pictures = new Map(); // those that were chosen here, by their number in the address
let facts = { filters: {}, kinds: ["text"], weights: {}, shop: {} };
let dictionary = words.en;
let asked = 0; // an answer that comes late is not shown over a newer one
let trail = [];
const counted = {}, placed = {}; // column → shows new counts; moves the handles to where the ends are

// -- words, money, likes

const say = (name, values = {}) => Object.entries(values).reduce((text, [k, v]) => text.replace(`{${k}}`, v), dictionary[name] ?? name);
const counting = (n) => n.toLocaleString(facts.shop.language || "en");
const listed = (words) => new Intl.ListFormat(facts.shop.language || "en", { type: "conjunction" }).format(words);
const named = (column) => dictionary[column] ?? column.replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase());

function money(value) {
  if (value == null) return "";
  const { currency, language } = facts.shop;
  const style = currency ? { style: "currency", currency } : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return new Intl.NumberFormat(language || "en", style).format(value);
}

function liked() {
  try {
    return JSON.parse(localStorage.getItem("prodrec-likes") ?? "[]");
  } catch {
    return [];
  }
}

function like(id, on) {
  const others = liked().filter((other) => other !== id);
  localStorage.setItem("prodrec-likes", JSON.stringify(on ? [...others, id].slice(-100) : others));
  showLikes();
}

function showLikes() {
  $("likes").textContent = `♥ ${say("likes", { n: liked().length })}`;
  for (const heart of document.querySelectorAll(".heart")) beat(heart, liked().includes(heart.dataset.id));
}

function beat(heart, on) {
  heart.textContent = on ? "♥" : "♡";
  heart.setAttribute("aria-pressed", on);
}

function tell(text, error = false) {
  $("message").textContent = text;
  $("message").classList.toggle("error", error);
}

// -- asking

class Trouble extends Error {
  constructor(code) { super(dictionary.errors[code] ?? dictionary.errors.other); this.code = code; }
}

async function fetched(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Trouble("offline");
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const code = /known word/.test(body.detail ?? "") ? "unknown_words" : body.code;
  throw new Trouble(code);
}

async function shrunk(file) {
  if (!["image/jpeg", "image/png", "image/webp"].includes(file.type)) throw new Trouble("unsupported");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Trouble("unreadable");
  }
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = make("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
}

// The question in the address: {id, text, picture, likes, where, words, name}
function question() {
  const given = Object.fromEntries(new URLSearchParams(location.search));
  try {
    given.where = JSON.parse(given.where ?? "{}");
  } catch {
    given.where = {};
  }
  return given;
}

function address(question) {
  const { where = {}, ...rest } = question;
  const given = new URLSearchParams(Object.entries(rest).filter(([, v]) => v));
  if (Object.keys(where).length) given.set("where", JSON.stringify(where));
  const text = given.toString();
  return text ? `?${text}` : "./";
}

function go(question, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"]({}, "", address(question));
  return show();
}

function form({ id, text, picture, likes, where, words: share }, offset) {
  const sent = new FormData();
  if (id) sent.set("id", id);
  if (text) sent.set("text", text);
  if (picture) sent.set("image", pictures.get(picture));
  if (likes) for (const one of liked()) sent.append("positive", one);
  if (!id && !text && !picture && !likes) sent.set("user", "visitor");
  if (share) sent.set("weights", JSON.stringify({ image: 1 - share, text: Number(share) }));
  if (Object.keys(where).length) sent.set("where", JSON.stringify(where));
  sent.set("k", PAGE);
  if (offset) sent.set("offset", offset);
  return sent;
}

let current; // the question that is shown, as in the address

async function show(offset = 0) {
  const mine = ++asked;
  const now = question();
  if (now.picture && !pictures.has(now.picture)) return go({ where: now.where }, { replace: true }); // of another visit
  const isStart = !(now.id || now.text || now.picture || now.likes || Object.keys(now.where).length);
  if (!offset) {
    current = location.search;
    $("text").value = now.text ?? "";
    showFilters(now);
    $("start").hidden = !isStart;
    $("together").hidden = true;
    $("shown").hidden = !(now.id || now.picture);
    $("more").hidden = true;
    $("hits").classList.toggle("mosaic", isStart);
  }
  try {
    if (isStart) return await showStart(mine);
    if (now.likes && !liked().length) {
      showTrail(now);
      $("hits").replaceChildren();
      return tell(say("no_likes"));
    }
    if (!offset) tell(say("searching"));
    const answer = await fetched("recommend", { method: "POST", body: form(now, offset) });
    if (mine !== asked) return;
    const cards = answer.hits.map(card);
    offset ? $("hits").append(...cards) : $("hits").replaceChildren(...cards);
    $("heading").hidden = false;
    $("heading").textContent = say(now.likes ? "for_likes" : now.id || now.picture || now.text ? "similar" : "popular");
    const n = $("hits").children.length;
    $("more").hidden = answer.hits.length < PAGE || n > 170;
    tell(n > 1 ? say("found", { n }) : n ? say("one") : `${say("none")} ${Object.keys(now.where).length ? say("loosen") : ""}`);
    if (!offset) await showChoice(now, mine);
  } catch (e) {
    if (mine !== asked) return;
    if (!(e instanceof Trouble)) console.error(e);
    showTrail(now);
    tell(e instanceof Trouble ? e.message : dictionary.errors.other, true);
    if (!offset) await showOthers(now, mine, e.code === "unknown_words");
  }
}

// Words that nobody knows lead to other products, under the filters that are set, and not to an empty page
async function showOthers(now, mine, some) {
  const { hits } = some ? await fetched("recommend", { method: "POST", body: form({ where: now.where }) }).catch(() => ({ hits: [] })) : { hits: [] };
  if (mine !== asked) return;
  $("heading").hidden = !hits.length;
  $("heading").textContent = say("popular");
  $("hits").replaceChildren(...hits.map(card));
}

// -- the first screen

async function showStart(mine) {
  tell("");
  showTrail({});
  const { products, examples } = await fetched("start");
  if (mine !== asked) return;
  $("examples").replaceChildren(...examples.map((text) => Object.assign(make("a", text, "button plain"), { href: address({ text }) })));
  $("start").hidden = !examples.length;
  $("heading").hidden = false;
  $("heading").textContent = say("popular");
  $("hits").replaceChildren(...products.map(card));
}

// -- what was chosen, large, beside what is like it

async function showChoice(now, mine) {
  let name = now.text || say(now.likes ? "for_likes" : now.picture ? "my_picture" : "filters");
  if (now.id) {
    const product = await fetched(`products/${encodeURIComponent(now.id)}`);
    if (mine !== asked) return;
    name = product.title || now.id;
    const about = make("dl");
    for (const [column, value] of Object.entries(product)) {
      if (["id", "title", "description", "price", "added"].includes(column) || value == null || String(value).length > 60) continue;
      about.append(make("dt", named(column)), make("dd", String(value)));
    }
    const text = make("div", "", "about");
    text.append(make("h2", name), make("p", money(product.price), "price"), heart(now.id, name), make("p", (product.description ?? "").slice(0, 300)), about);
    $("shown").replaceChildren(frame(now.id, name), text);
    if (facts.complements) showTogether(now.id, mine);
  } else if (now.picture) {
    const picture = make("span", "", "frame");
    picture.append(Object.assign(make("img"), { alt: name, src: URL.createObjectURL(pictures.get(now.picture)) }));
    const text = make("div", "", "about");
    text.append(make("h2", name));
    $("shown").replaceChildren(picture, text);
    if (facts.classifies) showClasses(pictures.get(now.picture), text, mine);
  }
  showTrail({ ...now, name });
  document.title = `${name} – ${$("home").textContent}`;
}

async function showTogether(id, mine) {
  const { hits } = await fetched(`products/${encodeURIComponent(id)}/complements?k=8`).catch(() => ({ hits: [] }));
  if (mine !== asked || !hits.length) return;
  $("together").querySelector("ul").replaceChildren(...hits.map(card));
  $("together").hidden = false;
}

async function showClasses(image, place, mine) {
  const sent = new FormData();
  sent.set("image", image);
  const { classes } = await fetched("classify", { method: "POST", body: sent }).catch(() => ({ classes: [] }));
  if (mine !== asked) return;
  place.append(make("h3", say("shows")), ...classes.map(({ label, probability }) => {
    const row = make("div", "", "class");
    const bar = Object.assign(make("meter"), { value: probability });
    bar.setAttribute("aria-label", `${label}, ${Math.round(probability * 100)} %`);
    row.append(make("span", label), bar, make("span", `${Math.round(probability * 100)} %`));
    return row;
  }));
}

// -- cards

function frame(id, alt) {
  const found = make("span", "", "frame");
  const picture = Object.assign(make("img"), { alt, loading: "lazy", src: `products/${encodeURIComponent(id)}/picture` });
  picture.onerror = () => found.replaceChildren(make("span", say("no_picture")));
  found.append(picture);
  return found;
}

function heart(id, name) {
  const button = Object.assign(make("button", "", "heart"), { type: "button" });
  button.dataset.id = id;
  button.setAttribute("aria-label", `${say("like")}: ${name}`);
  beat(button, liked().includes(id));
  button.onclick = () => like(id, button.getAttribute("aria-pressed") !== "true");
  return button;
}

function card(hit) {
  const item = make("li", "", "hit");
  const link = Object.assign(make("a"), { href: address({ id: hit.id, where: question().where }) });
  const text = make("span", "", "facts");
  text.append(make("strong", hit.title || hit.id), make("small", [hit.category, money(hit.price)].filter(Boolean).join(" · ")));
  const same = (/same ([^;]+)/.exec(hit.reason ?? "")?.[1] ?? "").split(", ").filter((c) => c && c !== "category").slice(0, 3);
  const parts = ["image", "text", "history"].filter((part) => hit[part] > 0.01).sort((a, b) => hit[b] - hit[a]);
  const shared = same.length ? say("same", { names: listed(same.map((c) => named(c).toLocaleLowerCase())) }) : "";
  if (parts.length || shared) text.append(make("small", [parts.length && say(parts[0]), shared].filter(Boolean).join(", "), "why"));
  link.append(frame(hit.id, ""), text);
  item.append(link, heart(hit.id, hit.title || hit.id));
  return item;
}

// -- the way here

function showTrail(now) {
  const here = address({ ...now, name: undefined });
  const at = trail.findIndex((step) => step.href === here);
  trail = here === "./" ? [] : at >= 0 ? trail.slice(0, at + 1) : [...trail, { href: here, name: now.name || now.text || say("filters") }].slice(-6);
  $("trail").replaceChildren(...trail.map((step, n) => {
    const link = Object.assign(make("a", step.name), { href: step.href });
    if (n === trail.length - 1) link.setAttribute("aria-current", "page");
    return link;
  }));
  if (here === "./") document.title = $("home").textContent;
}

// -- filters

function showFilters(now) {
  for (const box of $("filters").querySelectorAll("input[type=checkbox]")) box.checked = [now.where[box.dataset.column] ?? []].flat().includes(box.value);
  for (const field of $("filters").querySelectorAll("[data-end]")) field.value = now.where[field.dataset.column]?.[field.dataset.end] ?? "";
  for (const place of Object.values(placed)) place();
  recount(now.where).catch(() => { countedFor = null; }); // the products are what was asked for: what is wrong is said beside them
  const slider = $("share");
  if (slider) slider.value = now.words || slider.dataset.usual;
  showChips(now);
  const n = Object.keys(now.where).length;
  $("open").textContent = n ? `${say("filters")} (${n})` : say("filters");
  $("clear").hidden = !n;
}

// One chip for each filter; pressed, it takes the filter away
function showChips(now) {
  const without = (column, value) => {
    const where = { ...now.where }, left = Array.isArray(where[column]) ? where[column].filter((v) => v !== value) : [];
    if (left.length) where[column] = left; else delete where[column];
    return where;
  };
  const span = (column, { from, to }) => {
    const words = (v) => (column === "price" ? money(v) : typeof v === "number" ? v.toLocaleString(facts.shop.language || "en") : v);
    return [from != null && `${say("from")} ${words(from)}`, to != null && `${say("to")} ${words(to)}`].filter(Boolean).join(" ");
  };
  const chips = Object.entries(now.where).flatMap(([column, wish]) => {
    const isRange = wish && typeof wish === "object" && !Array.isArray(wish);
    return (isRange ? [null] : [wish].flat()).map((value) => {
      const name = `${named(column)}: ${isRange ? span(column, wish) : value}`;
      const chip = Object.assign(make("button", `${name} ×`, "plain chip"), { type: "button" });
      chip.setAttribute("aria-label", say("remove", { name }));
      chip.onclick = () => go({ ...question(), where: without(column, value) });
      const item = make("li");
      item.append(chip);
      return item;
    });
  });
  $("chips").replaceChildren(...chips);
  $("chips").hidden = !chips.length;
}

function wanted() {
  const where = {};
  for (const box of $("filters").querySelectorAll("input[type=checkbox]:checked")) (where[box.dataset.column] ??= []).push(box.value);
  for (const field of $("filters").querySelectorAll("[data-end]")) {
    if (field.value === "") continue;
    (where[field.dataset.column] ??= {})[field.dataset.end] = field.type === "date" ? field.value : Number(field.value);
  }
  return where;
}

// Words: a bar for each, as long as its share of the most frequent one; a swatch where they are colours
function choices(column, { values, counts }) {
  const list = make("div", "", "choices"), are = (v) => CSS.supports("color", v);
  const colours = values.filter(are).length >= 0.6 * values.length;
  const rows = values.map((value) => {
    const label = make("label"), bar = make("i", "", "bar"), number = make("small");
    const box = Object.assign(make("input"), { type: "checkbox", value });
    box.dataset.column = column;
    const swatch = make("i", "", "swatch");
    swatch.style.background = are(value) ? value : "conic-gradient(red, gold, green, blue, red)";
    label.append(box, ...(colours ? [swatch] : []), make("span", value), number, bar);
    return { label, number, bar, box };
  });
  list.append(...rows.map((r) => r.label));
  counted[column] = (now) => {
    const found = new Map(now.values.map((v, n) => [v, now.counts[n]])), top = Math.max(1, ...now.counts);
    for (const { label, number, bar, box } of rows) {
      const n = found.get(box.value) ?? 0;
      number.textContent = counting(n);
      bar.style.width = `${(100 * n) / top}%`;
      label.classList.toggle("empty", !n && !box.checked);
    }
  };
  counted[column]({ values, counts });
  return list;
}

// Numbers and dates: a histogram with two handles, which stand between its bars, and the ends to type
function range(column, { from, to, edges, counts }) {
  const part = make("div", "", "range"), chart = make("div", "", "bars"), n = edges.length - 1;
  const few = n > 1 && edges[n] === edges[n - 1]; // a bar for each value, which lies at its left edge
  const isDate = typeof from === "string", at = (v) => (isDate ? Date.parse(v) : Number(v));
  const words = (v) => (column === "price" ? money(v) : isDate ? v : Number(v).toLocaleString(facts.shop.language || "en", { maximumFractionDigits: Math.abs(v) < 100 ? 2 : 0 }));
  const bars = counts.map(() => make("i"));
  const fields = ["from", "to"].map((end) => {
    const limit = end === "from" ? from : to;
    const field = Object.assign(make("input"), isDate ? { type: "date", min: from, max: to }
      : { type: "number", step: "any", placeholder: end === "from" ? Math.floor(limit) : Math.ceil(limit) });
    Object.assign(field.dataset, { column, end });
    return field;
  });
  const handles = ["from", "to"].map((end, side) => {
    const handle = Object.assign(make("input", "", "handle"), { type: "range", min: 0, max: n, step: 1, value: side ? n : 0 });
    handle.setAttribute("aria-label", `${named(column)}, ${say(end)}`);
    handle.oninput = () => {
      const [a, b] = places();
      if (a >= b) handle.value = side ? a + 1 : b - 1;
      fields[side].value = isOpen(side) ? "" : short(edge(side), side);
      shade();
    };
    return handle;
  });
  const places = () => handles.map((h) => Number(h.value));
  const isOpen = (side) => places()[side] === (side ? n : 0);
  const edge = (side) => edges[places()[side] - (side && few ? 1 : 0)];
  const short = (v, side) => { // four digits, and no product of the bar is left out
    const step = isDate || !v ? 0 : 10 ** (Math.floor(Math.log10(Math.abs(v))) - 3);
    return step ? Number((step * Math[side ? "ceil" : "floor"](v / step)).toPrecision(10)) : v;
  };
  const nearest = (v, side) => edges.slice(0, few ? -1 : undefined).reduce((best, e, i) => (Math.abs(at(e) - at(v)) < Math.abs(at(edges[best]) - at(v)) ? i : best), 0) + (side && few ? 1 : 0);
  const shade = () => {
    const [a, b] = places();
    bars.forEach((bar, i) => bar.classList.toggle("out", i < a || i >= b));
    handles.forEach((h, side) => h.setAttribute("aria-valuetext", words(isOpen(side) ? (side ? to : from) : edge(side))));
  };
  // typed ends move the handles, and handles fill in the ends
  placed[column] = () => {
    fields.forEach((field, side) => { handles[side].value = field.value === "" ? (side ? n : 0) : Math.max(side, Math.min(n - 1 + side, nearest(field.value, side))); });
    if (places()[0] >= places()[1]) handles[1].value = places()[0] + 1;
    shade();
  };
  counted[column] = (now) => {
    if (now.edges.length !== edges.length) return; // the products have changed since the page was opened
    const top = Math.max(1, ...now.counts);
    bars.forEach((bar, i) => {
      bar.style.height = `${(100 * now.counts[i]) / top}%`;
      bar.title = `${words(edges[i])} – ${words(edges[i + 1])}: ${counting(now.counts[i])}`;
    });
  };
  const ends = make("div", "", "ends"), both = make("div", "", "handles");
  ends.append(...fields.map((field, side) => {
    const label = make("label", say(side ? "to" : "from"));
    label.append(field);
    return label;
  }));
  chart.setAttribute("aria-hidden", "true");
  chart.append(...bars);
  both.append(...handles);
  part.append(chart, both, ends);
  counted[column]({ edges, counts });
  placed[column]();
  return part;
}

// How many products each filter would leave, under the filters of the other columns
const match = (n) => {
  $("matching").textContent = say("matching", { n: counting(n), total: counting(facts.products) });
  $("matching").hidden = n === facts.products;
};
let countedFor = "{}";
async function recount(where) {
  const wish = JSON.stringify(where);
  if (wish === countedFor) return;
  countedFor = wish;
  const { filters, matching } = await fetched(`filters?where=${encodeURIComponent(wish)}`);
  if (wish !== countedFor) return;
  match(matching);
  for (const [column, now] of Object.entries(filters)) counted[column]?.(now);
}

function makeFilters() {
  const clear = Object.assign(make("button", say("clear"), "plain"), { type: "button", id: "clear", hidden: true });
  clear.onclick = () => go({ ...question(), where: {} });
  const first = ["category", "price"], turn = ([column]) => (first.includes(column) ? first.indexOf(column) : first.length);
  const parts = Object.entries(facts.filters).sort((a, b) => turn(a) - turn(b)).map(([column, found], n) => {
    const part = Object.assign(make("details"), { open: n < 3 });
    part.append(make("summary", named(column)), found.values ? choices(column, found) : range(column, found));
    return part;
  });
  $("filters").replaceChildren(Object.assign(make("p"), { id: "matching" }), clear, ...parts);
  match(facts.matching);
  const { image, text } = facts.weights;
  if (image && text) { // neither end is quite 0: a question that has words alone must still say something
    const label = make("label", say("looks_words"), "share");
    const slider = Object.assign(make("input"), { id: "share", type: "range", min: 0.01, max: 0.99, step: 0.01, value: text / (image + text) });
    slider.dataset.usual = slider.value;
    label.append(slider);
    $("filters").append(label);
  }
  $("filters").onsubmit = (e) => e.preventDefault();
  $("filters").addEventListener("change", (e) => {
    const now = { ...question(), where: wanted() };
    go(e.target.id === "share" ? { ...now, words: e.target.value } : now);
  });
}

// On a phone the filters are a sheet, else they stand beside the products
const narrow = matchMedia("(max-width: 760px)");
function placeFilters() {
  if (!narrow.matches) $("sheet").close();
  $(narrow.matches ? "sheet-body" : "side").append($("filters"));
}

// -- events

async function take(file) {
  if (!file) return;
  try {
    const key = String(pictures.size + 1);
    pictures.set(key, await shrunk(file));
    await go({ picture: key, where: question().where });
  } catch (e) {
    tell(e instanceof Trouble ? e.message : dictionary.errors.other, true);
  }
}

for (const [button, input] of [["choose", "file"], ["camera", "photo"]]) {
  $(button).onclick = () => $(input).click();
  $(input).onchange = () => { take($(input).files[0]); };
}
for (const name of ["dragover", "drop"]) document.addEventListener(name, (e) => e.preventDefault());
document.addEventListener("drop", (e) => take(e.dataTransfer.files[0]));
document.addEventListener("paste", (e) => { if (e.clipboardData.files[0]) take(e.clipboardData.files[0]); });
document.addEventListener("click", (e) => {
  const link = e.target.closest("a[href]");
  if (!link || link.classList.contains("skip") || e.ctrlKey || e.metaKey || e.shiftKey || link.origin !== location.origin) return;
  e.preventDefault();
  history.pushState({}, "", link.href);
  scrollTo({ top: 0 });
  show();
});
$("ask").onsubmit = (e) => {
  e.preventDefault();
  const text = $("text").value.trim();
  if (!text) return tell(dictionary.errors.empty, true);
  go({ text, where: question().where });
};
$("more").onclick = () => show($("hits").children.length);
$("open").onclick = () => $("sheet").showModal();
// the link that skips to the products changes what follows #, and is no other question
addEventListener("popstate", () => location.search === current || show());
narrow.addEventListener("change", placeFilters);

async function begin() {
  facts = await fetched("filters");
  dictionary = words[facts.shop.language] ?? words.en;
  document.documentElement.lang = words[facts.shop.language] ? facts.shop.language : "en";
  for (const part of document.querySelectorAll("[data-word]")) part.textContent = say(part.dataset.word);
  for (const part of document.querySelectorAll("[data-label]")) part.setAttribute("aria-label", say(part.dataset.label));
  $("home").textContent = facts.shop.name || say("title");
  $("text").placeholder = say("placeholder");
  for (const id of ["choose", "camera"]) $(id).hidden = !facts.kinds.includes("image");
  makeFilters();
  placeFilters();
  showLikes();
  await show();
}
begin().catch((e) => tell(e.message, true));
