// Nodes, icons, words, and the arrow keys within a group. Text comes to the page through textContent alone.

const SVG = "http://www.w3.org/2000/svg";
const PARTS = { image: "Picture", text: "Words", history: "History", user: "History" };
const ICONS = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20.5 20.5",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01",
  words: "M5 7V5h14v2M12 5v14M9 19h6",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4.5 20c1-4 4-5 7.500-5s6.500 1 7.500 5",
  map: "M4 4v16h16M9 15h.01M12 9h.01M16 13h.01M17 6h.01M8 11h.01",
  code: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  steer: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4",
  up: "M7 11v9H4v-9zM7 11l4-7c1.500 0 2.500 1 2.500 2.500V10H19c1 0 1.800 1 1.500 2l-1.800 7c-.2.600-.8 1-1.400 1H7",
  down: "M17 13V4h3v9zM17 13l-4 7c-1.500 0-2.500-1-2.500-2.500V14H5c-1 0-1.800-1-1.500-2l1.800-7c.2-.600.8-1 1.400-1H17",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  back: "M19 12H5M11 6l-6 6 6 6",
  next: "M5 12h14M13 6l6 6-6 6",
  lasso: "M12 4c5 0 8 2.500 8 5.500S16.500 15 12 15 4 12.500 4 9.500 7 4 12 4zM8 14.500c-1 2 0 4-2 5.500",
  move: "M12 3v18M3 12h18M12 3l-2 2M12 3l2 2M12 21l-2-2M12 21l2-2M3 12l2-2M3 12l2 2M21 12l-2-2M21 12l-2 2",
  whole: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  mark: "M4 12l5 5L20 6",
  tray: "M4 13v6h16v-6M4 13h5l1.500 2.500h3L15 13h5M4 13l2.500-8h11L20 13",
  views: "M7 4h10v16l-5-4-5 4z",
  why: "M9 9a3 3 0 1 1 4.500 2.600c-1 .6-1.500 1.200-1.500 2.400M12 17.500h.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
};

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(2).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

const DRAWN = new Map(); // a copy of an icon takes a third of the time of a new one

export function icon(name) {
  if (!DRAWN.has(name)) DRAWN.set(name, drawIcon(name));
  return DRAWN.get(name).cloneNode(true);
}

function drawIcon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export const button = (label, name, onclick, more = {}) =>
  h("button", { type: "button", "aria-label": label, title: label, onclick, ...more }, icon(name));
export const textButton = (text, onclick, more = {}) => h("button", { type: "button", text, onclick, ...more });
export const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
// The picture itself as an address: a `blob:` one costs a question to another process, a millisecond each
export const jpeg = (view) => {
  const bytes = bytesOf(view);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return `data:image/jpeg;base64,${btoa(text)}`;
};
const NUMBERS = new Intl.NumberFormat("en");
export const count = (n) => NUMBERS.format(n);
export const many = (n, one, some = `${one}s`) => `${count(n)} ${n === 1 ? one : some}`;
export const partName = (part) => PARTS[part] ?? part.charAt(0).toUpperCase() + part.slice(1);
export const isShown = (node) => node.getClientRects().length > 0;

// One stop of the Tab key for a whole group: the arrow keys move within it. Returns a function that is called when
// the group has other members.
export function rove(node, selector, arrows = true) {
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  let current = null;
  const items = () => [...node.querySelectorAll(selector)];
  const settle = (item) => {
    const all = items();
    // the attribute says enough, and does not make the page lay itself out between two changes
    current = all.includes(item) ? item : all.includes(current) ? current : (all.find((x) => !x.closest("[hidden]")) ?? all[0]);
    all.forEach((x) => (x.tabIndex = x === current ? 0 : -1));
  };
  node.addEventListener("focusin", (e) => { const item = e.target.closest?.(selector); if (item) settle(item); });
  if (arrows)
    node.addEventListener("keydown", (e) => {
      const item = e.target.closest?.(selector), step = steps[e.key];
      if (!item || step === undefined) return;
      const all = items().filter(isShown), next = all[Math.max(0, Math.min(all.length - 1, all.indexOf(item) + step))];
      e.preventDefault();
      e.stopPropagation();
      next?.focus();
    });
  return settle;
}
