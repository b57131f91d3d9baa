// The page: controls, the state after a step, the list of steps.
//
// #s=17 is step 17, #selftest walks through all (walk.js).
// For tests: <html data-ready="1"> when all is drawn, data-errors the number of errors,
// data-overlaps the boxes that lie over each other, data-overflow how far the page is too wide.

const root = document.documentElement;
const kListed = 2000;  // steps whose texts are all put into the list at once

// What an event changes; the numbers stay those of the trace.
function replay(event, state) {
  switch (event[0]) {
    case "computed": state[event[1]].value = event[2]; break;
    case "seed": state[event[1]].upstream = event[4]; break;
    case "accumulation": state[event[1]][event[2] ? "grad" : "upstream"] = event[7]; break;
    case "zero_grad": for (const node of event[1]) state[node].grad = null; break;
    case "clip": for (const [node, , after] of event[1]) state[node].grad = after; break;
    case "update": state[event[1]].value = event[4]; break;
    case "change": state[event[1]][event[2]] = event[4]; break;
  }
}

// Nodes of an event, and the lines that it goes along: [from, to, input].
function touchedBy(event, byId, touched, through) {
  if (event[0] === "computed") {
    touched.push(event[1]);
    byId.get(event[1]).inputs.forEach((from, k) => { if (from !== null) through.push([from, event[1], k]); });
  } else if (event[0] === "contribution") {
    const to = byId.get(event[1]).inputs[event[2]];
    touched.push(event[1]);
    if (to !== null && to !== undefined) {
      touched.push(to);
      through.push([to, event[1], event[2]]);
    }
  } else if (event[0] === "zero_grad") {
    touched.push(...event[1]);
  } else if (event[0] === "clip") {
    touched.push(...event[1].map(([node]) => node));
  } else if (event[0] !== "training_step") {
    touched.push(event[1]);
  }
}

function read() {
  const data = JSON.parse(document.getElementById("data").textContent);
  data.nodes = data.nodes.map(([id, label, shape, leaf, grad, inputs, place, site, group]) =>
    ({id, label, shape, leaf, grad, inputs, place, site, group}));
  data.groups = data.groups.map(([label, parent, tensors], i, all) => {
    const before = parent === null ? "." : `${all[parent][0]}.`;
    return {label, parent, tensors, short: label.startsWith(before) ? label.slice(before.length) : label};
  });
  data.pictureOf = new Map(data.pictures.map((picture) => [picture.opened, picture]));
  data.byId = new Map(data.nodes.map((node) => [node.id, node]));
  data.numbers = new Map(data.numbers.map(([id, dtype, shape, text, bad, corner, about]) =>
    [id, {dtype, shape, text, bad, corner, about, whole: corner === undefined}]));
  data.steps.forEach((step, k) => {
    step.begin = k === 0 ? 0 : data.steps[k - 1].end;
    step.touched = [];
    step.through = [];
    for (let i = step.begin; i < step.end; ++i) touchedBy(data.events[i], data.byId, step.touched, step.through);
  });
  return data;
}

class Page {
  constructor(data) {
    this.data = data;
    this.at = -1;
    this.position = 0;
    this.clear();
    this.passes = new Passes(data);
    this.waysOf = null;  // the tensor whose ways are shown
    this.main = document.getElementById("page");
    this.card = html("section", {class: "card", "aria-live": "polite", "aria-label": "the step", tabindex: "0"});
    this.main.append(this.controls(), this.graph(), this.card, this.list());
    const header = this.main.querySelector("header");
    for (const note of data.notes) header.append(html("p", {class: "note"}, note));
    document.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("hashchange", () => this.follow());
  }

  clear() {
    this.state = [];
    for (const node of this.data.nodes) this.state[node.id] = {value: null, upstream: null, grad: null};
    this.position = 0;
  }

  // A state is what its events make of nothing: going back begins anew.
  replayTo(position) {
    if (position < this.position) this.clear();
    for (; this.position < position; ++this.position) replay(this.data.events[this.position], this.state);
  }

