// The picture of the graph: boxes that say what is known of their tensors after a step.

class Picture {
  constructor(data, picture, choose) {
    this.data = data;
    const [w, h] = picture.size;
    this.size = [w, h];
    this.element = svg("svg", {viewBox: `0 0 ${w} ${h}`, width: w, height: h, role: "img",
        "aria-label": `The graph: ${picture.boxes.length} boxes (${picture.title}), ${picture.lines.length} lines between them. The list of steps below says the same in words.`});
    this.element.append(svg("defs", {}, svg("marker", {id: "tip", viewBox: "0 0 8 8", refX: 8, refY: 4,
        markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto"},
        svg("path", {d: "M0,0 L8,4 L0,8 z"}))));
    this.lines = picture.lines.map(([from, to, input, d]) => {
      const element = svg("path", {class: "line", d, "marker-end": "url(#tip)"});
      this.element.append(element);
      return {from, to, input, element};
    });
    this.boxes = picture.boxes.map(([x, y, bw, bh, label, tensors], i) => {
      const short = Array.from(label).length > 26 ? Array.from(label).slice(0, 25).join("") + "…" : label;
      const texts = [svg("text", {x: 9, y: 15, class: "name"}, short), svg("text", {x: 9, y: 30}, ""),
                     svg("text", {x: 9, y: 44, class: "of"}, "")];
      const element = svg("g", {class: "box", transform: `translate(${x} ${y})`},
          svg("title", {}, tensors > 1 ? `${label}: ${tensors} tensors` : label),
          svg("rect", {width: bw, height: bh, rx: 6}), ...texts);
      element.addEventListener("click", () => choose(this.members(i)));
      this.element.append(element);
      return {x, y, w: bw, h: bh, tensors, element, texts, label};
    });
    this.boxOf = new Map(data.nodes.map((node, i) => [node.id, picture.of[i]]));
    this.nodesOf = picture.boxes.map(() => []);
    for (const [node, box] of this.boxOf) if (box !== null) this.nodesOf[box].push(node);
  }

  members(box) { return this.nodesOf[box]; }

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
      const classes = ["box"];
      if (known.length > 0) classes.push("seen");
      if (back.length > 0) classes.push("back");
      if (now.has(i)) classes.push("now");
      box.element.setAttribute("class", classes.join(" "));
      box.element.dataset.phase = step.phase;
      if (box.tensors === 1) {
        const node = this.data.byId.get(nodes[0]), at = state[nodes[0]];
        box.texts[1].textContent = at.value !== null ? this.brief(at.value, node.shape) : node.shape;
        const gradient = at.grad !== null ? at.grad : at.upstream;
        box.texts[2].textContent = gradient === null ? "" : `dL ${this.brief(gradient, node.shape)}`;
      } else {
        box.texts[1].textContent = `${known.length} of ${box.tensors} known`;
        box.texts[2].textContent = back.length === 0 ? "" : `dL of ${back.length}`;
      }
    });
    const gone = new Set(step.through.map(([from, to, input]) =>
      `${this.boxOf.get(from)} ${this.boxOf.get(to)} ${input}`));
    const any = new Set(step.through.map(([from, to]) => `${this.boxOf.get(from)} ${this.boxOf.get(to)} -1`));
    for (const line of this.lines) {
      const key = `${line.from} ${line.to} ${line.input}`;
      const seen = this.nodesOf[line.to].some((node) => state[node].value !== null);
      line.element.setAttribute("class", `line${seen ? " seen" : ""}${gone.has(key) || any.has(key) ? ` now ${step.phase}` : ""}`);
    }
    this.current = [...now].filter((box) => box !== null && box !== undefined).map((box) => this.boxes[box]);
  }

  scale(by) {
    this.by = by;
    this.element.setAttribute("width", this.size[0] * by);
    this.element.setAttribute("height", this.size[1] * by);
  }

  // How many pairs of boxes lie over each other; for tests.
  overlaps() {
    let count = 0;
    this.boxes.forEach((a, i) => this.boxes.slice(i + 1).forEach((b) => {
      if (a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h) ++count;
    }));
    return count;
  }
}
