#pragma once

// A trace: what a program computed, in the order in which it did, with the numbers. A Recorder
// makes one, a file keeps it, and whoever shows it needs nothing else.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace::trace {

/// Of the files that this build writes and reads.
inline constexpr int kVersion = 1;
/// Bytes of a file, which is neither written nor read when it is larger.
inline constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 30;

/// A position in one of the lists of a Trace.
using Id = std::uint32_t;
inline constexpr Id kNone = 0xffffffff;

/// The numbers of a tensor at one moment.
struct Numbers {
  Shape sizes;
  DType dtype = DType::float32;
  /// All of them, or of a large tensor the corner: the first few of the last two dims, the first of
  /// the others.
  Tensor values;
  bool complete = true;
  std::int64_t non_finite = 0;  ///< how many of all elements are NaN or infinite
  /// Of all finite elements, unless complete; NaN where there are none. norm: sqrt(Σ x²).
  double min = 0, max = 0, mean = 0, norm = 0;
  std::optional<std::uint64_t>
      hash;  ///< of all elements (docs/trace.md); none: complete, or not known
};

/// What a kind of op says of itself.
struct Op {
  std::string name, formula, gradient;
  bool elementwise = false;
};

/// A tensor that took part: the result of an op, a leaf or a constant.
struct Node {
  Id op = kNone;  ///< that made it; none: a leaf, or a constant that was there before
  std::string place, site, name;  ///< "block0.norm"; "train.cpp:42 (step)"; "block0.norm.weight"
  Shape sizes;
  DType dtype = DType::float32;
  bool requires_grad = false;
  std::uint32_t output = 0;  ///< which of the op's results it is
  std::uint64_t number = 0;  ///< Node::number() of the op on the tape; 0: it was not recorded there
  std::vector<Id> inputs;    ///< nodes; none: an argument left out, or not known
  bool is_leaf() const { return op == kNone; }
};

// Events ------------------------------------------------------------------------------------------
// Nodes and numbers are given by position.

/// A tensor has its numbers: an op has run, or a leaf or constant was used for the first time.
struct Computed {
  Id node, value;
};
/// A backward pass begins at a node with this gradient.
struct Seed {
  Id node, before, gradient, after;
  std::uint32_t pass = 0;  ///< numbered from 1 on; 0: not known
};
/// A slope of what the pass began from, by finite differences, when only the reader of a tensor
/// sees it move by unit length; of a single number, its derivative.
struct Measured {
  double slope, error;   ///< `error`: how sure the measurement is
  double expected;       ///< what the gradient says
  bool differs() const;  ///< further apart than the measurement allows
};
/// The rule of `node` gave its input number `input` a gradient.
struct Contribution {
  Id node;
  std::uint32_t input;
  std::vector<Id> upstream;  ///< of each output; none where no gradient arrived
  Id local;                  ///< dy/dx of an elementwise op in the output's shape, else none
  Id unsummed;  ///< the gradient before it was summed because the input was broadcast, else none
  Id gradient;  ///< in the input's shape
  /// Along the gradient that was kept, and in a direction that was drawn, which sees what it leaves
  /// out; none: not measured.
  std::vector<Measured> measured = {};
  std::uint32_t pass = 0;  ///< as of Seed
  /// One of them does. At a kink, such as that of relu, a difference sees both of its sides; behind
  /// a detach or a hook the gradient means to be another.
  bool differs() const;
};
/// A gradient was added: after = before + contribution. `in_grad`: into the tensor's `grad`, else
/// into the sum of the pass that will be the upstream gradient of `node`.
struct Accumulation {
  Id node;
  bool in_grad;
  Id from;  ///< whose input number `input` it came through; none: the sum of the pass, complete
  std::uint32_t input;
  Id before, contribution, after;  ///< before: none at first
  bool fused;  ///< added by the product that made it, which may round the last digits otherwise
  std::uint32_t pass = 0;  ///< as of Seed
};
/// Gradients were dropped.
struct ZeroGrad {
  std::vector<Id> nodes;
};
/// Gradients were scaled by `scale`, because their norm was larger than max_norm; 1: it was not.
struct Clip {
  /// One of them, before and after.
  struct Clipped {
    Id node, before, after;
  };
  double norm, norm_type, max_norm, scale;
  std::vector<Clipped> gradients;
};
/// An optimizer updated a parameter.
struct Update {
  /// What the optimizer keeps for the parameter: a moment, an average.
  struct Kept {
    std::string name;
    Id before, after;
  };
  std::string optimizer;
  double lr;
  std::int64_t step;
  Id node, gradient, before, after;
  std::vector<Kept> kept;
};
/// Numbers differ from what the trace knew: the program changed them itself (in place, by a hook).
struct Change {
  enum class Of { value, gradient, upstream };
  Id node;
  Of of;
  Id before, after;
  std::uint32_t pass = 0;  ///< of an upstream gradient, as of Seed
};
/// A step of training begins.
struct TrainingStep {
  std::int64_t number;
};

using Event = std::variant<Computed, Seed, Contribution, Accumulation, ZeroGrad, Clip, Update,
                           Change, TrainingStep>;

// The whole ---------------------------------------------------------------------------------------

/// A run that was recorded.
struct Trace {
  std::string program, compiler, blas;
  std::uint64_t seed = 0;
  bool complete = true;  ///< false: there were more events than the recorder was told to keep
  std::vector<Op> ops;
  std::vector<Node> nodes;
  std::vector<Numbers> numbers;
  std::vector<Event> events;

  /// The same trace gives the same bytes.
  std::string json() const;
  /// IoError when the file cannot be written, or were larger than kLargestFile; then there is the
  /// old one, or none.
  void save(const std::string& path) const;
  /// As a page that steps through it (trace/html.h). The same errors.
  void save_html(const std::string& path) const;
  /// IoError, which starts with the path, for what is not a whole trace of kVersion.
  static Trace load(const std::string& path);
  /// The same from a text; `name` stands for the path.
  static Trace parse(std::string_view json, const std::string& name);
};

/// The place for an event's pass; null for one that belongs to none.
std::uint32_t* pass_of(Event& event);

/// Goes through the events of a trace and knows the pass of each, which it does not say where it is
/// the usual one: a pass begins with a Seed, or several, and lasts until the next.
class PassCounter {
 public:
  /// Of the event that comes next; 0: it belongs to none.
  std::uint32_t usual(const Event& event) const;
  /// What the event says, or else the usual one; then goes on.
  std::uint32_t of(const Event& event);

 private:
  std::uint32_t begun_last_ = 0, most_ = 0;
  bool is_seeding_ = false;
};

/// What is known of a node after some events; none: nothing.
struct NodeState {
  Id value = kNone, upstream = kNone, grad = kNone;
};

/// The state after the first so many events of a trace, which must outlive it.
class State {
 public:
  explicit State(const Trace& trace) : trace_(trace), nodes_(trace.nodes.size()) {}
  /// Forwards or backwards.
  void go_to(std::size_t events);
  std::size_t position() const { return position_; }
  const NodeState& of(Id node) const { return nodes_.at(node); }

 private:
  const Trace& trace_;
  std::vector<NodeState> nodes_;
  std::size_t position_ = 0;
};

/// Changes what is known of nodes as `event` does. For those who keep states of their own.
void replay(const Event& event, std::vector<NodeState>& nodes);

}  // namespace retrace::trace
