#include <retrace/autograd/ops/joining.h>
#include <retrace/autograd/ops/rearranging.h>
#include <retrace/catalogue/samples.h>

namespace retrace::catalogue {
namespace {

// The tensors "a", "b", "c", ... of a call.
std::vector<Tensor> operands(const Call& c) {
  std::vector<Tensor> tensors;
  for (const auto& [name, tensor] : c.tensors()) tensors.push_back(tensor);
  return tensors;
}

Sample joined(const std::vector<Shape>& shapes, Arguments arguments) {
  Sample sample{{}, std::move(arguments)};
  for (std::size_t i = 0; i < shapes.size(); ++i)
    sample.inputs.push_back({std::string(1, static_cast<char>('a' + i)), shapes[i]});
  return sample;
}

Results call_roll(const Call& c) {
  if (!c.has("dim")) return roll(c["x"], c.integer("shift"));
  if (c.is_list("dim")) return roll(c["x"], c.list("shift"), c.list("dim"));
  return roll(c["x"], c.integer("shift"), c.integer("dim"));
}

Results call_repeat_interleave(const Call& c) {
  if (!c.has("repeats")) return repeat_interleave(c["x"], c["repeats"], c.integer("dim"));
  if (!c.has("dim")) return repeat_interleave(c["x"], c.integer("repeats"));
  return repeat_interleave(c["x"], c.integer("repeats"), c.integer("dim"));
}

std::vector<Sample> triangles() {
  return {shaped({3, 4}), shaped({4, 3}, {{"diagonal", 1}}), shaped({2, 3, 3}, {{"diagonal", -1}}),
          shaped({2, 2}, {{"diagonal", 7}}), shaped({0, 3})};
}

}  // namespace

void add_joining(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "cat",
           .family = "joining",
           .question = "What do the tensors look like one after the other?",
           .run = [](const Call& c) -> Results { return cat(operands(c), c.integer("dim", 0)); },
           .samples = {joined({{2, 3}, {2, 1}, {2, 2}}, {{"dim", 1}}), joined({{2, 3}, {2, 3}}, {}),
                       joined({{0, 2}, {3, 2}}, {}), joined({{2, 1, 2}, {2, 2, 2}}, {{"dim", -2}}),
                       joined({{3}}, {})}},
          {.name = "stack",
           .family = "joining",
           .question = "What do the tensors look like side by side along a new dim?",
           .run = [](const Call& c) -> Results { return stack(operands(c), c.integer("dim", 0)); },
           .samples = {joined({{2, 3}, {2, 3}}, {{"dim", 1}}),
                       joined({{2, 3}, {2, 3}, {2, 3}}, {{"dim", -1}}), joined({{}, {}}, {}),
                       joined({{0, 2}, {0, 2}}, {})}},
          {.name = "repeat",
           .family = "joining",
           .question = "What does a tensor look like laid out like tiles?",
           .run = [](const Call& c) -> Results { return repeat(c["x"], c.list("repeats")); },
           .samples = {shaped({2, 3}, {{"repeats", list({2, 3})}}),
                       shaped({2, 3}, {{"repeats", list({2, 1, 2})}}),
                       shaped({}, {{"repeats", list({3})}}), shaped({2}, {{"repeats", list({0})}}),
                       shaped({0, 2}, {{"repeats", list({2, 2})}})}},
          {.name = "tile",
           .family = "joining",
           .question = "What does a tensor look like laid out like tiles, along its last dims?",
           .run = [](const Call& c) -> Results { return tile(c["x"], c.list("repeats")); },
           .samples = {shaped({2, 3}, {{"repeats", list({2})}}),
                       shaped({2, 3}, {{"repeats", list({2, 1, 2})}})}},
          {.name = "repeat_interleave",
           .family = "joining",
           .question = "What does it look like when each element comes several times in a row?",
           .run = call_repeat_interleave,
           .samples = {shaped({3, 2}, {{"repeats", 2}, {"dim", 0}}),
                       shaped({2, 3}, {{"repeats", 3}}),
                       shaped({2, 0}, {{"repeats", 3}, {"dim", 0}}),
                       {{{"x", {3, 2}}, {"repeats", {3}, indices(4)}}, {{"dim", 0}}}}},
          {.name = "meshgrid",
           .family = "joining",
           .question = "Which points does a grid have?",
           .run = [](const Call& c) -> Results {
             return meshgrid(operands(c), c.text("order", "ij"));
           },
           .samples = {joined({{2}, {3}}, {}), joined({{2}, {3}, {4}}, {{"order", "xy"}}),
                       joined({{2}, {}}, {}), joined({{0}, {3}}, {})}},
          {.name = "flip",
           .family = "rearranging",
           .question = "What does it look like read backwards?",
           .run = [](const Call& c) -> Results { return flip(c["x"], c.list("dims")); },
           .samples = {shaped({3, 4}, {{"dims", list({0})}}),
                       shaped({2, 3, 4}, {{"dims", list({0, -1})}}),
                       shaped({2}, {{"dims", list({})}}),
                       shaped({0, 2}, {{"dims", list({0, 1})}})}},
          {.name = "roll",
           .family = "rearranging",
           .question = "What does it look like moved on, the end coming in at the start?",
           .run = call_roll,
           .samples = {shaped({3, 4}, {{"shift", 1}, {"dim", -1}}), shaped({3, 4}, {{"shift", -5}}),
                       shaped({3, 4}, {{"shift", list({1, 9})}, {"dim", list({0, 1})}}),
                       shaped({0, 4}, {{"shift", 1}, {"dim", 0}})}},
          {.name = "pad",
           .family = "rearranging",
           .question = "What does it look like framed by a constant?",
           .run = [](const Call& c) -> Results {
             return pad(c["x"], {c.integer("left"), c.integer("right")}, c.scalar("value", 0));
           },
           .samples = {shaped({2, 3}, {{"left", 1}, {"right", 2}, {"value", 0.5}}),
                       shaped({2, 4}, {{"left", -1}, {"right", 1}}),
                       shaped({0, 2}, {{"left", 1}, {"right", 0}})}},
          {.name = "pad2d",
           .family = "rearranging",
           .question = "What does an image look like in a frame?",
           .run = [](const Call& c) -> Results {
             return pad(
                 c["x"],
                 {c.integer("left"), c.integer("right"), c.integer("top"), c.integer("bottom")},
                 c.scalar("value", 0));
           },
           .samples = {shaped({2, 3, 3}, {{"left", 1}, {"right", 2}, {"top", 0}, {"bottom", 1}}),
                       shaped({3, 3}, {{"left", -1}, {"right", 0}, {"top", 2}, {"bottom", -2}})},
           .function = "pad"},
          {.name = "tril",
           .family = "rearranging",
           .question = "What stands on and below a diagonal?",
           .run = [](const Call& c) -> Results { return tril(c["x"], c.integer("diagonal", 0)); },
           .samples = triangles()},
          {.name = "triu",
           .family = "rearranging",
           .question = "What stands on and above a diagonal?",
           .run = [](const Call& c) -> Results { return triu(c["x"], c.integer("diagonal", 0)); },
           .samples = triangles()},
      });
}

}  // namespace retrace::catalogue
