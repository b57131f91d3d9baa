#pragma once

// A node of the tape: one op that was computed, and how to go back through it.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <retrace/autograd/grad_mode.h>
#include <retrace/tensor/small_vector.h>
#include <retrace/tensor/tensor.h>

namespace retrace {

class Backprop;
class Gradients;
struct NodeNotes;

/// Where the gradient of a node's input goes: to the node that produced the input, or into the
/// leaf. Empty for an input that wants no gradient.
struct Edge {
  Ref<Node> node;
  Ref<TensorData> leaf;
  std::uint32_t output = 0;  ///< which output of `node`

  explicit operator bool() const { return node || leaf; }
  const Shape& sizes() const;
  DType dtype() const;
};

/// Edge that leads to where `tensor`'s gradient goes.
Edge edge_to(const Tensor& tensor);

/// One recorded op. Nodes are numbered as they are created, so an op's number is larger than those
/// of the ops that made its inputs: newest first is a valid order for backward.
///
/// A node of one's own derives from NodeOf<Self>, has texts for the person who steps through,
/// saves what its gradient needs, and gives one gradient for each input:
///
///     struct Cube final : NodeOf<Cube> {
///       static constexpr std::string_view op = "cube", formula = "y = x³",
///                                         gradient = "dx = g · 3x²";
///       void backward(const Tensor& g, Gradients& grads) override {
///         grads.give(0, g * saved_input(0).square() * 3);
///       }
///     };
///     Tensor cube(const Tensor& x) {
///       Tensor y = without_recording([&] { return x * x * x; });
///       return record<Cube>(std::move(y), {&x}, [&](Cube& node) { node.save_input(0, x); });
///     }
///
/// Written with tensor ops, as here, backward can itself be recorded (create_graph).
class Node {
 public:
  Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual ~Node();

  virtual std::string_view name() const = 0;
  /// What it computes, as text: "y = tanh(x)".
  virtual std::string_view formula_text() const = 0;
  /// The gradient rule as text: "dx = g · (1 - y²)", g being the upstream gradient.
  virtual std::string_view gradient_text() const = 0;
  /// Each element of the output is computed from the same element of each input (broadcast): then
  /// the gradient of an input is upstream · local derivative.
  virtual bool is_elementwise() const { return false; }
  /// Gives the gradient of each input that wants one. `upstream` is the gradient of the output,
  /// undefined when there are several outputs and nothing flowed into the first. A pure function:
  /// in a pass that is stepped or recorded it is called more than once, also with upstream
  /// gradients of ones.
  virtual void backward(const Tensor& upstream, Gradients& gradients) = 0;
  /// For nodes with several outputs: the gradients of outputs 1, 2, ... are in `others` (null when
  /// none arrived; undefined entries likewise).
  virtual void backward_outputs(const Tensor& upstream, const std::vector<Tensor>* others,
                                Gradients& gradients) {
    static_cast<void>(others);
    backward(upstream, gradients);
  }
  /// Forward mode: the tangents of the outputs, made of those of the inputs; an undefined one is 0.
  /// By default it follows from backward, which is linear in the upstream gradient. A node that
  /// knows a shorter way overrides it. Not recorded.
  virtual std::vector<Tensor> jvp(const std::vector<Tensor>& tangents);

  /// Creation number, the same run after run; 0 until it is recorded.
  std::uint64_t number() const { return number_; }

  std::size_t inputs() const { return edges_.size(); }
  const Edge& input(std::size_t i) const { return edges_[i]; }
  bool wants(std::size_t i) const { return static_cast<bool>(edges_[i]); }
  const Shape& output_sizes(std::uint32_t output = 0) const {
    return output == 0 ? sizes_ : other_outputs_[output - 1].sizes;
  }
  DType output_dtype(std::uint32_t output = 0) const {
    return output == 0 ? dtype_ : other_outputs_[output - 1].dtype;
  }

