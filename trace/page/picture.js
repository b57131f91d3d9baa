// A picture of the graph: boxes that say what is known of their tensors after a step. A box of a
// group can be opened; then the page shows the picture in which a frame is around what it holds.

const kShown = 26;  // characters of a name

class Picture {
  // `act`: what choose(nodes), open(group, byDoubleClick) and close(group) do.
  constructor(data, picture, act) {
    this.data = data;
    this.act = act;
    const [w, h] = picture.size;
    this.size = [w, h];
    this.element = svg("svg", {viewBox: `0 0 ${w} ${h}`, width: w, height: h, role: "group",
        "aria-label": `The graph: ${picture.boxes.length} boxes, ${picture.lines.length} lines between them. Arrows up and down go from box to box. The list of steps below says the same in words.`});
    this.element.append(svg("defs", {}, svg("marker", {id: "tip", viewBox: "0 0 8 8", refX: 8, refY: 4,
        markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto"},
        svg("path", {d: "M0,0 L8,4 L0,8 z"}))));
    this.frames = picture.frames.filter(([, , fw]) => fw > 0).map((frame) => this.frame(frame));
    this.lines = picture.lines.map(([from, to, input, d]) => {
      const element = svg("path", {class: "line", d, "marker-end": "url(#tip)"});
      this.element.append(element);
      return {from, to, input, element};
    });
    this.boxes = picture.boxes.map((box, i) => this.box(box, i));
    const ofNode = new Map(), ofGroup = new Map();
    this.boxes.forEach(({node, group}, i) => group === null ? ofNode.set(node, i) : ofGroup.set(group, i));
    this.boxOf = new Map();
    this.nodesOf = this.boxes.map(() => []);
    for (const {id, group} of data.nodes) {
      let box = ofNode.get(id);
      for (let g = group; box === undefined && g !== null; g = data.groups[g].parent) box = ofGroup.get(g);
      if (box === undefined) continue;
      this.boxOf.set(id, box);
      this.nodesOf[box].push(id);
    }
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.stops = [...this.frames, ...this.boxes];
    if (this.stops.length > 0) this.stops[0].element.setAttribute("tabindex", 0);
  }

  handle(x, y, sign, act) {
    const handle = svg("g", {class: "handle", transform: `translate(${x} ${y})`, "aria-hidden": "true"},
        svg("rect", {width: 18, height: 18, rx: 4}), svg("text", {x: 9, y: 13.5}, sign));
    handle.addEventListener("click", (event) => { event.stopPropagation(); act(); });
    return handle;
  }

  // The end of a path says most.
  shorter(label) {
    const letters = Array.from(label);
    return letters.length > kShown ? "…" + letters.slice(1 - kShown).join("") : label;
  }

  frame([x, y, w, h, group]) {
    const {label, short} = this.data.groups[group];
    const close = () => this.act.close(group);
    const element = svg("g", {class: "frame", role: "button", tabindex: -1, "aria-expanded": "true",
        "aria-label": `${label}, open`}, svg("rect", {x, y, width: w, height: h, rx: 8}),
        svg("text", {x: x + 24, y: y + 14}, this.shorter(short)), this.handle(x + 1, y + 1, "−", close));
    this.element.append(element);
    return {element, label, press: close};
  }

  box([x, y, w, h, label, node, group], i) {
    const texts = [svg("text", {x: 9, y: 15, class: "name"}, this.shorter(label)), svg("text", {x: 9, y: 30}, ""),
                   svg("text", {x: 9, y: 44, class: "of"}, "")];
    const tensors = group === null ? 1 : this.data.groups[group].tensors;
    const whole = group === null ? this.data.byId.get(node).label : this.data.groups[group].label;
    const element = svg("g", {class: "box", role: "button", tabindex: -1, transform: `translate(${x} ${y})`},
        svg("title", {}, group === null ? whole : `${whole}: ${tensors} tensors`),
        svg("rect", {width: w, height: h, rx: 6}), ...texts);
    const opens = group !== null && this.data.pictureOf.has(group);
    const open = () => this.act.open(group);
    if (opens) {
      element.setAttribute("aria-expanded", "false");
      element.append(this.handle(w - 19, h - 19, "+", open));
      element.addEventListener("dblclick", () => this.act.open(group, true));
    }
    element.addEventListener("click", (event) => { if (event.detail < 2) this.act.choose(this.nodesOf[i]); });
    this.element.append(element);
    return {x, y, w, h, tensors, node, group, element, texts, label,
            press: opens ? open : () => this.act.choose(this.nodesOf[i])};
  }

  key(event) {
    const at = this.stops.findIndex(({element}) => element === event.target);
    if (at < 0) return;
    const by = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (by) this.focus(this.stops[Math.max(0, Math.min(this.stops.length - 1, at + by))]);
    else if (event.key === "Enter" || event.key === " ") this.stops[at].press();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // One of them is reached by Tab, the others by arrows.
  focus(stop) {
    this.stops.forEach(({element}) => element.setAttribute("tabindex", element === stop.element ? 0 : -1));
    stop.element.focus();
  }

  // A tensor of one number is written with it, another with its shape.
  brief(id, shape) {
    const numbers = this.data.numbers.get(id);
    if (numbers && numbers.whole && !numbers.text.includes(" ") && numbers.text !== "") return numbers.text;
    return numbers && numbers.bad > 0 ? `${shape} !!` : shape;
  }

  show(state, step) {
    const now = new Set(step.touched.map((node) => this.boxOf.get(node)));
    this.boxes.forEach((box, i) => {
      const nodes = this.nodesOf[i];
      const known = nodes.filter((node) => state[node].value !== null);
      const back = nodes.filter((node) => state[node].upstream !== null || state[node].grad !== null);
      const {classList} = box.element;
      classList.toggle("seen", known.length > 0);
      classList.toggle("back", back.length > 0);
      classList.toggle("now", now.has(i));
      box.element.dataset.phase = step.phase;
      if (box.group === null) {
        const node = this.data.byId.get(nodes[0]), at = state[nodes[0]];
        box.texts[1].textContent = at.value !== null ? this.brief(at.value, node.shape) : node.shape;
        const gradient = at.grad !== null ? at.grad : at.upstream;
        box.texts[2].textContent = gradient === null ? "" : `dL ${this.brief(gradient, node.shape)}`;
      } else {
        box.texts[1].textContent = `${known.length} of ${box.tensors} known`;
        box.texts[2].textContent = back.length === 0 ? "" : `dL of ${back.length}`;
      }
      box.element.setAttribute("aria-label", [box.label, ...box.texts.slice(1).map((text) => text.textContent),
          now.has(i) ? "this step" : ""].filter((text) => text !== "").join(", "));
    });
    const gone = this.keys(step.through);
    for (const line of this.lines) {
      const seen = this.nodesOf[line.to].some((node) => state[node].value !== null);
      const {classList} = line.element;
      classList.remove("now", "forward", "backward");
      classList.toggle("seen", seen);
      if (gone.has(`${line.from} ${line.to} ${line.input}`)) classList.add("now", step.phase);
    }
    this.current = [...now].filter((box) => box !== undefined).map((box) => this.boxes[box]);
  }

  // Lines between tensors, given as [from, to, input].
  keys(edges) {
    const keys = new Set();
    for (const [from, to, input] of edges) {
      const ends = `${this.boxOf.get(from)} ${this.boxOf.get(to)}`;
      keys.add(`${ends} ${input}`);
      keys.add(`${ends} -1`);
    }
    return keys;
  }

  // Marks what lies on ways: nodes, and the lines between them.
  mark(nodes, edges) {
    const boxes = new Set([...nodes].map((node) => this.boxOf.get(node)));
    const keys = this.keys(edges);
    this.boxes.forEach((box, i) => box.element.classList.toggle("way", boxes.has(i)));
    for (const {from, to, input, element} of this.lines) element.classList.toggle("way", keys.has(`${from} ${to} ${input}`));
  }

  scale(by) {
    this.by = by;
    this.element.setAttribute("width", this.size[0] * by);
    this.element.setAttribute("height", this.size[1] * by);
  }
}

// How often something in a picture lies where it should not: a box over another, what a frame holds
// outside of it, or something else inside; for tests.
function overlaps({boxes, frames}, data) {
  let count = 0;
  boxes.forEach(([x, y, w, h, , node, group], i) => {
    for (const [bx, by, bw, bh] of boxes.slice(i + 1))
      if (x < bx + bw && bx < x + w && y < by + bh && by < y + h) ++count;
    const held = new Set();
    for (let g = group === null ? data.byId.get(node).group : data.groups[group].parent; g !== null; g = data.groups[g].parent) held.add(g);
    for (const [fx, fy, fw, fh, frame] of frames) {
      const isWithin = fx <= x && x + w <= fx + fw && fy <= y && y + h <= fy + fh;
      const isOutside = x >= fx + fw || fx >= x + w || y >= fy + fh || fy >= y + h;
      if (fw > 0 && (held.has(frame) ? !isWithin : !isOutside)) ++count;
    }
  });
  return count;
}
