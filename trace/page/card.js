// The card of a step: its rule, its words and its numbers. Each field has its role and the exact
// texts of all its numbers as attributes: data-role="upstream" data-upstream="0.5 1".

const kPhases = {forward: "forward →", backward: "← backward", update: "update ↻",
                 training: "training", change: "changed by the program"};

// An element of a product lights up those of its factors that made it. A part is a field's grid, its
// letter, and a letter for each of its dims: places agree where these do. '.': the one place there is.
function joinProduct(parts) {
  const [result] = parts.splice(-1);
  result.grid.tell = (at) => {
    const place = at < 0 ? [] : placeOf(at, result.grid.shape);
    const fixed = new Map(place.map((index, d) => [result.dims[d], index]));
    fixed.delete(".");
    for (const {grid, dims} of parts)
      grid.light((of) => at >= 0 && of.every((index, d) => !fixed.has(dims[d]) || fixed.get(dims[d]) === index));
    const texts = parts.map(({letter, grid, dims}) => letter +
        shapeText(Array.from(dims, (dim, d) => dim === "." ? 0 : fixed.has(dim) ? fixed.get(dim) : ":")));
    return `, from ${texts.join(" and ")}${parts.some(({grid}) => grid.isCorner) ? ", of which only a corner is here" : ""}`;
  };
}

function showCard(element, data, k) {
  const step = data.steps[k];
  const parts = [html("span", {class: "phase", "data-phase": step.phase}, kPhases[step.phase]),
                 html("h2", {}, step.title)];
  // The line that begins with the rule says what its letters are.
  const told = (line) => step.formula && line.startsWith(step.formula)
      ? [html("span", {class: "formula"}, step.formula), line.slice(step.formula.length)] : [line];
  parts.push(html("ul", {class: "words", role: "list"}, ...step.text.map((line) => html("li", {}, ...told(line)))));
  const product = [];
  for (const [role, label, id, letter, dims] of step.fields) {
    const numbers = data.numbers.get(id);
    const grid = new Grid(numbers, label);
    const field = html("div", {class: "field", "data-role": role}, html("h3", {}, label), grid.element);
    field.setAttribute(`data-${role}`, numbers.text);
    parts.push(field);
    if (dims !== undefined) product.push({grid, letter, dims});
  }
  const isProduct = product.length === 3 && product[2].grid.told;
  if (isProduct) {
    product[2].grid.element.append(html("p", {class: "note hint", style: "margin: 0"},
        `Point at a number, or go to it with Tab and arrows: what it is made of lights up in ${product[0].letter} and ${product[1].letter}.`));
    joinProduct(product);
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