  /// Keeps input `i` (or a rearranged copy of it) for backward, detached.
  void save_input(std::size_t i, const Tensor& tensor) { save(tensor, static_cast<int>(i)); }
  /// Keeps output number k for backward, detached.
  void save_output(const Tensor& tensor, std::uint32_t k = 0) {
    save(tensor, kFirstOutput - static_cast<int>(k));
  }
  /// Keeps something that is neither, such as a mask. Its gradient is not recorded.
  void save_extra(const Tensor& tensor) { save(tensor, kExtra); }
  /// What was kept. AutogradError when it was changed in place since, or freed.
  Tensor saved_input(std::size_t i) const { return unpack(static_cast<int>(i), 0); }
  Tensor saved_output(std::uint32_t k = 0) const {
    return unpack(kFirstOutput - static_cast<int>(k), 0);
  }
  Tensor saved_extra(std::size_t k = 0) const { return unpack(kExtra, k); }

  /// AutogradError if backward cannot run: saved tensors freed by an earlier pass or changed.
  void check_saved() const;
  bool released() const { return released_; }
  /// Drops what was saved. A node that keeps more overrides it and calls this one.
  virtual void release_saved();

  /// Module that the op ran in, such as "block0.norm"; known while places are noted (see
  /// anomaly.h).
  std::string place() const;
  /// Where in the program the op was called; known while places are noted.
  std::string call_site() const;

  static void* operator new(std::size_t bytes);
  static void operator delete(void* block, std::size_t bytes) noexcept;

 private:
  friend class Backprop;
  friend class Tensor;
  friend void retain(Node* node);
  friend void release(Node* node);
  friend void attach(const Tensor& output, Ref<Node> node, std::uint32_t k);
  friend void connect(Node& node, std::span<const Tensor* const> inputs);
  friend void forget_tensor(TensorData& tensor);
  friend void watch_gradient(const Node& node, std::size_t input, const Tensor& gradient,
                             bool summed, const Tensor& upstream);

  static constexpr int kExtra = -1, kFirstOutput = -2;  // output k: kFirstOutput - k
  struct Saved {
    Ref<TensorData> tensor;
    std::uint32_t version = 0;
    std::int32_t source = 0;  // number of the input, kExtra, or an output
  };

  struct Output {
    Shape sizes;
    DType dtype = DType::float32;
  };

  void save(const Tensor& tensor, int source);
  Tensor unpack(int source, std::size_t k) const;
  std::vector<Tensor> transposed_backward(const std::vector<Tensor>& tangents);
  void check_version(const Saved& saved) const;
  NodeNotes& notes();

  RefCount references_;
  bool released_ = false;
  DType dtype_ = DType::float32;
  std::atomic<std::uint32_t> position_{0};  // in the pass that last reached it: a hint
  std::atomic<std::uint64_t> pass_{0};      // that pass
  std::uint64_t number_ = 0;
  Node* next_freed_ = nullptr;
  SmallVector<Edge, 3> edges_;
  SmallVector<Saved, 3> saved_;
  std::unique_ptr<NodeNotes> notes_;
  Shape sizes_;
  std::vector<Output> other_outputs_;
};

/// Node whose texts are constants of the class; `elementwise = true` may be one, too.
template <class Self>
struct NodeOf : Node {
  std::string_view name() const override { return Self::op; }
  std::string_view formula_text() const override { return Self::formula; }
  std::string_view gradient_text() const override { return Self::gradient; }
  bool is_elementwise() const override {
    return requires { requires Self::elementwise; };
  }
};

/// The gradients that a node gives back, one for each input.
class Gradients {
 public:
  bool wants(std::size_t i) const { return given_[i].wanted; }
  /// The engine checks dtype and shape, and sums a broadcast one down to the input's shape.
  /// Each input that wants a gradient must be given one; an undefined one stands for zeros.
  void give(std::size_t i, Tensor gradient) {
    if (i >= given_.size()) [[unlikely]]
      refuse(i);
    given_[i].gradient = std::move(gradient);
    given_[i].answered = true;
  }
  /// A buffer holding what was accumulated for input `i` so far, when nobody else can see it: the
  /// op may add its gradient there instead of giving it. Undefined when there is none.
  Tensor accumulator(std::size_t i);

