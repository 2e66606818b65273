// The page of `prodrec serve`: ask by picture, words or product, click a product to go on from it.
const $ = (id) => document.getElementById(id);
const make = (tag, text, cls) => Object.assign(document.createElement(tag), { textContent: text ?? "", className: cls ?? "" });
const LONGEST = 1024; // pixels: what is larger is shrunk before it is sent
let trail = [];
let asked = 0; // an answer that comes late is not shown over a newer one

function say(text, error = false) {
  $("message").textContent = text;
  $("message").classList.toggle("error", error);
}

async function fetched(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer.");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.detail || `The server answered ${response.status}.`);
  return body;
}

async function shrunk(file) {
  if (!["image/jpeg", "image/png", "image/webp"].includes(file.type)) throw new Error("This is no JPEG, PNG or WebP picture.");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error("This picture cannot be read.");
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

function where() {
  const chosen = {};
  for (const field of $("filters").querySelectorAll("[data-column]")) {
    const column = field.dataset.column;
    if (field.value === "") continue;
    if (field.dataset.end) (chosen[column] ??= {})[field.dataset.end] = field.type === "date" ? field.value : Number(field.value);
    else chosen[column] = [field.value];
  }
  return chosen;
}

// neither end is quite 0: a question that has words alone must still say something
function weights() {
  const words = $("filters").querySelector("#words")?.value;
  return words === undefined ? null : { image: 1 - words, text: Number(words) };
}

function weighing({ image, text }) {
  const label = make("label", "by looks … by words");
  const slider = Object.assign(make("input"), { id: "words", type: "range", min: 0.01, max: 0.99, step: 0.01, value: text / (image + text) });
  label.append(slider);
  return label;
}

async function ask(question, { remember = true } = {}) {
  const mine = ++asked;
  const form = new FormData();
  for (const kind of ["id", "text", "image"]) if (question[kind]) form.set(kind, question[kind]);
  form.set("k", "24");
  if (weights()) form.set("weights", JSON.stringify(weights()));
  if (Object.keys(where()).length) form.set("where", JSON.stringify(where()));
  say("Searching …");
  try {
    const answer = await fetched("recommend", { method: "POST", body: form });
    if (mine !== asked) return;
    if (remember) trail.push(question);
    show(answer.hits);
    showTrail();
    const found = answer.hits.length ? `${answer.hits.length} products, the most similar first.` : "No product matches these filters.";
    say(answer.note ? `${found} Note: ${answer.note}.` : found);
    await classify(question.image, mine);
  } catch (e) {
    if (mine === asked) say(e.message, true);
  }
}

async function classify(image, mine) {
  $("classes").hidden = true;
  if (!image || !$("classes").dataset.known) return;
  const form = new FormData();
  form.set("image", image);
  const { classes } = await fetched("classify", { method: "POST", body: form });
  if (mine !== asked) return;
  $("classes").replaceChildren(...classes.map(({ label, probability }) => {
    const row = make("div", "", "class");
    const bar = Object.assign(make("meter"), { value: probability });
    bar.setAttribute("aria-label", `${label}, ${Math.round(probability * 100)} percent`);
    row.append(make("span", label), bar, make("span", `${(probability * 100).toFixed(0)} %`));
    return row;
  }));
  $("classes").hidden = false;
}

function show(hits) {
  $("hits").replaceChildren(...hits.map((hit) => {
    const card = Object.assign(make("button", "", "hit"), { type: "button" });
    const frame = make("span", "", "frame");
    const picture = Object.assign(make("img"), { alt: "", loading: "lazy", src: `products/${encodeURIComponent(hit.id)}/picture` });
    picture.onerror = () => frame.replaceChildren(make("span", "no picture"));
    frame.append(picture);
    const facts = make("span", "", "facts");
    const price = hit.price == null ? "" : hit.price.toFixed(2);
    const bar = Object.assign(make("meter"), { value: Math.max(0, hit.score) });
    bar.setAttribute("aria-label", `similarity ${hit.score.toFixed(2)}`);
    facts.append(make("strong", hit.title || hit.id), make("small", [hit.category, price].filter(Boolean).join(" · ")), bar, make("small", hit.reason));
    card.append(frame, facts);
    card.onclick = () => { scrollTo({ top: 0 }); ask({ id: hit.id, name: hit.title || hit.id }); };
    return card;
  }));
}

function showTrail() {
  $("trail").replaceChildren(...trail.map((question, n) => {
    const step = Object.assign(make("button", question.name), { type: "button" });
    if (n === trail.length - 1) step.setAttribute("aria-current", "step");
    step.onclick = () => { trail = trail.slice(0, n + 1); ask(question, { remember: false }); };
    return step;
  }));
}

async function take(file) {
  if (!file) return;
  try {
    const image = await shrunk(file);
    $("shown").src = URL.createObjectURL(image);
    $("shown").hidden = false;
    $("drop-text").textContent = "Another picture";
    trail = [];
    await ask({ image, name: file.name || "a picture" });
  } catch (e) {
    say(e.message, true);
  }
}

$("file").onchange = () => take($("file").files[0]);
for (const name of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(name, (e) => { e.preventDefault(); $("drop").classList.toggle("over", name === "dragover"); });
}
$("drop").addEventListener("drop", (e) => take(e.dataTransfer.files[0]));
document.addEventListener("paste", (e) => { if (e.clipboardData.files[0]) take(e.clipboardData.files[0]); });
$("ask").onsubmit = (e) => {
  e.preventDefault();
  const text = $("text").value.trim();
  if (!text) return say("Say at least one word.", true);
  trail = [];
  ask({ text, name: text });
};

async function begin() {
  const { filters, classifies, weights: usual } = await fetched("filters");
  if (classifies) $("classes").dataset.known = "yes";
  $("filters").replaceChildren(...Object.entries(filters).map(([column, found]) => {
    const label = make("label", column);
    if (found.values) {
      const choice = make("select");
      choice.dataset.column = column;
      choice.append(new Option("any", ""), ...found.values.map((v) => new Option(v, v)));
      label.append(choice);
    } else {
      const range = make("span", "", "range");
      for (const [end, limit] of [["from", found.from], ["to", found.to]]) {
        const day = typeof limit === "string";
        const field = Object.assign(make("input"), day ? { type: "date", min: found.from, max: found.to }
          : { type: "number", step: "any", placeholder: `${end} ${limit.toFixed(0)}` });
        field.setAttribute("aria-label", `${column} ${end}`);
        Object.assign(field.dataset, { column, end });
        range.append(field);
      }
      label.append(range);
    }
    return label;
  }));
  if (usual.image && usual.text) $("filters").prepend(weighing(usual));
  $("filters").addEventListener("change", () => { if (trail.length) ask(trail.at(-1), { remember: false }); });
}
begin().catch((e) => say(e.message, true));
