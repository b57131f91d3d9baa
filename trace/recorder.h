#pragma once

// Records what a program computes, as a listener on the tape.

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include <retrace/autograd/observer.h>
#include <retrace/tensor/named.h>
#include <retrace/trace/trace.h>

namespace retrace::trace {

struct RecorderOptions {
  std::int64_t elements = 4096;      ///< of a larger tensor a summary, a hash and a corner are kept
  std::int64_t corner = 8;           ///< elements of the corner along the last two dims
  std::size_t events = 500'000;      ///< what comes after so many is left out
  std::size_t bytes = 256ull << 20;  ///< of numbers kept in full; later ones are summarised
  std::string program = "";          ///< "": the name of this process
};

/// While it lives, everything that this thread computes is recorded:
///
///     trace::Recorder recorder;
///     Tensor loss = (w * x - y).square().mean();
///     loss.backward();
///     optimizer.step();
///     recorder.save("trace.json");
///
/// ops, backward passes, gradients dropped and clipped, updates of optimizers; where in the program
/// and in which module. The numbers that the program computes are those of a run without it, bit
/// for bit; the time is not. No tensor lives longer for it. While another one lives that came
/// later, that one hears everything, and this one nothing.
///
/// Parameters of modules in whose forward function they are used have their names; name() gives
/// names to others. Ops of before it are known by their nodes, without their results.
class Recorder final : public TapeObserver {
 public:
  explicit Recorder(const RecorderOptions& options = {});

  void name(const Tensor& tensor, const std::string& name);
  /// As model.named_parameters() gives them.
  void name(const NamedTensors& tensors);
  /// Marks that a step of training begins.
  void training_step(std::int64_t number);

  /// How many contributions were held against differences.
  struct Checked {
    std::size_t measured = 0, left_out = 0, differ = 0;
  };
  /// Holds each gradient of the last backward pass against finite differences of what it began
  /// from, which `loss` computes again, each time: from the same parameters, with the same random
  /// numbers. What is found stands in the trace's contributions. Left out are those of views, of
  /// tensors that an op reads twice, of further results of an op, and of tensors from before. Of a
  /// tensor that was too large to be kept whole, only what was kept is moved.
  /// Nothing is changed, but what `loss` itself changes: running means of a batch norm, say. Costs
  /// some twenty passes forward a contribution; float32 leaves it four digits or less. ValueError
  /// when `loss` does something else.
  Checked check(const std::function<Tensor()>& loss);

  const Trace& trace() const { return trace_; }
  /// IoError when the file cannot be written.
  void save(const std::string& path) const { trace_.save(path); }
  /// As a page to step through in a browser. The same errors.
  void save_html(const std::string& path) const { trace_.save_html(path); }

  void on_op(std::string_view op, const retrace::Node* node, const Tensor& output,
             std::span<const Tensor* const> inputs) override;
  void on_backward(const Backprop& pass) override;
  void on_step(const Step& step) override;
  void on_accumulation(const retrace::Accumulation& sum) override;
  void on_hooks(const Edge& to, const Tensor& gradient, std::uint64_t pass) override;
  void on_zero_grad(const Tensor& tensor) override;
  void on_clip(const Clipping& clipping) override;
  void on_update(const retrace::Update& update) override;

 private:
  struct Pass {                                        // the last one
    Id node = kNone, value = kNone, gradient = kNone;  // where it began
    std::size_t seeds = 0, ops = 0;                    // ops: that had run
    std::uint32_t number = 0;
  };

  bool is_full();
  void emit(Event event);
  void give_pending();
  Id add_op(std::string_view name, const retrace::Node* node);
  Id add_node(Node node);
  Id add_recorded(const retrace::Node& node, std::uint32_t output, std::vector<Id> inputs);
  Id add_from_before(const retrace::Node& node, std::uint32_t output);
  Id of_tensor(const Tensor& tensor);
  Id of_leaf(const Tensor& tensor, Id value = kNone);
  Id add_leaf(const Tensor& tensor, Id value);
  Id of_edge(const Edge& edge);
  Id find_recorded(const retrace::Node& node, std::uint32_t output) const;
  std::uint32_t number_of(std::uint64_t pass);
  std::string name_of(const Tensor& tensor) const;
  void look_again(Id node, const Tensor& tensor);
  void note_change(Id node, Change::Of of, Id now, std::uint32_t pass = 0);
  Id numbers_of(const Tensor& tensor);
  Id gradient_of(const Tensor& tensor);

  RecorderOptions options_;
  Trace trace_;
  std::unordered_map<std::uint64_t, std::vector<Id>> recorded_;  // by the op's number: its outputs
  // By identity_of.
  std::unordered_map<std::uint64_t, Id> leaves_;
  std::unordered_map<std::uint64_t, std::string> names_;
  std::unordered_map<std::uint64_t, std::uint32_t> passes_;  // by Backprop::number(), from 1 on
  std::unordered_map<std::string, Id> ops_;
  std::unordered_multimap<std::uint64_t, Id> by_content_;
  std::vector<NodeState> known_;  // of each node, as the events so far tell it
  std::vector<Id> ran_;           // results of ops, in their order
  Pass last_pass_;
  std::vector<Contribution> pending_;  // not added to a sum yet
  std::size_t bytes_ = 0;
  ObserverScope scope_;
};

}  // namespace retrace::trace
