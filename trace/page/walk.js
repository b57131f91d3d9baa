// #selftest: walks forwards to the end and back to the start by the keys that a person presses,
// and compares what the card says with the data, and each state on the way back with that on the
// way forth. <html data-selftest="ok 58 steps"> or what differs; all that was read stands in
// an element called walk, a line of JSON each, for whoever has the trace.

function selftest(page) {
  const {data} = page;
  const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  const told = [], wrong = [];
  const differs = (k, what) => { if (wrong.length < 5) wrong.push(`step ${k}: ${what}`); };
  const look = (k) => {
    if (page.at !== k) differs(k, `the page is at ${page.at}`);
    const card = readCard(page.card), step = data.steps[k];
    if (card.title !== step.title) differs(k, "title");
    if (JSON.stringify(card.text) !== JSON.stringify(step.text)) differs(k, "text");
    if (card.fields.length !== step.fields.length) differs(k, "fields");
    step.fields.forEach(([role, , id], i) => {
      const [shownRole, attribute, shown] = card.fields[i] || [];
      const {text} = data.numbers.get(id);
      if (shownRole !== role || attribute !== text) differs(k, `data-${role}`);
      if (shown !== text.split(" ").slice(0, shown === "" ? 0 : shown.split(" ").length).join(" ")) differs(k, `numbers of ${role}`);
    });
    if (Number(page.slider.value) !== k) differs(k, "slider");
    for (const each of page.card.querySelectorAll(".scroll")) each.dispatchEvent(new MouseEvent("mouseleave"));
    const state = data.nodes.map((node) => [node.id, page.state[node.id].value, page.state[node.id].upstream, page.state[node.id].grad]);
    return JSON.stringify({k, card, state});
  };
  press("Home");
  for (let k = 0; k < data.steps.length; ++k) {
    told.push(look(k));
    press("ArrowRight");
  }
  if (page.at !== data.steps.length - 1) differs(page.at, "went past the end");
  for (let k = data.steps.length - 1; k >= 0; --k) {
    if (look(k) !== told[k]) differs(k, "is another on the way back");
    press("ArrowLeft");
  }
  press("End");
  if (page.at !== data.steps.length - 1) differs(page.at, "End");
  press("Home");
  if (page.at !== 0) differs(page.at, "Home");
  page.slider.value = Math.floor(data.steps.length / 2);
  page.slider.dispatchEvent(new Event("input"));
  if (JSON.stringify(readCard(page.card)) !== JSON.stringify(JSON.parse(told[page.at]).card)) differs(page.at, "slider");
  document.documentElement.dataset.opened = testOpening(page);
  document.body.append(html("pre", {id: "walk"}, told.join("\n")), html("pre", {id: "products"}, testProducts(page).join("\n")),
      html("pre", {id: "ways-told"}, testWays(page).join("\n")));
  document.documentElement.dataset.selftest = wrong.length === 0 ? `ok ${data.steps.length} steps` : wrong.join("; ");
}

// Opens every box that can be opened, by the keys that a person presses, and closes it again; how
// many, or what went wrong.
function testOpening(page) {
  const {groups, pictureOf} = page.data;
  const press = (stop, key) => stop.element.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  let count = 0;
  for (const opened of pictureOf.keys()) {
    if (opened === null || groups[opened].parent === null) continue;
    const {parent} = groups[opened];
    page.draw(parent);
    const box = page.picture.stops.find((stop) => stop.group === opened);
    if (!box) return `no box of ${groups[opened].label}`;
    press(box, count % 2 ? " " : "Enter");
    if (page.opened !== opened) return `${groups[opened].label} does not open`;
    if (page.data.nodes.some((node) => !page.picture.boxOf.has(node.id))) return `tensors are missing in ${groups[opened].label}`;
    const frame = page.picture.frames[page.picture.frames.length - 1];
    if (frame) press(frame, count % 2 ? "Enter" : " "); else page.way.lastChild.click();
    if (page.opened !== parent) return `${groups[opened].label} does not close`;
    if (document.activeElement.getAttribute("aria-expanded") !== "false") return "the closed box has no focus";
    ++count;
  }
  if (page.timer) return "a key on a box plays";
  const steps = page.data.steps;
  for (let k = 0; k < steps.length && pictureOf.has(0); k += Math.ceil(steps.length / 15)) {
    page.draw(0);
    page.go(k);
    if (steps[k].touched.length === 0) continue;
    const within = page.groupOf(steps[k]);
    page.openToStep();
    if (page.opened !== within || page.picture.current.length === 0) return `step ${k} is not opened`;
  }
  page.draw(pictureOf.has(null) ? null : 0);
  return `ok ${count}`;
}

// Of each step that is a product, what a few cells of the result light up: lines of JSON.
function testProducts(page) {
  const lines = [];
  page.data.steps.forEach((step, k) => {
    if (step.fields.filter((field) => field.length > 3).length < 3) return;
    page.go(k);
    const fields = [...page.card.querySelectorAll(".field")];
    const cells = (field, name) => [...field.querySelectorAll("td, output")].flatMap((cell, at) => cell.classList.contains(name) ? [at] : []);
    const result = fields[step.fields.map((field) => field.length > 3).lastIndexOf(true)];
    const scroll = result.querySelector(".scroll");
    if (!scroll || !scroll.querySelector("td")) return;
    const look = () => lines.push(JSON.stringify({k, at: cells(result, "at"), told: result.querySelector(".cell").textContent,
        lit: fields.map((field) => cells(field, "lit"))}));
    scroll.querySelector("td").dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
    look();
    for (const key of ["ArrowRight", "ArrowDown", "End"]) {
      scroll.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
      look();
    }
    scroll.dispatchEvent(new MouseEvent("mouseleave"));
    if (page.at !== k || page.card.querySelector(".lit, .at")) failed();
  });
  return lines;
}

// What the page says of the ways from some tensors: lines of JSON.
function testWays(page) {
  const lines = [];
  page.go(0);
  const {nodes} = page.data;
  for (let i = 0; i < nodes.length; i += Math.ceil(nodes.length / 60)) {
    const {id} = nodes[i];
    page.showWays(id);
    const list = [...page.ways.querySelectorAll("li")];
    const sum = page.ways.querySelector(".sum");
    const fields = (role) => [...page.ways.querySelectorAll(`.field[data-role="${role}"]`)].map((field) => field.querySelector("[data-text]").dataset.text);
    lines.push(JSON.stringify({node: id, told: page.ways.textContent, ways: list.map(({dataset}) => dataset.steps.split(" ").map(Number)),
        products: list.map(({dataset}) => dataset.product), sum: sum && sum.dataset.sum, gradient: sum && sum.dataset.gradient,
        arrivals: fields("arrival"), total: fields("gradient"),
        lit: [...page.picture.boxes].filter(({element}) => element.classList.contains("way")).map(({node}) => node)}));
  }
  page.showWays(null);
  if (page.picture.element.querySelector(".way")) failed();
  return lines;
}
