#include <retrace/autograd/ops/recurrent.h>
#include <retrace/catalogue/samples.h>
#include <retrace/tensor/check.h>

namespace retrace::catalogue {
namespace {

RnnNonlinearity nonlinearity_of(const Call& c) {
  const std::string name = c.text("nonlinearity", "tanh");
  require<ValueError>(name == "tanh" || name == "relu", "{}: nonlinearity is {}; give tanh or relu",
                      "rnn", name);
  return name == "relu" ? RnnNonlinearity::relu : RnnNonlinearity::tanh;
}

// x [.., I], states [B, H], `gates` gates.
Sample carried(const Shape& x, std::int64_t batch, std::int64_t hidden, std::int64_t gates,
               bool biases, Arguments arguments = {}) {
  const std::int64_t width = gates * hidden;
  Sample sample{{{"x", x}, {"h", {batch, hidden}}}, std::move(arguments)};
  if (gates == 4) sample.inputs.push_back({"c", {batch, hidden}});
  sample.inputs.insert(sample.inputs.end(),
                       {{"w_ih", {width, x.back()}}, {"w_hh", {width, hidden}}});
  if (biases) sample.inputs.insert(sample.inputs.end(), {{"b_ih", {width}}, {"b_hh", {width}}});
  return sample;
}

std::vector<Sample> steps(std::int64_t gates) {
  return {carried({2, 3}, 2, 4, gates, true), carried({3, 1}, 3, 2, gates, false),
          carried({0, 2}, 0, 3, gates, true)};
}

std::vector<Sample> sequences(std::int64_t gates) {
  return {carried({3, 2, 2}, 2, 3, gates, true),
          carried({2, 4, 2}, 2, 3, gates, true, {{"batch_first", true}}),
          carried({1, 2, 3}, 2, 2, gates, false), carried({2, 0, 2}, 0, 3, gates, true)};
}

Results results_of(const RnnOutput& out) { return Results({{"out", out.output}, {"h", out.h}}); }

}  // namespace

void add_recurrent(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "rnn_cell",
           .family = "recurrent",
           .question = "What state follows from this one and an input?",
           .run = [](const Call& c) -> Results {
             return rnn_cell(c["x"], c["h"], c["w_ih"], c["w_hh"], c.optional("b_ih"),
                             c.optional("b_hh"), nonlinearity_of(c));
           },
           .samples = steps(1),
           .allows_same = false},
          {.name = "gru_cell",
           .family = "recurrent",
           .question = "What follows when gates say how much of the state is renewed?",
           .run = [](const Call& c) -> Results {
             return gru_cell(c["x"], c["h"], c["w_ih"], c["w_hh"], c.optional("b_ih"),
                             c.optional("b_hh"));
           },
           .samples = steps(3),
           .allows_same = false},
          {.name = "lstm_cell",
           .family = "recurrent",
           .question = "What follows when gates say what a memory takes in, keeps and gives?",
           .run = [](const Call& c) -> Results {
             const LstmState next = lstm_cell(c["x"], {c["h"], c["c"]}, c["w_ih"], c["w_hh"],
                                              c.optional("b_ih"), c.optional("b_hh"));
             return Results({{"h", next.h}, {"c", next.c}});
           },
           .samples = steps(4),
           .allows_same = false},
          {.name = "rnn",
           .family = "recurrent",
           .question = "What does a state become along a sequence?",
           .run = [](const Call& c) -> Results {
             return results_of(rnn(c["x"], c["h"], c["w_ih"], c["w_hh"], c.optional("b_ih"),
                                   c.optional("b_hh"), nonlinearity_of(c),
                                   c.flag("batch_first", false)));
           },
           .samples = sequences(1),
           .allows_same = false},
          {.name = "gru",
           .family = "recurrent",
           .question = "What does a gated state become along a sequence?",
           .run = [](const Call& c) -> Results {
             return results_of(gru(c["x"], c["h"], c["w_ih"], c["w_hh"], c.optional("b_ih"),
                                   c.optional("b_hh"), c.flag("batch_first", false)));
           },
           .samples = sequences(3),
           .allows_same = false},
          {.name = "lstm",
           .family = "recurrent",
           .question = "What does a memory hold along a sequence?",
           .run = [](const Call& c) -> Results {
             const LstmOutput out =
                 lstm(c["x"], {c["h"], c["c"]}, c["w_ih"], c["w_hh"], c.optional("b_ih"),
                      c.optional("b_hh"), c.flag("batch_first", false));
             return Results({{"out", out.output}, {"h", out.h}, {"c", out.c}});
           },
           .samples = sequences(4),
           .allows_same = false},
      });
}

}  // namespace retrace::catalogue
