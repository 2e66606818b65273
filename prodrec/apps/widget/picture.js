// A picture that somebody sends, made small before it travels; and the part of a picture that somebody asks with.

import { h, jpeg, textButton } from "./dom.js";

const SIDE = 512; // pixels: the longer side of a picture that is sent
const MAX_PIXELS = 40e6; // the kernel takes no more, so no more is decoded here
const RAW = 65536; // bytes of a file that is no picture: enough for the kernel to say what it is

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

// The question in a large picture. Dragging draws a frame; its part of the picture becomes the question.
export class Frame {
  constructor(send) {
    Object.assign(this, { send, box: null });
    this.image = h("img", { class: "prodrec-large", alt: "", draggable: "false" });
    this.frame = h("span", { class: "prodrec-frame", hidden: true });
    this.area = h("div", {
      class: "prodrec-cropping", tabIndex: 0, role: "group",
      "aria-label": "Part of the picture. Arrow keys move the frame, with Shift they change its size, Enter asks with it, Escape with the whole picture.",
    }, this.image, this.frame);
    this.title = h("b");
    this.facts = h("span", { class: "prodrec-hint" });
    this.hint = h("small", { class: "prodrec-hint", text: "Drag over the part that matters" });
    this.whole = textButton("Whole picture", () => this.ask(null), { class: "prodrec-link", hidden: true });
    this.node = h("section", { class: "prodrec-question", "aria-label": "Picture of the question", hidden: true },
      this.area, h("div", { class: "prodrec-questionwords" }, this.title, this.facts, this.hint, this.whole));
    this.listen();
  }

  show(question) {
    this.node.hidden = !question;
    if (!question) return;
    this.image.src = jpeg(question.picture);
    this.image.alt = question.title;
    this.title.textContent = question.title;
    this.facts.textContent = question.facts;
    this.box = question.crop;
    this.whole.hidden = !this.box;
    this.hint.hidden = !!this.box;
    this.draw();
  }

  draw() {
    this.frame.hidden = !this.box;
    if (!this.box) return;
    const [left, top, right, bottom] = this.box.map((v) => 100 * v);
    Object.assign(this.frame.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  }

  ask(box) {
    this.send({ do: "crop", box: box && box.map((v) => Math.round(v * 1000) / 1000) });
  }

  listen() {
    const clip = (v) => Math.max(0, Math.min(1, v));
    const at = (e) => { const b = this.image.getBoundingClientRect(); return [clip((e.clientX - b.left) / b.width), clip((e.clientY - b.top) / b.height)]; };
    let from = null, before = null;
    const large = () => this.box && this.box[2] - this.box[0] > 0.04 && this.box[3] - this.box[1] > 0.04;
    this.area.addEventListener("pointerdown", (e) => { from = at(e); before = this.box; this.area.setPointerCapture(e.pointerId); });
    this.area.addEventListener("pointermove", (e) => {
      if (!from) return;
      const [x, y] = at(e);
      this.box = [Math.min(from[0], x), Math.min(from[1], y), Math.max(from[0], x), Math.max(from[1], y)];
      this.draw();
    });
    this.area.addEventListener("pointerup", () => {
      if (!from) return;
      from = null;
      if (large() && this.box !== before) this.ask(this.box);
      else { this.box = before; this.draw(); }
    });
    this.area.addEventListener("pointercancel", () => { from = null; this.box = before; this.draw(); });
    this.area.addEventListener("keydown", (e) => {
      const step = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, -0.05], ArrowDown: [0, 0.05] }[e.key];
      if (e.key === "Enter" && this.box) this.ask(this.box);
      else if (e.key === "Escape" && this.box) this.ask(null);
      else if (step) {
        const [l, t, r, b] = this.box ?? [0.25, 0.25, 0.75, 0.75];
        if (e.shiftKey) this.box = [l, t, Math.max(l + 0.05, clip(r + step[0])), Math.max(t + 0.05, clip(b + step[1]))];
        else {
          const dx = Math.max(-l, Math.min(1 - r, step[0])), dy = Math.max(-t, Math.min(1 - b, step[1]));
          this.box = [l + dx, t + dy, r + dx, b + dy];
        }
        this.draw();
      } else return;
      e.preventDefault();
      e.stopPropagation();
    });
  }
}
