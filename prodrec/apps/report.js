// What the page of a report does by itself: the errors of a cell, the product under the pointer.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];

function made(tag, name, ...inside) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...inside.filter((x) => x !== null && x !== undefined && x !== ""));
  return node;
}

function card(tag, product, ...lines) {
  const frame = made("span", "frame");
  if (product.picture) {
    const image = made("img");
    image.src = product.picture;
    image.alt = product.title;
    frame.append(image);
  } else frame.append("no picture");
  return made(tag, "card", frame, made("div", "", made("b", "", product.title), ...lines));
}

// -- the confusion matrix

const matrix = $(".matrix"), panel = $("#cell");

function told(i, j) {
  const names = data.classes;
  if (j === null) return `labelled ${names[i]} and taken for another class`;
  if (i === null) return `taken for ${names[j]} and labelled otherwise`;
  return `labelled ${names[i]} and taken for ${names[j]}`;
}

function open(button) {
  const number = (name) => (name in button.dataset ? Number(button.dataset[name]) : null);
  const i = number("true"), j = number("predicted");
  for (const b of all("button[aria-pressed]", matrix)) b.setAttribute("aria-pressed", b === button);
  const found = data.errors.filter((e) => (i === null || e.true === i) && (j === null || e.predicted === j));
  const n = Number(button.dataset.n), one = n === 1;
  const list = made("ul", "cards", ...found.map((e) => {
    const what = `${data.classes[e.true]}, taken for ${data.classes[e.predicted]}`;
    return card("li", e, made("span", "wrong", what), made("small", "", `${Math.round(100 * e.sure)} % sure`), made("small", "", e.id));
  }));
  const left = n > found.length ? made("p", "soft", `${n - found.length} more are not in this file.`) : null;
  panel.replaceChildren(made("h3", "", `${n} ${one ? "product" : "products"} ${told(i, j)}`), list, ...(left ? [left] : []));
  panel.scrollIntoView({ block: "nearest" });
}

if (matrix) {
  matrix.addEventListener("click", (e) => { const b = e.target.closest("button"); if (b) open(b); });
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const rows = [...matrix.rows].map((r) => [...r.cells].map((c) => $("button", c)));
  const buttons = rows.flat().filter(Boolean);
  buttons.forEach((b, n) => { b.tabIndex = n ? -1 : 0; });
  matrix.addEventListener("keydown", (e) => {
    const step = steps[e.key];
    if (!step || !e.target.matches("button")) return;
    e.preventDefault();
    let r = rows.findIndex((row) => row.includes(e.target)), c = rows[r].indexOf(e.target);
    do { r += step[0]; c += step[1]; } while (rows[r] && c >= 0 && c < rows[r].length && !rows[r][c]);
    rows[r]?.[c]?.focus();
  });
  matrix.addEventListener("focusin", (e) => {
    if (e.target.matches("button")) for (const b of buttons) b.tabIndex = b === e.target ? 0 : -1;
  });
}

// -- the map

const map = $(".map");
if (map) {
  const svg = $("svg", map), near = $("#near"), points = data.map, circles = all("circle", svg);
  const size = svg.viewBox.baseVal;
  let shown = -1;
  const isShown = (n) => !circles[n].classList.contains("faded");
  // The product with its picture, beside its point; -1 for none
  const show = (n) => {
    near.hidden = n < 0;
    if (n !== shown) {
      circles[shown]?.classList.remove("at");
      circles[n]?.classList.add("at");
      if (n >= 0) near.replaceChildren(...card("div", points[n], made("small", "", points[n].label)).childNodes);
      shown = n;
    }
    if (n < 0) return;
    const box = svg.getBoundingClientRect(), scale = box.width / size.width;
    near.style.left = `${Math.min(points[n].x * scale + 14, Math.max(0, box.width - 150))}px`;
    near.style.top = `${points[n].y * scale + 14}px`;
  };
  svg.addEventListener("pointermove", (e) => {
    const box = svg.getBoundingClientRect(), scale = size.width / box.width;
    const x = (e.clientX - box.left) * scale, y = (e.clientY - box.top) * scale;
    let best = -1, least = (24 * scale) ** 2;
    points.forEach((p, n) => {
      const d = (p.x - x) ** 2 + (p.y - y) ** 2;
      if (d < least && isShown(n)) [best, least] = [n, d];
    });
    show(best);
  });
  svg.addEventListener("pointerleave", () => show(-1));
  svg.addEventListener("blur", () => show(-1));
  svg.addEventListener("keydown", (e) => {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }, way = ways[e.key];
    if (e.key === "Escape") show(-1);
    if (!way) return;
    e.preventDefault();
    const from = points[shown] ?? { x: size.width / 2, y: size.height / 2 };
    let best = shown, least = Infinity;
    points.forEach((p, n) => { // the nearest one that lies more ahead than aside
      const ahead = (p.x - from.x) * way[0] + (p.y - from.y) * way[1], aside = Math.abs((p.x - from.x) * way[1]) + Math.abs((p.y - from.y) * way[0]);
      if (n !== shown && ahead > 0 && ahead >= aside && isShown(n) && ahead + 2 * aside < least) [best, least] = [n, ahead + 2 * aside];
    });
    show(best);
    if (best >= 0) $(".spoken", map).textContent = `${points[best].title}, ${points[best].label}`;
  });
  const chosen = all(".legend button", map);
  for (const b of chosen) {
    b.addEventListener("click", () => {
      const on = b.getAttribute("aria-pressed") !== "true";
      for (const other of chosen) other.setAttribute("aria-pressed", on && other === b);
      circles.forEach((c) => c.classList.toggle("faded", on && !c.classList.contains(b.dataset.colour)));
    });
  }
}

// -- the contents

const links = new Map(all("nav a").map((a) => [a.hash.slice(1), a]));
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    for (const a of links.values()) a.removeAttribute("aria-current");
    const a = links.get(target.id), bar = a.closest("ol");
    a.setAttribute("aria-current", "true");
    bar.scrollTo({ left: a.offsetLeft - bar.clientWidth / 3 });
  }
}, { rootMargin: "-20% 0px -75% 0px" });
for (const s of all("main section")) seen.observe(s);
