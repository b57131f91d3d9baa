// Curves of several cards over one axis.

const kSuggestions = [
  ["Activations", ["relu", "gelu", "silu", "mish"]],
  ["Saturating", ["sigmoid", "tanh", "softsign", "hardsigmoid"]],
  ["Errors", ["mse_loss", "l1_loss", "huber_loss", "log_cosh_loss"]],
  ["Yes or no", ["bce_with_logits", "hinge_loss", "focal_loss_binary"]],
  ["Classes", ["cross_entropy", "focal_loss_multiclass", "label_smoothing_ce", "multiclass_hinge_cs"]],
  ["Clipped", ["ppo_policy_loss", "grpo_loss"]],
];

class Overlay {
  constructor(cards) {
    this.cards = cards;
    this.chosen = [];
    this.points = new Map();  // of an axis, where on it
    this.figures = html("div", {});
    this.hint = html("p", {}, "Tick “overlay” on two or more cards to lay their curves over each other, or begin with:");
    this.names = html("span", {});
    this.bar = html("div", {class: "bar", hidden: true, role: "status"}, this.names, " ",
        html("a", {href: "#overlay"}, "show"), " ",
        html("button", {type: "button", onclick: () => { this.choose([]); this.bar.hidden = true; }}, "clear"));
    this.element = html("section", {id: "overlay", "aria-labelledby": "overlay-name"},
        html("h2", {id: "overlay-name"}, "Overlay"), this.hint,
        html("p", {class: "suggestions"}, ...kSuggestions.map(([name, names]) =>
          html("button", {type: "button", title: names.join(", "), onclick: () => this.choose(names)}, name)),
          html("button", {type: "button", onclick: () => this.choose([])}, "None")),
        this.figures);
    // The bar is for those who ticked a card and do not see what that changed.
    new IntersectionObserver(([entry]) => { if (entry.isIntersecting) this.bar.hidden = true; }).observe(this.element);
    for (const card of cards) {
      card.overlaid = () => {
        this.chosen = this.chosen.filter((other) => other !== card);
        if (card.chosen.checked) this.chosen.push(card);
        this.update();
        this.bar.hidden = this.chosen.length === 0;
      };
      card.changed = () => { if (card.chosen.checked) this.update(); };
    }
    this.choose(kSuggestions[0][1]);
  }

  choose(names) {
    this.chosen = names.map((name) => this.cards.find((card) => card.data.name === name));
    for (const card of this.cards) card.chosen.checked = this.chosen.includes(card);
    this.update();
  }

  update() {
    const axes = new Map();
    for (const card of this.chosen)
      axes.set(card.data.axis, [...(axes.get(card.data.axis) || []), card]);
    const focused = document.activeElement && document.activeElement.id;
    this.figures.replaceChildren(...[...axes].map(([axis, cards], i) => this.figure(axis, cards, `overlay${i}`)));
    if (focused && focused.startsWith("overlay")) document.getElementById(focused).focus();
    this.names.textContent = `Overlay: ${this.chosen.map((card) => card.data.name).join(", ")}`;
  }

  figure(axis, cards, id) {
    const grid = cards[0].data.x;
    const move = (x) => { this.points.set(axis, x); show(); };
    const values = new Plot(230, `values over ${axis}`, move);
    const slopes = new Plot(190, `gradients over ${axis}`, move);
    const xs = [Math.min(...cards.map((card) => card.data.x[0])),
                Math.max(...cards.map((card) => card.data.x[card.data.x.length - 1]))];
    const first = (key) => cards.map((card) => ({x: card.data.x, y: (card.curve()[key] || [[]])[0]}));
    values.axes(xs, rangeOf(first("v").map((curve) => curve.y)), "value");
    slopes.axes(xs, rangeOf(first("g").map((curve) => curve.y)), "gradient");
    values.draw(first("v"), []);
    slopes.draw(first("g"), []);
    const slider = html("input", {id, type: "range", min: 0, max: grid.length - 1, step: 1,
                                  oninput: (event) => move(grid[Number(event.target.value)])});
    const place = html("output", {for: id, class: "x"});
    const body = html("tbody", {});
    const show = () => {
      const x = this.points.has(axis) ? this.points.get(axis) : grid[cards[0].start];
      slider.value = nearest(grid, x);
      place.textContent = shown(grid[slider.value]);
      slider.setAttribute("aria-valuetext", place.textContent);
      // Each curve has its own points: the one next to it is marked, and its place written down.
      const at = cards.map((card) => nearest(card.data.x, x));
      const pick = (key) => first(key).map(({y}, i) => y[at[i]]);
      values.mark(cards.map((card, i) => card.data.x[at[i]]), pick("v"));
      slopes.mark(cards.map((card, i) => card.data.x[at[i]]), pick("g"));
      body.replaceChildren(...cards.map((card, i) => html("tr", {},
        html("th", {scope: "row"}, swatch(i), " ", html("a", {href: `#${card.data.name}`}, card.data.name),
             html("span", {class: "settings"}, ` ${card.settings()}`)),
        ...[card.data.x[at[i]], pick("v")[i], pick("g")[i]].map((value) =>
          html("td", {}, value === undefined ? "-" : shown(value))))));
    };
    show();
    return html("div", {class: "overlaid"},
        html("div", {}, values.element, slopes.element,
             html("div", {class: "controls"}, html("label", {for: id}, cards[0].data.symbol,
                  html("span", {class: "unseen"}, " of the overlay, the point")), slider, place),
             html("p", {class: "small"}, `Over ${axis}. Of a card with several curves, the first.`)),
        html("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": "numbers at the point"},
             html("table", {}, html("thead", {}, html("tr", {}, ...["", cards[0].data.symbol, "value", "gradient"].map((cell) =>
               html("th", {scope: "col"}, cell)))), body)));
  }
}
