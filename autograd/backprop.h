#pragma once

// Going back along the tape. `loss.backward()` is the loop
//     for (Backprop pass(loss); !pass.done();) pass.step();
// so stepping through backward and running it are the same code.

#include <iosfwd>
#include <limits>
#include <unordered_map>
#include <vector>

#include <retrace/autograd/node.h>

namespace retrace {

class TapeObserver;

struct BackwardOptions {
  Tensor gradient = {};       ///< of the output; needed unless it is a scalar
  bool retain_graph = false;  ///< keep what nodes saved, so that a second pass is possible
  /// Record backward itself, for second derivatives. The grad of a leaf then has a history that
  /// leads back to the leaf: both stay in memory until zero_grad(). grad() has no such loop.
  bool create_graph = false;
};

/// One step of a pass: a node, the gradient that arrived at its output, and the gradients that it
/// gave to its inputs (undefined where none is wanted). They are copies, unless the pass creates a
/// graph: keeping a step changes nothing.
struct Step {
  Ref<Node> node;
  std::uint64_t pass = 0;  ///< Backprop::number()
  std::vector<Tensor> upstream;
  std::vector<Tensor> gradients;
  /// Of an elementwise op, for each input, dy/dx in the shape of the output: what the rule makes of
  /// an upstream gradient of ones. Undefined elsewhere.
  std::vector<Tensor> local;
  /// What the rule gave where the engine summed it up, because the input was broadcast; undefined
  /// elsewhere.
  std::vector<Tensor> unsummed;
  /// "mul #17: da = g · b, db = g · a" and the tensors, a line each.
  std::string str() const;
};
/// "summed over axis 0, because [4] was broadcast to [32, 4]"
std::string broadcast_text(const Shape& from, const Shape& to);
std::ostream& operator<<(std::ostream& out, const Step& step);

/// A backward pass from one or more outputs to the leaves they depend on: the nodes in between,
/// newest first. A node's number is larger than those of the nodes behind it, so each is reached
/// after everything that used its output, and no recursion is needed.
///
/// Gradients are added into the `grad` of the leaves as they come (leaves with hooks: at the end of
/// the pass). When a node or a hook throws, the pass is over; leaves reached so far keep what they
/// got. A pass belongs to one thread, and so does a graph while passes run over it. Several passes
/// over one graph may take turns, and a hook may run another pass.
class Backprop {
 public:
  /// AutogradError when `output` has no history or its graph was freed, when a saved tensor
  /// changed, or when a gradient is needed; ShapeError, DTypeError when it does not fit. Nothing is
  /// changed.
  explicit Backprop(const Tensor& output, const BackwardOptions& options = {});
  /// From several outputs. With `inputs`, gradients are kept for those tensors (see gradients())
  /// and no leaf is changed; nodes that lead to none of them are left out.
  Backprop(const std::vector<Tensor>& outputs, const std::vector<Tensor>& gradients,
           const std::vector<Tensor>* inputs, bool retain_graph, bool create_graph);
  ~Backprop();
  Backprop(const Backprop&) = delete;
  Backprop& operator=(const Backprop&) = delete;

  /// Another for each pass: several may take turns, or run in each other's hooks.
  std::uint64_t number() const { return pass_; }
  bool done() const { return next_ == tape_.size(); }
  /// Runs the next node that a gradient reached. ValueError when the pass is done.
  Step step();
  /// Runs all that is left; or until at least `until` nodes are behind us.
  void run(std::size_t until = std::numeric_limits<std::size_t>::max());
  /// The nodes of the pass, newest first.
  std::vector<Ref<Node>> tape() const;
  /// Number of nodes, and how many are behind us.
  std::size_t size() const { return tape_.size(); }
  std::size_t position() const { return next_; }

  /// After the pass: gradients of the `inputs` it was made for; undefined where nothing flowed.
  /// Unless the pass creates a graph, they share memory with no other tensor.
  std::vector<Tensor> gradients() const;

 private:
  friend class Gradients;
  struct Slot {
    Ref<Node> node;
    Tensor gradient;                              // of output 0
    std::unique_ptr<std::vector<Tensor>> others;  // of outputs 1, 2, ...
    bool needed = true;                           // leads to one of the inputs asked for
    bool asked = false;                           // one of its outputs is one of them
    Tensor& at(std::uint32_t output);
    bool reached() const;
  };
  struct LeafSum {
    Ref<TensorData> leaf;
    Tensor gradient;
  };
  struct Target {
    Ref<Node> node;
    std::uint32_t output;
    Ref<TensorData> leaf;
    Tensor gradient;
  };

  void set_targets(const std::vector<Tensor>& inputs);
  void collect(const std::vector<Tensor>& outputs);
  void leave_out_unneeded();
  bool is_needed(const Edge& edge);
  void seed(const std::vector<Tensor>& outputs, const std::vector<Tensor>& gradients);
  Slot& slot_of(Node& node);
  void advance(Step* step);
  void take(Step* step);
  void pass_over();
  void leave(Slot& slot);
  void run_node(Slot& slot);
  void run_rule(Slot& slot, Gradients& gradients);
  Tensor take_given(Node& node, std::size_t input, Gradients& gradients);
  // The same watched: the step is filled in, the observer is told.
  void run_node_watched(Slot& slot, Step& step);
  void find_local_derivatives(Slot& slot, Step& step);
  void add_fused(Slot& slot, const Step& step, const Gradients& apart);
  void add_to_sum(Tensor& sum, Tensor gradient, const Edge& to);
  void accumulate_watched(Tensor& sum, Tensor gradient, const Edge& to, bool in_grad);
  Tensor shown(const Tensor& x) const;
  void finish_outputs(Slot& slot);
  void route(Node& node, std::size_t input, Tensor gradient);
  Tensor sum_at(const Edge& edge);
  Tensor through_hook(GradientHook& hook, const Tensor& gradient) const;
  void accumulate(Tensor& sum, Tensor gradient);
  void add_to_grad(TensorData& tensor, Tensor gradient);
  void into_leaf(const Ref<TensorData>& leaf, Tensor gradient);
  void finish();

  std::vector<Slot> tape_;
  std::size_t next_ = 0;
  // Of leaves that were asked for, or whose hooks wait for the whole gradient.
  std::vector<LeafSum> leaf_sums_;
  std::unordered_map<const TensorData*, std::size_t> leaf_positions_;
  std::vector<Target> targets_;
  std::uint64_t oldest_ = 0;  // what is older leads to no target
  std::uint64_t pass_;
  bool for_inputs_ = false, retain_graph_, create_graph_;
  TapeObserver* observer_ = nullptr;  // while the pass begins or takes a watched step
  const Node* giving_ = nullptr;      // whose gradients it is told of
  std::size_t giving_input_ = 0;
};

/// Gradients of sum(outputs · grad_outputs) with respect to `inputs`; the grad of no tensor is
/// touched, and of gradients in between only those that lead to `inputs` are computed. grad_outputs
/// may be empty for scalars. AutogradError for an input that the outputs do not depend on, unless
/// allow_unused (then it is undefined in the result).
std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                         const std::vector<Tensor>& grad_outputs = {}, bool retain_graph = false,
                         bool create_graph = false, bool allow_unused = false);

}  // namespace retrace
