// Ways from a tensor to the loss, against those that are found one by one.
#include <doctest/doctest.h>

#include <algorithm>

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

// All ways of a pass, from `node` on: a pass ends at a seed that comes after a contribution.
void collect(const trace::Trace& trace, const Pass& pass, Id node, Hops& hops,
             std::vector<Hops>& found) {
  if (std::count(pass.roots.begin(), pass.roots.end(), node) > 0) found.push_back(hops);
  bool goes_back = false;
  for (std::size_t i = pass.event; i < trace.events.size(); ++i) {
    if (goes_back && std::holds_alternative<trace::Seed>(trace.events[i])) break;
    const auto* given = std::get_if<trace::Contribution>(&trace.events[i]);
    goes_back = goes_back || given != nullptr;
    if (given == nullptr || trace.nodes[given->node].inputs[given->input] != node) continue;
    for (const Id from : trace::page::Sources(trace).of(*given)) {
      hops.push_back(given);
      collect(trace, pass, from, hops, found);
      hops.pop_back();
    }
  }
}

std::vector<Hops> ways_of(const trace::Trace& trace, const Pass& pass, Id node) {
  std::vector<Hops> found;
  Hops hops;
  collect(trace, pass, node, hops, found);
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
  for (const trace::Trace& trace :
       {xor_trace(), mlp_trace(), dpo_trace(), scalar_trace(), roots_trace()}) {
    CAPTURE(trace.program);
    const std::vector<Pass> all = passes(trace, trace.events.size());
    CHECK(!all.empty());
    for (const Pass& pass : all) {
      std::size_t with_ways = 0;
      for (Id node = 0; node < trace.nodes.size(); ++node)
        with_ways += ways_of(trace, pass, node).empty() ? 0 : 1;
      CHECK(pass.tensors.size() + pass.roots.size() == with_ways);
      for (const Ways& ways : pass.tensors) {
        const std::size_t count = ways_of(trace, pass, ways.node).size();
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
      const std::vector<Hops> found = ways_of(trace, pass, ways.node);
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

TEST_CASE(
    "a pass with several roots is one: what comes from each of them adds up to the gradient") {
  const trace::Trace trace = roots_trace();
  const std::vector<Pass> all = passes(trace, trace.events.size());
  REQUIRE(all.size() == 1);
  CHECK(all[0].roots.size() == 3);
  REQUIRE(all[0].tensors.size() == 1);
  const Ways& ways = all[0].tensors[0];
  CHECK(trace.nodes[ways.node].name == "x");
  CHECK(ways.count == "3");
  CHECK(ways.products == std::vector<std::string>{"5", "6", "12"});
  CHECK(ways.sum == "23");
  REQUIRE(ways.gradient != kNone);
  CHECK(one(trace, ways.gradient) == 23);
}

TEST_CASE("what a contribution comes from is found among the results of its op, however many") {
  constexpr Id kMany = 50'000;
  trace::Trace trace;
  trace.ops.resize(1);
  for (Id id = 0; id < kMany; ++id) {
    trace::Node node;
    node.op = 0;
    node.number = id / 2 + 1;
    node.output = id % 2;
    trace.nodes.push_back(node);
  }
  const trace::page::Sources sources(trace);
  const auto of = [&](Id node, std::vector<Id> upstream) {
    return sources.of({node, 0, std::move(upstream), kNone, kNone, 0});
  };
  CHECK(of(2, {0}) == std::vector<Id>{2});
  CHECK(of(2, {0, 0}) == std::vector<Id>{2, 3});
  CHECK(of(2, {kNone, 0}) == std::vector<Id>{3});
  CHECK(of(2, {0, 0, 0}) == std::vector<Id>{2, 3});
  std::size_t found = 0;
  for (Id id = 0; id < kMany; id += 2)
    found += of(id, {kNone, kNone, 0, 0, 0, 0, 0, 0, 0, 0}).size();
  CHECK(found == 0);
}

TEST_CASE("where tensors are on the way there is no product, but the contributions that arrive") {
  const trace::Trace trace = mlp_trace();
  for (const Pass& pass : passes(trace, trace.events.size()))
    for (const Ways& ways : pass.tensors) {
      CHECK(ways.products.empty());
      CHECK(ways.gradient != kNone);
    }
}