  go(k) {
    const steps = this.data.steps;
    k = Math.max(0, Math.min(steps.length - 1, k));
    if (k === this.at) return;
    this.at = k;
    const step = steps[k];
    this.replayTo(step.end);
    showCard(this.card, this.data, k);
    this.show();
    this.slider.value = k;
    this.slider.setAttribute("aria-valuetext", `step ${k}, ${step.phase}: ${step.title}`);
    this.where.textContent = `${k} of ${steps.length - 1}`;
    this.first.disabled = this.previous.disabled = k === 0;
    this.next.disabled = this.last.disabled = k === steps.length - 1;
    this.part.value = String(this.parts.filter(([from]) => from <= k).length - 1);
    this.items.forEach((item) => item.removeAttribute("aria-current"));
    if (this.items[k]) this.items[k].setAttribute("aria-current", "step");
    // Browsers refuse addresses that change faster than a person reads.
    clearTimeout(this.address);
    this.address = setTimeout(() => {
      if (location.hash !== `#s=${k}`) history.replaceState(null, "", `#s=${k}`);
    }, 150);
    root.dataset.step = k;
  }

  follow() {
    const match = /^#s=(\d+)$/.exec(location.hash);
    if (match) this.go(Number(match[1]));
  }

  button(text, name, act) {
    const button = html("button", {type: "button", "aria-label": name, title: name}, text);
    button.addEventListener("click", act);
    return button;
  }

  controls() {
    const {steps} = this.data;
    this.slider = html("input", {type: "range", min: 0, max: steps.length - 1, value: 0, "aria-label": "step"});
    this.slider.addEventListener("input", () => { this.stop(); this.go(Number(this.slider.value)); });
    this.where = html("span", {class: "where", role: "status"});
    this.first = this.button("|◀", "first step (Home)", () => this.go(0));
    this.previous = this.button("◀", "previous step (left arrow)", () => this.go(this.at - 1));
    this.play = this.button("Play", "play (space)", () => this.toggle());
    this.next = this.button("▶", "next step (right arrow)", () => this.go(this.at + 1));
    this.last = this.button("▶|", "last step (End)", () => this.go(steps.length - 1));
    // Where forward, backward and updates begin, and the steps of a training.
    this.parts = [];
    steps.forEach((step, k) => {
      const before = k > 0 ? steps[k - 1].phase : "";
      if (step.phase !== before && step.phase !== "change") this.parts.push([k, `${k}: ${step.phase === "training" ? step.title : step.phase}`]);
    });
    this.part = html("select", {"aria-label": "part of the run"}, ...this.parts.map(([, name], i) => html("option", {value: i}, name)));
    this.part.addEventListener("change", () => this.go(this.parts[Number(this.part.value)][0]));
    const element = html("nav", {class: "controls", "aria-label": "steps"}, this.first, this.previous, this.play,
        this.next, this.last, this.slider, this.where, this.part);
    const bad = steps.findIndex((step) => step.bad);
    if (bad >= 0) {
      const button = this.button(`!! NaN or infinite from step ${bad}`, `go to step ${bad}, the first with a number that is not finite`, () => this.go(bad));
      button.className = "bad";
      element.append(button);
      root.dataset.bad = bad;
    }
    return element;
  }

