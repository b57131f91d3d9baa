// Ways from a tensor to where a backward pass began, its roots: each goes through one contribution after the
// other. Their number, products and sums are those of the data; here they are only listed.

const kWaysListed = 20;
const kHops = 12;  // of a way that are written out
const kRootsNamed = 3;
const kRounding = 1e-5;  // of the largest product

class Passes {
  constructor(data) {
    this.data = data;
    this.stepOf = [];  // of each event
    data.steps.forEach((step, k) => { for (let i = step.begin; i < step.end; ++i) this.stepOf[i] = k; });
    this.all = data.passes.map(({number, event, roots, tensors}) => {
      const pass = {number, roots: new Set(roots), step: this.stepOf[event], last: 0, ways: new Map(), arrivals: new Map()};
      for (const [node, count, gradient, products, sum] of tensors) pass.ways.set(node, {count, gradient, products, sum});
      return pass;
    });
    // Passes may take turns, or run within each other.
    const byNumber = new Map(this.all.map((pass) => [pass.number, pass]));
    data.events.forEach(([kind, through, input, , , , gradient, sources, number], i) => {
      const pass = kind === "contribution" ? byNumber.get(number) : undefined;
      const to = pass ? data.byId.get(through).inputs[input] : null;
      if (to === null) return;
      if (!pass.arrivals.has(to)) pass.arrivals.set(to, []);
      pass.last = this.stepOf[i];
      for (const from of sources)
        if (pass.roots.has(from) || pass.ways.has(from)) pass.arrivals.get(to).push({to, from, input, gradient, step: this.stepOf[i]});
    });
  }

  // The pass of a step, or the next one, or else the last, in which the tensor got a gradient.
  of(node, step) {
    const those = this.all.filter((pass) => pass.ways.has(node));
    return those.find((pass) => pass.last >= step) || those[those.length - 1];
  }

  // All that lies on a way.
  between(pass, node) {
    const nodes = new Set([node]), edges = [];
    for (const each of nodes) {
      for (const {from, to, input} of pass.arrivals.get(each) || []) {
        nodes.add(from);
        edges.push([to, from, input]);
      }
    }
    return {nodes, edges};
  }

  // The first ways: lists of hops, from the tensor on.
  list(pass, node) {
    const found = [], hops = [], open = [{node, next: 0}];
    while (open.length > 0 && found.length < kWaysListed) {
      const top = open[open.length - 1];
      if (pass.roots.has(top.node) && !top.isFound) {
        top.isFound = true;
        found.push([...hops]);
        continue;
      }
      const hop = (pass.arrivals.get(top.node) || [])[top.next++];
      if (hop) {
        hops.push(hop);
        open.push({node: hop.from, next: 0});
      } else {
        hops.pop();
        open.pop();
      }
    }
    return found;
  }

  name(node) { return this.data.byId.get(node).label; }
  link(step, text) { return html("a", {href: `#s=${step}`, title: `${step}. ${this.data.steps[step].title}`}, text); }

  // "loss —7→ linear #3 —9→ weight", each number a link to the step.
  line(hops) {
    const back = [...hops].reverse();
    const parts = [this.name(back[0].from)];
    back.forEach(({to, step}, i) => {
      if (back.length > kHops && i >= kHops / 2 && i < back.length - kHops / 2) {
        if (i === kHops / 2) parts.push(` … ${back.length - kHops} steps …`);
        return;
      }
      parts.push(" ", this.link(step, `—${step}→`), ` ${this.name(to)}`);
    });
    return parts;
  }

  field(role, heading, id) {
    return html("div", {class: "field", "data-role": role}, html("h3", {}, ...heading), new Grid(this.data.numbers.get(id), role).element);
  }

  rootNames(pass) {
    const names = [...pass.roots].slice(0, kRootsNamed).map((root) => this.name(root));
    const more = pass.roots.size - names.length;
    return names.join(" and ") + (more > 0 ? ` and ${more} more` : "");
  }

  // Whether rounding explains that a sum of products is not the gradient.
  isNear(products, sum, gradient) {
    const most = Math.max(...products.map((product) => Math.abs(Number(product))));
    return Math.abs(Number(sum) - Number(gradient)) <= kRounding * most;
  }

  // What the page says of a tensor's ways.
  told(node, pass) {
    const begun = this.all.find(({roots}) => roots.has(node));
    if (!pass && begun)
      return [html("h2", {}, `The way back begins at ${this.name(node)}`), html("p", {class: "note"},
          "The pass that begins at ", this.link(begun.step, `step ${begun.step}`), " begins here: its ways lead from other tensors to this one.")];
    const parts = [html("h2", {}, pass ? `Ways from ${this.name(node)} to ${this.rootNames(pass)}` : `No way to ${this.name(node)}`)];
    if (!pass) return [...parts, html("p", {class: "note"}, "In this trace no gradient comes to it.")];
    const {count, gradient, products, sum} = pass.ways.get(node), arrivals = pass.arrivals.get(node);
    const listed = this.list(pass, node);
    parts.push(html("p", {class: "note"}, "In the pass that begins at ", this.link(pass.step, `step ${pass.step}`),
        count === "1" ? " there is one way" : ` there are ${count} ways`,
        ` on which ${this.name(node)} has an effect on ${this.rootNames(pass)}`,
        String(listed.length) === count ? "." : `; the first ${listed.length} of them:`,
        products ? " Each brings the product of the local derivatives along it." : ""));
    parts.push(html("ol", {}, ...listed.map((hops, i) => html("li", {"data-steps": hops.map(({step}) => step).join(" "), "data-product": products ? products[i] : ""},
        ...this.line(hops), ...(products ? [" brings ", html("output", {}, products[i])] : [])))));
    if (products) {
      const {text} = gradient === null ? {text: sum} : this.data.numbers.get(gradient);
      parts.push(html("p", {class: "sum", "data-sum": sum, "data-gradient": text}, `Together they bring ${sum}`,
          gradient === null ? "." : text === sum ? `: that is the gradient, dL/d(${this.name(node)}).`
          : `; the gradient dL/d(${this.name(node)}) is ${text}. They differ ${this.isNear(products, sum, text)
              ? "by rounding: the engine adds up what arrives before it goes on, and does not take each way by itself."
              : "by more than rounding: the program or a hook changed a gradient on the way, or there are ways that this trace does not hold."}`));
    }
    const steps = [...new Map(arrivals.map((each) => [each.step, each])).values()];
    parts.push(html("p", {class: "note"}, steps.length === 1 ? "One contribution arrives:" : `${steps.length} contributions arrive, and add up to the gradient:`));
    for (const each of steps)
      parts.push(this.field("arrival", [this.link(each.step, `step ${each.step}`), `, through ${this.name(each.from)}`], each.gradient));
    if (gradient !== null) parts.push(this.field("gradient", [`dL/d(${this.name(node)})`], gradient));
    else parts.push(html("p", {class: "note"}, "They were added to a gradient that was there before."));
    return parts;
  }
}
