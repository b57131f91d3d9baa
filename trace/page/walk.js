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
      if (shown !== text.split(" ").slice(0, shown.split(" ").length).join(" ")) differs(k, `numbers of ${role}`);
    });
    if (Number(page.slider.value) !== k) differs(k, "slider");
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
  document.body.append(html("pre", {id: "walk"}, told.join("\n")));
  document.documentElement.dataset.selftest = wrong.length === 0 ? `ok ${data.steps.length} steps` : wrong.join("; ");
}
