// The products that a page lights up are those that the ops compute.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>
#include <retrace/trace/page/product.h>

using namespace retrace;
using trace::Id;
using trace::page::gradient_product_of;
using trace::page::Part;
using trace::page::Product;
using trace::page::product_of;

namespace {

struct Operand {
  std::string dims;
  Tensor values;

  double at(const std::map<char, std::int64_t>& place) const {
    std::int64_t position = 0;
    for (std::size_t d = 0; d < dims.size(); ++d)
      position =
          position * values.sizes()[static_cast<int>(d)] + (dims[d] == '.' ? 0 : place.at(dims[d]));
    return values.to_vector<double>()[static_cast<std::size_t>(position)];
  }
};

// Σ left · right over the letters that the result lacks, by plain loops.
std::vector<double> multiply(const Operand& left, const Operand& right, const Operand& result) {
  std::vector<std::pair<char, std::int64_t>> loops;
  for (const Operand* each : {&result, &left, &right})
    for (std::size_t d = 0; d < each->dims.size(); ++d)
      if (each->dims[d] != '.' && std::none_of(loops.begin(), loops.end(), [&](const auto& loop) {
            return loop.first == each->dims[d];
          }))
        loops.emplace_back(each->dims[d], each->values.sizes()[static_cast<int>(d)]);
  const auto count = static_cast<std::size_t>(result.values.numel());
  std::vector<double> sums(count);
  std::int64_t all = 1;
  for (const auto& loop : loops) all *= loop.second;
  for (std::int64_t n = 0; n < all; ++n) {
    std::map<char, std::int64_t> place;
    std::int64_t rest = n;
    for (auto loop = loops.rbegin(); loop != loops.rend(); ++loop) {
      place[loop->first] = rest % loop->second;
      rest /= loop->second;
    }
    std::int64_t position = 0;
    for (std::size_t d = 0; d < result.dims.size(); ++d)
      position = position * result.values.sizes()[static_cast<int>(d)] +
                 (result.dims[d] == '.' ? 0 : place.at(result.dims[d]));
    sums[static_cast<std::size_t>(position)] += left.at(place) * right.at(place);
  }
  return sums;
}

trace::Trace trace_of(const catalogue::Row& row, const catalogue::Call& call) {
  manual_seed(3);
  trace::Recorder recorder;
  for (const auto& [name, tensor] : call.tensors())
    if (tensor.is_floating_point()) Tensor(tensor).requires_grad_();
  for (const Tensor& out : row.run(call).tensors())
    if (out.requires_grad()) (out * randn_like(out)).sum().backward({}, true);
  return recorder.trace();
}

}  // namespace

TEST_CASE("what the texts of an op say is a product is the product of its numbers, both ways") {
  std::map<std::string, int> forward, backward;
  for (const catalogue::Row& row : catalogue::rows()) {
    if (!row.differentiable) continue;
    for (const catalogue::Sample& sample : row.samples) {
      CAPTURE(row.name);
      const catalogue::Call call = catalogue::make_call(row, sample, 5);
      const trace::Trace trace = trace_of(row, call);
      trace::State state(trace);
      const auto operand = [&](const trace::Node& made, const Part& part, Id result) {
        const Id numbers = part.of == Part::kResult ? result : state.of(made.inputs[part.of]).value;
        REQUIRE(numbers < trace.numbers.size());
        REQUIRE(trace.numbers[numbers].complete);
        return Operand{part.dims, trace.numbers[numbers].values};
      };
      for (std::size_t i = 0; i < trace.events.size(); ++i) {
        state.go_to(i + 1);
        std::optional<Product> product;
        Id node = trace::kNone, result = trace::kNone, other = trace::kNone;
        bool is_forward = false;
        if (const auto* made = std::get_if<trace::Computed>(&trace.events[i])) {
          node = made->node;
          product = product_of(trace, trace.nodes[node]);
          result = made->value;
          is_forward = true;
        } else if (const auto* given = std::get_if<trace::Contribution>(&trace.events[i])) {
          node = given->node;
          product = gradient_product_of(trace, trace.nodes[node], given->input);
          result = given->gradient;
          other = given->upstream[0];
        }
        if (!product) continue;
        const trace::Node& made = trace.nodes[node];
        const std::string& op = trace.ops[made.op].name;
        const Operand left = operand(made, product->factors[0], other),
                      right = operand(made, product->factors[1], other),
                      wanted{product->result.dims, trace.numbers[result].values};
        CAPTURE(left.dims + "," + right.dims + "->" + wanted.dims);
        const double scale = op == "addmm" ? call.number("alpha", 1) : 1;
        Tensor added = zeros(wanted.values.sizes(), wanted.values.dtype());
        const std::size_t addend = op == "addmm" ? 0 : 2;  // c, or the bias
        if (is_forward && made.inputs.size() == 3 && made.inputs[addend] != trace::kNone)
          added = added + trace.numbers[state.of(made.inputs[addend]).value].values *
                              (op == "addmm" ? call.number("beta", 1) : 1);
        const std::vector<double> sums = multiply(left, right, wanted),
                                  numbers = wanted.values.to_vector<double>(),
                                  rest = added.to_vector<double>();
        for (std::size_t k = 0; k < sums.size(); ++k)
          CHECK(numbers[k] == doctest::Approx(scale * sums[k] + rest[k]).epsilon(1e-9));
        ++(is_forward ? forward : backward)[op];
      }
    }
  }
  for (const char* op : {"linear", "matmul", "addmm"}) {
    CAPTURE(op);
    CHECK(forward[op] >= 3);
    CHECK(backward[op] >= 6);
  }
  // An op whose texts come to read like a product is looked at by whoever writes them.
  CHECK(forward.size() == 3);
  CHECK(backward.size() == 3);
}

TEST_CASE("texts that are no product of two are none") {
  trace::Trace trace;
  trace.nodes.resize(3);
  for (trace::Node& node : trace.nodes) node.sizes = {2, 2};
  trace.nodes[2].op = 0;
  trace.nodes[2].inputs = {0, 1};
  const auto product = [&](const std::string& formula) {
    trace.ops = {{"op", formula, "da = g bᵀ, db = aᵀ g", false}};
    return product_of(trace, trace.nodes[2]);
  };
  for (const char* formula : {"y = a b", "y = a bᵀ + a", "y = 2·(a b)", "y = β·b + α·(aᵀ b)"}) {
    CAPTURE(formula);
    CHECK(product(formula).has_value());
  }
  for (const char* formula :
       {"", "y", "a b", "y = a", "y = a · b", "y = a b a", "y = a c", "y = exp(a b)",
        "y = a b + a b", "y = a b - b", "y = a b, where a > 0", "y = softmax(a bᵀ)", "y = (a b",
        "y = a  b", "y = a·(a b)", "P = softmax(s · a bᵀ), y = P b"}) {
    CAPTURE(formula);
    CHECK(!product(formula).has_value());
  }
  CHECK(product("y = a bᵀ")->factors[1].dims == "jk");
  trace.nodes[1].sizes = {3, 2};
  CHECK(!product("y = a b").has_value());
  CHECK(!product("y = a bᵀ").has_value());  // whose shape is another
  trace.nodes[2].sizes = {2, 3};
  CHECK(product("y = a bᵀ").has_value());
}