  graph() {
    const {pictureOf} = this.data;
    this.view = html("div", {class: "view", tabindex: "0", role: "group", "aria-label": "graph"});
    this.choice = html("select", {"aria-label": "what a box stands for"},
        html("option", {value: "every"}, "every tensor"), html("option", {value: "groups"}, "modules, to open"));
    this.choice.addEventListener("change", () => this.draw(this.choice.value === "every" ? null : 0));
    this.choice.hidden = pictureOf.size < 2 || !pictureOf.has(null);
    this.toStep = this.button("Open to this step", "open what this step lies in (o)", () => this.openToStep());
    this.way = html("span", {class: "way-in", role: "group", "aria-label": "open, from the outermost on"});
    this.waysButton = this.button("Ways to the loss", "all ways from this step's tensor to the loss (w)", () => this.toggleWays());
    this.ways = html("div", {class: "ways", role: "region", "aria-label": "ways to the loss", "aria-live": "polite", hidden: ""});
    const bar = html("div", {class: "bar"}, this.choice,
        this.button("+", "larger", () => this.zoom(this.picture.by * 1.25)),
        this.button("−", "smaller", () => this.zoom(this.picture.by / 1.25)),
        this.button("Fit", "the whole graph", () => this.fit()),
        this.button("◀ this one", "previous step of this tensor (p)", () => this.along(-1)),
        this.button("this one ▶", "next step of this tensor (n)", () => this.along(1)), this.waysButton, this.toStep, this.way);
    this.draw(pictureOf.has(null) ? null : 0);
    return html("section", {class: "graph", "aria-label": "graph"}, bar, this.view,
        html("p", {class: "note hint", style: "margin: 6px 0 0"},
             "Dashed: not reached yet. dL: a gradient has arrived. Thick: this step. !!: some number is not finite. A click on a box goes to its next step, or while ways are shown to its ways; + opens a box, as does a double click."),
        this.ways);
  }

  // The picture in which this group is open; none: that of every tensor.
  draw(opened, focused) {
    this.opened = opened;
    const {groups, pictureOf} = this.data;
    const parent = (group) => { this.draw(groups[group].parent, group); };
    this.picture = new Picture(this.data, pictureOf.get(opened), {
      choose: (nodes) => {
        this.before = this.at;
        if (this.waysOf !== null && nodes.length === 1) this.showWays(nodes[0]); else this.along(1, nodes);
      },
      // The first click of two has gone to another step.
      open: (group, isDouble) => { if (isDouble) this.go(this.before); this.draw(group, group); },
      close: parent});
    this.picture.scale(1);
    this.view.replaceChildren(this.picture.element);
    this.choice.value = opened === null ? "every" : "groups";
    const way = [];
    for (let group = opened; group !== null && groups[group].parent !== null; group = groups[group].parent)
      way.unshift(this.button(`${groups[group].short} ×`, `close ${groups[group].label}`, () => parent(group)));
    this.way.replaceChildren(...way);
    if (this.at >= 0) this.show();
    if (focused !== undefined) {
      const {stops} = this.picture;
      this.picture.focus(stops.find((stop) => stop.group === focused) || stops[0]);
    }
  }

  show() {
    const step = this.data.steps[this.at];
    this.picture.show(this.state, step);
    this.center();
    this.showWays(this.waysOf);
    this.toStep.hidden = this.opened === null || this.groupOf(step) === this.opened;
  }

  // Of the tensor to which a step brings a gradient, or which it is about.
  toggleWays() {
    const step = this.data.steps[this.at];
    const node = step.through.length === 1 && step.phase === "backward" ? step.through[0][0] : step.node;
    this.showWays(this.waysOf === null ? node : null);
  }

  showWays(node) {
    const pass = node === null ? undefined : this.passes.of(node, this.at);
    const {nodes, edges} = pass ? this.passes.between(pass, node) : {nodes: [], edges: []};
    this.picture.mark(nodes, edges);
    this.waysButton.setAttribute("aria-pressed", node !== null);
    if (node === this.waysOf && pass === this.waysIn) return;
    this.waysOf = node;
    this.waysIn = pass;
    this.ways.hidden = node === null;
    this.ways.replaceChildren(...(node === null ? [] : this.passes.told(node, pass)));
  }

  // The innermost group of a step that can be open.
  groupOf(step) {
    const node = step.node === null ? step.touched[0] : step.node;
    if (node === undefined) return this.opened;
    let {group} = this.data.byId.get(node);
    while (!this.data.pictureOf.has(group)) ({parent: group} = this.data.groups[group]);
    return group;
  }

  openToStep() {
    if (!this.toStep.hidden) this.draw(this.groupOf(this.data.steps[this.at]));
  }

