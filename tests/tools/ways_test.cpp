// Ways from a tensor to the loss, against those that are found one by one.
#include <doctest/doctest.h>

#include <retrace/tests/tools/traces.h>
#include <retrace/trace/numbers.h>
#include <retrace/trace/page/ways.h>

using namespace retrace;
using namespace retrace::testing;
using trace::Id;
using trace::kNone;
using trace::page::Pass;
using trace::page::passes;
using trace::page::Ways;

namespace {

using Hops = std::vector<const trace::Contribution*>;

// All ways of a pass that begins at `event`, from `node` on.
void collect(const trace::Trace& trace, std::size_t event, Id node, Hops& hops,
             std::vector<Hops>& found) {
  if (node == std::get<trace::Seed>(trace.events[event]).node) return found.push_back(hops);
  for (std::size_t i = event + 1;
       i < trace.events.size() && !std::holds_alternative<trace::Seed>(trace.events[i]); ++i) {
    const auto* given = std::get_if<trace::Contribution>(&trace.events[i]);
    if (given == nullptr || trace.nodes[given->node].inputs[given->input] != node) continue;
    for (const Id from : trace::page::sources(trace, *given)) {
      hops.push_back(given);
      collect(trace, event, from, hops, found);
      hops.pop_back();
    }
  }
}

std::vector<Hops> ways_of(const trace::Trace& trace, std::size_t event, Id node) {
  std::vector<Hops> found;
  Hops hops;
  collect(trace, event, node, hops, found);
  return found;
}

float one(const trace::Trace& trace, Id numbers) {
  return trace.numbers[numbers].values.to_vector<float>().at(0);
}

// y = x + x again and again.
trace::Trace doubled(int times) {
  trace::Recorder recorder({.program = "doubled"});
  const Tensor x = full({}, 1.0).requires_grad_();
  Tensor y = x;
  for (int i = 0; i < times; ++i) y = y + y;
  y.backward();
  return recorder.trace();
}

std::string count_of_first(const trace::Trace& trace) {
  const std::vector<Pass> all = passes(trace, trace.events.size());
  REQUIRE(all.size() == 1);
  for (const Ways& ways : all[0].tensors)
    if (trace.nodes[ways.node].is_leaf()) return ways.count;
  return "";
}

}  // namespace

TEST_CASE("ways are counted as they are found one by one") {
  int many = 0;
  for (const trace::Trace& trace : {xor_trace(), mlp_trace(), dpo_trace(), scalar_trace()}) {
    CAPTURE(trace.program);
    const std::vector<Pass> all = passes(trace, trace.events.size());
    CHECK(!all.empty());
    for (const Pass& pass : all) {
      std::size_t with_ways = 0;
      for (Id node = 0; node < trace.nodes.size(); ++node)
        with_ways += ways_of(trace, pass.event, node).empty() ? 0 : 1;
      CHECK(pass.tensors.size() + 1 == with_ways);  // but for where it began
      for (const Ways& ways : pass.tensors) {
        const std::size_t count = ways_of(trace, pass.event, ways.node).size();
        CHECK(ways.count == std::to_string(count));
        many += count > 2 ? 1 : 0;
      }
    }
  }
  CHECK(many > 5);
}

TEST_CASE("more ways than can be counted are said to be more") {
  CHECK(count_of_first(doubled(50)) == "1125899906842624");
  CHECK(count_of_first(doubled(53)) == "9007199254740992");
  CHECK(count_of_first(doubled(54)) == "more than 9007199254740992");
  CHECK(count_of_first(doubled(300)) == "more than 9007199254740992");
}

TEST_CASE(
    "the products along the ways of single numbers are the engine's, and add up to its gradient") {
  const trace::Trace trace = scalar_trace();
  const std::vector<Pass> all = passes(trace, trace.events.size());
  REQUIRE(all.size() == 2);
  int compared = 0;
  for (const Pass& pass : all) {
    for (const Ways& ways : pass.tensors) {
      const std::vector<Hops> found = ways_of(trace, pass.event, ways.node);
      REQUIRE(ways.products.size() == found.size());
      float sum = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        float product = 1;
        for (auto hop = found[i].rbegin(); hop != found[i].rend(); ++hop)
          product *= one(trace, (*hop)->local);
        CHECK(ways.products[i] == trace::number_text(tensor({product}), 0));
        sum += product;
        ++compared;
      }
      CHECK(ways.sum == trace::number_text(tensor({sum}), 0));
      // In the second pass a and b have a gradient already.
      const bool had_one = &pass == &all[1] && trace.nodes[ways.node].is_leaf();
      CHECK((ways.gradient == kNone) == had_one);
      if (!had_one) CHECK(one(trace, ways.gradient) == doctest::Approx(sum).epsilon(1e-6));
    }
  }
  CHECK(compared > 20);
}

TEST_CASE("where tensors are on the way there is no product, but the contributions that arrive") {
  const trace::Trace trace = mlp_trace();
  for (const Pass& pass : passes(trace, trace.events.size()))
    for (const Ways& ways : pass.tensors) {
      CHECK(ways.products.empty());
      CHECK(ways.gradient != kNone);
    }
}
