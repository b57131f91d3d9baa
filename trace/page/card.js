// The card of a step: its rule, its words and its numbers. Each field has its role and the exact
// texts of all its numbers as attributes: data-role="upstream" data-upstream="0.5 1".

const kPhases = {forward: "forward →", backward: "← backward", update: "update ↻",
                 training: "training", change: "changed by the program"};

function showCard(element, data, k) {
  const step = data.steps[k];
  const parts = [html("span", {class: "phase", "data-phase": step.phase}, kPhases[step.phase]),
                 html("h2", {}, step.title)];
  if (step.formula) parts.push(html("p", {class: "formula"}, step.formula));
  parts.push(html("ul", {class: "words", role: "list"}, ...step.text.map((line) => html("li", {}, line))));
  for (const [role, label, id] of step.fields) {
    const numbers = data.numbers.get(id);
    const field = html("div", {class: "field", "data-role": role}, html("h3", {}, label), shownNumbers(numbers, label));
    field.setAttribute(`data-${role}`, numbers.text);
    parts.push(field);
  }
  element.replaceChildren(...parts);
  element.dataset.step = k;
}

// What a card says, as a test reads it.
function readCard(element) {
  const fields = [...element.querySelectorAll(".field")].map((field) => {
    const role = field.dataset.role;
    const cells = [...field.querySelectorAll("td")];
    const texts = field.querySelector("output") ? [field.querySelector("output").textContent]
        : cells.map((cell) => cell.textContent || cell.title.split(" = ")[1]);
    return [role, field.dataset[role], texts.join(" ")];
  });
  return {title: element.querySelector("h2").textContent,
          text: [...element.querySelectorAll(".words li")].map((line) => line.textContent), fields};
}