  zoom(by) {
    this.picture.scale(Math.max(0.05, Math.min(3, by)));
    this.center();
  }

  fit() {
    const [w, h] = this.picture.size;
    this.zoom(Math.min(1, (this.view.clientWidth - 4) / w, Math.max(200, window.innerHeight * 0.65) / h));
  }

  // Before the next frame is drawn, and not at each of many steps within one: to know where a box is,
  // everything has to be laid out.
  center() {
    cancelAnimationFrame(this.centering);
    this.centering = requestAnimationFrame(() => this.scrollToStep());
  }

  scrollToStep() {
    const boxes = this.picture.current || [];
    if (boxes.length === 0) return;
    const by = this.picture.by, box = boxes[0];
    this.view.scrollTo((box.x + box.w / 2) * by - this.view.clientWidth / 2, (box.y + box.h / 2) * by - this.view.clientHeight / 2);
  }

  // To the next or previous step of some nodes: those of this step, or of a box.
  along(direction, nodes) {
    const step = this.data.steps[this.at];
    const wanted = new Set(nodes || (step.node === null ? step.touched : [step.node]));
    const {steps} = this.data;
    for (let i = 1; i <= steps.length; ++i) {
      const k = (this.at + direction * i + steps.length * 2) % steps.length;
      if (steps[k].touched.some((node) => wanted.has(node))) return this.go(k);
    }
  }

  list() {
    const {steps} = this.data;
    this.items = [];
    const list = html("ol", {role: "list"});
    const fill = () => {
      if (this.items.length > 0) return;
      this.items = steps.map((step, k) => html("li", {}, html("a", {href: `#s=${k}`}, `${k}. ${step.bad ? "!! " : ""}${step.title}`),
          ...(steps.length <= kListed ? step.text.map((line) => html("p", {}, line)) : [])));
      list.append(...this.items);
    };
    if (steps.length <= kListed) fill();
    const details = html("details", {open: ""}, html("summary", {}, `All ${steps.length} steps as text`), list);
    if (steps.length > kListed) details.removeAttribute("open");
    details.addEventListener("toggle", fill);
    return html("section", {class: "list", "aria-label": "all steps as text"}, details);
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const target = event.target;
    if (target instanceof HTMLSelectElement) return;
    const onButton = target instanceof HTMLButtonElement || (target.closest && target.closest("summary, a"));
    const act = {
      ArrowLeft: () => this.go(this.at - 1), ArrowRight: () => this.go(this.at + 1),
      Home: () => this.go(0), End: () => this.go(this.data.steps.length - 1),
      " ": () => this.toggle(), o: () => this.openToStep(), w: () => this.toggleWays(), n: () => this.along(1), p: () => this.along(-1)}[event.key];
    if (!act || (event.key === " " && onButton)) return;
    event.preventDefault();
    if (event.key !== " ") this.stop();
    act();
  }

  toggle() {
    if (this.timer) return this.stop();
    if (this.at === this.data.steps.length - 1) this.go(0);
    this.play.textContent = "Pause";
    this.timer = setInterval(() => {
      this.go(this.at + 1);
      if (this.at === this.data.steps.length - 1) this.stop();
    }, 900);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.play.textContent = "Play";
  }
}

function start() {
  const data = read();
  const wanted = location.hash;
  if (data.steps.length === 0) {
    document.getElementById("page").append(html("p", {}, "This trace holds no step."));
  } else {
    const page = new Page(data);
    page.follow();
    if (page.at < 0) page.go(0);
    root.dataset.steps = data.steps.length;
    root.dataset.overlaps = data.pictures.reduce((sum, picture) => sum + overlaps(picture, data), 0);
    root.dataset.unnamed = [...document.querySelectorAll("button, input, select")].filter(
        (element) => !element.getAttribute("aria-label")).length;
    root.dataset.overflow = Math.max(0, root.scrollWidth - root.clientWidth);
    if (wanted === "#selftest") selftest(page);
  }
  root.dataset.ready = 1;
}

try {
  start();
} catch (error) {
  failed();
  console.error(error);
}
