// The chain of W1 without a framework: on an array of records, and on one heap node and one heap
// buffer per op, released one by one.
#include <cstdlib>
#include <memory>
#include <vector>

#include <retrace/bench/limits/workloads.h>

namespace retrace::bench {

namespace {

constexpr int kPairs = 500;
constexpr double kNanosecondsPerOp = 1e9 / (2 * kPairs);

enum class Op { leaf, add, multiply };

// --- an array of records ---

struct Record {
  Op op;
  int input;
  float constant, value, gradient;
};

float chain_of_records(std::vector<Record>& tape, float a, float b) {
  tape.clear();
  tape.push_back({Op::leaf, -1, 0, 1, 0});
  for (int i = 0; i < kPairs; ++i) {
    const int x = static_cast<int>(tape.size()) - 1;
    tape.push_back({Op::add, x, a, tape.back().value + a, 0});
    tape.push_back({Op::multiply, x + 1, b, tape.back().value * b, 0});
  }
  tape.back().gradient = 1;
  for (size_t i = tape.size() - 1; i > 0; --i) {
    const Record& r = tape[i];
    tape[static_cast<size_t>(r.input)].gradient +=
        r.op == Op::add ? r.gradient : r.gradient * r.constant;
  }
  return tape[0].gradient;
}

// --- one heap node and one heap buffer per op ---

struct Release {
  void operator()(float* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<float, Release>;

Buffer buffer(float value) {
  Buffer b(static_cast<float*>(std::malloc(64)));
  *b = value;
  return b;
}

struct Node {
  virtual ~Node() = default;
  virtual float backward(float upstream) const = 0;
  std::unique_ptr<Node> input;
  Buffer value;
};
struct Leaf : Node {
  float backward(float upstream) const override { return upstream; }
};
struct Add : Node {
  float backward(float upstream) const override { return upstream; }
};
struct Multiply : Node {
  explicit Multiply(const float* constant) : other(constant) {}
  float backward(float upstream) const override { return upstream * *other; }
  const float* other;
};

std::unique_ptr<Node> recorded(std::unique_ptr<Node> node, std::unique_ptr<Node> input,
                               float value) {
  node->input = std::move(input);
  node->value = buffer(value);
  return node;
}

float chain_on_heap(const float* a, const float* b) {
  std::unique_ptr<Node> y = recorded(std::make_unique<Leaf>(), nullptr, 1);
  for (int i = 0; i < kPairs; ++i) {
    const float sum = *y->value + *a;
    y = recorded(std::make_unique<Add>(), std::move(y), sum);
    const float product = *y->value * *b;
    y = recorded(std::make_unique<Multiply>(b), std::move(y), product);
  }
  Buffer gradient = buffer(1);
  while (y != nullptr) {
    gradient = buffer(y->backward(*gradient));
    y = std::move(y->input);
  }
  return *gradient;
}

}  // namespace

void op_overhead(const Run& run) {
  volatile float sink = 0;  // keeps the work from being optimised away
  const auto a = buffer(1e-3F), b = buffer(0.999F);
  std::vector<Record> tape;
  report_time(run, "op_overhead_records", "ns/op", kNanosecondsPerOp,
              [&] { sink = chain_of_records(tape, *a, *b); });
  report_time(run, "op_overhead", "ns/op", kNanosecondsPerOp,
              [&] { sink = chain_on_heap(a.get(), b.get()); });
}

}  // namespace retrace::bench