 private:
  friend class Backprop;
  friend class Node;
  struct Given {
    Tensor gradient;
    bool answered = false;
    bool fused = false;   // added to the sum by the op, or would have been
    bool wanted = false;  // leads to something that was asked for
  };
  /// Somebody wants to see the gradients `apart`: none is added to a sum by the op.
  Gradients(Backprop& pass, Node& node, bool apart);
  /// Outside of a pass, of those inputs that have a tangent.
  Gradients(Node& node, const std::vector<Tensor>& tangents);
  /// What was given for an input that wants it, undefined: zeros. AutogradError when nothing was.
  Tensor take(std::size_t i);
  [[noreturn]] void refuse(std::size_t i) const;
  bool is_shared(std::size_t i) const;

  Backprop* pass_ = nullptr;
  Node& node_;
  const bool apart_;
  SmallVector<Given, 3> given_;
};

// Recording ---------------------------------------------------------------------------------

/// Somebody watches the ops of this thread (anomaly mode, an observer).
extern thread_local constinit bool ops_watched;
/// Tells them.
void watch_op(std::string_view op, const Node* node, const Tensor& output,
              std::span<const Tensor* const> inputs);
/// Gives a new node its number and its edges, then makes it the producer of its output number k
/// (k = 0, 1, ...). AutogradError when that output is an input, or was already recorded.
void connect(Node& node, std::span<const Tensor* const> inputs);
inline void connect(Node& node, std::initializer_list<const Tensor*> inputs) {
  connect(node, std::span(inputs.begin(), inputs.size()));
}
void attach(const Tensor& output, Ref<Node> node, std::uint32_t k = 0);

/// Recording is on, and one of the inputs wants a gradient.
inline bool wants_recording(std::span<const Tensor* const> inputs) {
  if (!GradMode::is_enabled()) return false;
  for (const Tensor* input : inputs) {
    if (input->defined() && input->requires_grad()) return true;
  }
  return false;
}
inline bool wants_recording(std::initializer_list<const Tensor*> inputs) {
  return wants_recording(std::span(inputs.begin(), inputs.size()));
}

/// Ends every differentiable op: puts a node N on the tape that leads from `output` back to
/// `inputs`, if one of them wants a gradient and recording is on. `save(node)` keeps what backward
/// needs; undefined inputs are optional arguments that were not given.
template <class N, class Save, class... Args>
Tensor record(std::string_view op, Tensor output, std::span<const Tensor* const> inputs,
              Save&& save, Args&&... args) {
  if (wants_recording(inputs)) {
    auto* node = new N(std::forward<Args>(args)...);
    auto owner = Ref<Node>::adopt(node);
    connect(*node, inputs);
    save(*node);
    attach(output, std::move(owner));
  }
  if (ops_watched) [[unlikely]]
    watch_op(op, output.get().producer.get(), output, inputs);
  return output;
}
/// Of a node whose class knows the name of its op.
template <class N, class Save, class... Args>
Tensor record(Tensor output, std::span<const Tensor* const> inputs, Save&& save, Args&&... args) {
  return record<N>(N::op, std::move(output), inputs, std::forward<Save>(save),
                   std::forward<Args>(args)...);
}
template <class N, class Save, class... Args>
Tensor record(Tensor output, std::initializer_list<const Tensor*> inputs, Save&& save,
              Args&&... args) {
  return record<N>(N::op, std::move(output), std::span(inputs.begin(), inputs.size()),
                   std::forward<Save>(save), std::forward<Args>(args)...);
}

/// Ends every op that has no gradient.
inline Tensor unrecorded(std::string_view op, Tensor output,
                         std::initializer_list<const Tensor*> inputs) {
  if (ops_watched) [[unlikely]]
    watch_op(op, nullptr, output, std::span(inputs.begin(), inputs.size()));
  return output;
}

/// While one lives, rules that are recorded see what their nodes saved as leaves without history.
class SavedAsLeaves {
 public:
  SavedAsLeaves() : before_(std::exchange(active_, true)) {}
  ~SavedAsLeaves() { active_ = before_; }
  SavedAsLeaves(const SavedAsLeaves&) = delete;
  SavedAsLeaves& operator=(const SavedAsLeaves&) = delete;
  static bool is_active() { return active_; }

 private:
  static thread_local constinit bool active_;
  bool before_;
};

/// f() with recording off.
template <class F>
decltype(auto) without_recording(F&& f) {
  const NoGradGuard guard;
  return f();
}

}  // namespace retrace
