#include <retrace/trace/recorder.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_set>

#include <retrace/autograd/call_site.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/scope.h>
#include <retrace/tensor/view.h>
#include <retrace/trace/numbers.h>

namespace retrace::trace {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#elif defined(__GNUC__)
constexpr const char* kCompiler = "g++ " __VERSION__;
#else
constexpr const char* kCompiler = "unknown";
#endif

std::string_view bytes_of(const Tensor& dense) {
  return {elements<char>(dense), static_cast<std::size_t>(dense.numel() * size_of(dense.dtype()))};
}

}  // namespace

Recorder::Recorder(const RecorderOptions& options) : options_(options), scope_(*this) {
  require<ValueError>(options.elements >= 1 && options.corner >= 1,
                      "Recorder: elements ({}) and corner ({}) must be at least 1",
                      options.elements, options.corner);
  trace_.program = options.program.empty() ? program_invocation_short_name : options.program;
  trace_.compiler = kCompiler;
  trace_.blas = "OpenBLAS, " + kernels::blas_kernels() + " kernels";
}

void Recorder::name(const Tensor& tensor, const std::string& name) {
  const std::uint64_t identity = identity_of(tensor.get());
  names_.insert_or_assign(identity, name);
  const auto leaf = leaves_.find(identity);
  if (leaf != leaves_.end()) trace_.nodes[leaf->second].name = name;
}

void Recorder::name(const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) this->name(tensor, name);
}

void Recorder::training_step(std::int64_t number) {
  give_pending();
  emit(TrainingStep{number});
}

// Numbers -----------------------------------------------------------------------------------------

// The same numbers are kept once. Of large ones only a hash of all is compared.
Id Recorder::numbers_of(const Tensor& tensor) {
  if (!tensor.defined()) return kNone;
  const Tensor dense = as_contiguous(tensor);
  const std::uint64_t hash = hash_of(dense);
  const auto [first, last] = by_content_.equal_range(hash);
  for (auto candidate = first; candidate != last; ++candidate) {
    const Numbers& kept = trace_.numbers[candidate->second];
    if (kept.sizes == dense.sizes() && kept.dtype == dense.dtype() &&
        (!kept.complete || bytes_of(kept.values) == bytes_of(dense)))
      return candidate->second;
  }
  const std::size_t bytes = bytes_of(dense).size();
  const bool is_corner = corner_sizes(dense.sizes(), options_.corner) == dense.sizes();
  const bool complete =
      is_corner || (dense.numel() <= options_.elements && bytes_ + bytes <= options_.bytes);
  if (complete) bytes_ += bytes;
  trace_.numbers.push_back(keep_numbers(dense, complete, options_.corner));
  if (!complete) trace_.numbers.back().hash = hash;
  const Id id = static_cast<Id>(trace_.numbers.size() - 1);
  by_content_.emplace(hash, id);
  return id;
}

Id Recorder::gradient_of(const Tensor& tensor) { return numbers_of(tensor.grad()); }

// Events ------------------------------------------------------------------------------------------

bool Recorder::is_full() {
  if (trace_.events.size() >= options_.events) trace_.complete = false;
  return !trace_.complete;
}

void Recorder::emit(Event event) {
  if (is_full()) return;
  if (trace_.events.empty())
    trace_.seed = default_generator().seed();  // of what is drawn from here
  replay(event, known_);
  trace_.events.push_back(std::move(event));
}

// Contributions that went into no sum.
void Recorder::give_pending() {
  for (Contribution& contribution : pending_) emit(std::move(contribution));
  pending_.clear();
}

void Recorder::note_change(Id node, Change::Of of, Id now, std::uint32_t pass) {
  const NodeState& known = known_[node];
  const Id before = of == Change::Of::value      ? known.value
                    : of == Change::Of::gradient ? known.grad
                                                 : known.upstream;
  if (before != now && !(of == Change::Of::upstream && before == kNone))
    emit(Change{node, of, before, now, pass});
}

// Nodes -------------------------------------------------------------------------------------------

Id Recorder::add_op(std::string_view name, const retrace::Node* node) {
  const std::string_view formula = node != nullptr ? node->formula_text() : "",
                         gradient = node != nullptr ? node->gradient_text() : "";
  std::string key(name);
  for (const std::string_view text : {formula, gradient}) (key += '\0') += text;
  const auto [place, is_new] = ops_.emplace(std::move(key), static_cast<Id>(trace_.ops.size()));
  if (is_new)
    trace_.ops.push_back({std::string(name), std::string(formula), std::string(gradient),
                          node != nullptr && node->is_elementwise()});
  return place->second;
}

Id Recorder::add_node(Node node) {
  trace_.nodes.push_back(std::move(node));
  known_.emplace_back();
  return static_cast<Id>(trace_.nodes.size() - 1);
}

Id Recorder::add_recorded(const retrace::Node& node, std::uint32_t output, std::vector<Id> inputs) {
  Node added;
  added.op = add_op(node.name(), &node);
  added.place = node.place();
  added.site = node.call_site();
  added.sizes = node.output_sizes(output);
  added.dtype = node.output_dtype(output);
  added.requires_grad = true;
  added.output = output;
  added.number = node.number();
  added.inputs = std::move(inputs);
  const Id id = add_node(std::move(added));
  std::vector<Id>& outputs = recorded_[node.number()];
  if (outputs.size() <= output) outputs.resize(output + 1, kNone);
  return outputs[output] = id;
}

Id Recorder::find_recorded(const retrace::Node& node, std::uint32_t output) const {
  const auto found = recorded_.find(node.number());
  return found == recorded_.end() || found->second.size() <= output ? kNone : found->second[output];
}

// What the program called it, or the module that is running.
std::string Recorder::name_of(const Tensor& tensor) const {
  const auto named = names_.find(identity_of(tensor.get()));
  return named != names_.end() ? named->second : PlaceScope::name_of(tensor.get());
}

Id Recorder::add_leaf(const Tensor& tensor, Id value) {
  Node leaf;
  leaf.name = name_of(tensor);
  leaf.sizes = tensor.sizes();
  leaf.dtype = tensor.dtype();
  leaf.requires_grad = tensor.requires_grad();
  const Id id = add_node(std::move(leaf));
  leaves_.insert_or_assign(identity_of(tensor.get()), id);
  emit(Computed{id, value != kNone ? value : numbers_of(tensor)});
  return id;
}

// `value`: what it was when that is known; otherwise it is what it is now.
Id Recorder::of_leaf(const Tensor& tensor, Id value) {
  const auto found = leaves_.find(identity_of(tensor.get()));
  if (found == leaves_.end()) return add_leaf(tensor, value);
  Node& leaf = trace_.nodes[found->second];
  // It was given other numbers, of another kind: a module's parameter that was converted.
  if (leaf.sizes != tensor.sizes() || leaf.dtype != tensor.dtype()) return add_leaf(tensor, value);
  leaf.requires_grad = leaf.requires_grad || tensor.requires_grad();
  if (leaf.name.empty() && leaf.is_leaf()) leaf.name = name_of(tensor);
  if (value == kNone) {
    look_again(found->second, tensor);
  } else {
    note_change(found->second, Change::Of::value, value);
  }
  return found->second;
}

Id Recorder::of_tensor(const Tensor& tensor) {
  if (!tensor.defined()) return kNone;
  const TensorData& data = tensor.get();
  if (!data.producer) return of_leaf(tensor);
  const Id found = find_recorded(*data.producer, data.output);
  const Id id = found != kNone ? found : add_from_before(*data.producer, data.output);
  look_again(id, tensor);
  return id;
}

Id Recorder::of_edge(const Edge& edge) {
  if (edge.leaf) return of_leaf(Tensor(edge.leaf));
  if (!edge.node) return kNone;
  const Id id = find_recorded(*edge.node, edge.output);
  return id != kNone ? id : add_from_before(*edge.node, edge.output);
}

// An op that nobody heard of: from before, an inner one of another, or one of several results. It
// comes after all that it was computed from, none of which need be known either.
Id Recorder::add_from_before(const retrace::Node& node, std::uint32_t output) {
  std::vector<const retrace::Node*> unknown = {&node};
  std::unordered_set<std::uint64_t> seen = {node.number()};
  for (std::size_t i = 0; i < unknown.size(); ++i) {
    for (std::size_t k = 0; k < unknown[i]->inputs(); ++k) {
      const retrace::Node* const behind = unknown[i]->input(k).node.get();
      if (behind != nullptr && !recorded_.contains(behind->number()) &&
          seen.insert(behind->number()).second)
        unknown.push_back(behind);
    }
  }
  std::sort(unknown.begin(), unknown.end(), [](const retrace::Node* a, const retrace::Node* b) {
    return a->number() < b->number();
  });
  Id id = kNone;
  for (const retrace::Node* each : unknown) {
    std::vector<Id> inputs;
    const Id first = find_recorded(*each, 0);
    if (first != kNone) {
      inputs = trace_.nodes[first].inputs;
    } else {
      for (std::size_t k = 0; k < each->inputs(); ++k) inputs.push_back(of_edge(each->input(k)));
    }
    id = add_recorded(*each, each == &node ? output : 0, std::move(inputs));
  }
  return id;
}

std::uint32_t Recorder::number_of(std::uint64_t pass) {
  return passes_.emplace(pass, static_cast<std::uint32_t>(passes_.size() + 1)).first->second;
}

// It may have changed unheard: in place, by writing through data_ptr, by taking another's numbers.
void Recorder::look_again(Id node, const Tensor& tensor) {
  const Id now = numbers_of(tensor);
  if (known_[node].value == kNone) return emit(Computed{node, now});
  note_change(node, Change::Of::value, now);
}

// What is observed --------------------------------------------------------------------------------

void Recorder::on_op(std::string_view op, const retrace::Node* node, const Tensor& output,
                     std::span<const Tensor* const> inputs) {
  if (is_full()) return;
  give_pending();
  std::vector<Id> ids;
  for (const Tensor* input : inputs) ids.push_back(of_tensor(*input));
  Id id = kNone;
  if (node != nullptr) {
    id = add_recorded(*node, output.get().output, std::move(ids));
  } else {
    Node constant;
    constant.op = add_op(op, nullptr);
    constant.place = PlaceScope::current();
    constant.site = describe_call_site(capture_call_stack());
    constant.sizes = output.sizes();
    constant.dtype = output.dtype();
    constant.inputs = std::move(ids);
    id = add_node(std::move(constant));
    leaves_.insert_or_assign(identity_of(output.get()), id);
  }
  ran_.push_back(id);
  emit(Computed{id, numbers_of(output)});
}

void Recorder::on_backward(const Backprop& pass) {
  if (is_full()) return;
  give_pending();
  last_pass_ = Pass{};
  last_pass_.number = number_of(pass.number());
  for (const Ref<retrace::Node>& node : pass.tape()) {
    if (!recorded_.contains(node->number())) add_from_before(*node, 0);
  }
}

void Recorder::on_step(const Step& step) {
  if (is_full()) return;
  give_pending();
  const Id id = of_edge({step.node, nullptr, 0});
  std::vector<Id> upstream;
  for (const Tensor& gradient : step.upstream) upstream.push_back(numbers_of(gradient));
  for (std::size_t i = 0; i < step.gradients.size(); ++i) {
    if (!step.gradients[i].defined()) continue;
    pending_.push_back({.node = id,
                        .input = static_cast<std::uint32_t>(i),
                        .upstream = upstream,
                        .local = numbers_of(step.local[i]),
                        .unsummed = numbers_of(step.unsummed[i]),
                        .gradient = numbers_of(step.gradients[i]),
                        .pass = number_of(step.pass)});
  }
}

void Recorder::on_hooks(const Edge& to, const Tensor& gradient, std::uint64_t pass) {
  if (is_full()) return;
  give_pending();
  note_change(of_edge(to), Change::Of::upstream, numbers_of(gradient), number_of(pass));
}

void Recorder::on_accumulation(const retrace::Accumulation& sum) {
  if (is_full()) return;
  const Id to = of_edge(sum.to);
  const Id before = numbers_of(sum.before), contribution = numbers_of(sum.contribution),
           after = numbers_of(sum.after);
  const std::uint32_t pass = number_of(sum.pass);
  // Ahead of the contribution, which is told with its sum.
  if (sum.in_grad) note_change(to, Change::Of::gradient, before);
  Id from = kNone;
  if (sum.from != nullptr) {
    from = of_edge({Ref<retrace::Node>::share(const_cast<retrace::Node*>(sum.from)), nullptr, 0});
    const auto given =
        std::find_if(pending_.begin(), pending_.end(), [&](const Contribution& pending) {
          return pending.node == from && pending.input == sum.input;
        });
    if (given != pending_.end()) {
      emit(std::move(*given));
      pending_.erase(given);
    }
  } else {
    give_pending();
  }
  if (sum.from == nullptr && !sum.in_grad) {
    last_pass_ = {.node = to,
                  .value = known_[to].value,
                  .gradient = contribution,
                  .seeds = last_pass_.seeds + 1,
                  .ops = ran_.size(),
                  .number = pass};
    return emit(Seed{to, before, contribution, after, pass});
  }
  emit(Accumulation{.node = to,
                    .in_grad = sum.in_grad,
                    .from = from,
                    .input = static_cast<std::uint32_t>(sum.input),
                    .before = before,
                    .contribution = contribution,
                    .after = after,
                    .fused = sum.fused,
                    .pass = pass});
}

// One event for all that are dropped together, behind what is told of them.
void Recorder::on_zero_grad(const Tensor& tensor) {
  if (is_full() || !tensor.grad().defined()) return;
  give_pending();
  std::vector<Event>& events = trace_.events;
  const std::size_t before = events.size();
  const Id node = of_tensor(tensor);
  note_change(node, Change::Of::gradient, gradient_of(tensor));
  if (before == 0 || !std::holds_alternative<ZeroGrad>(events[before - 1]))
    return emit(ZeroGrad{{node}});
  const auto last = events.begin() + static_cast<std::ptrdiff_t>(before) - 1;
  std::rotate(last, last + 1, events.end());
  if (!trace_.complete) return;  // there was no room for what it lost
  std::get<ZeroGrad>(events.back()).nodes.push_back(node);
  replay(events.back(), known_);
}

void Recorder::on_clip(const Clipping& clipping) {
  if (is_full()) return;
  give_pending();
  Clip event{clipping.norm, clipping.norm_type, clipping.max_norm, clipping.scale, {}};
  for (std::size_t k = 0; k < clipping.parameters.size(); ++k) {
    if (!clipping.before[k].defined()) continue;
    const Tensor& parameter = clipping.parameters[k];
    const Id node = of_tensor(parameter), before = numbers_of(clipping.before[k]);
    note_change(node, Change::Of::gradient, before);
    event.gradients.push_back({node, before, gradient_of(parameter)});
  }
  emit(std::move(event));
}

void Recorder::on_update(const retrace::Update& update) {
  if (is_full()) return;
  give_pending();
  const Id before = numbers_of(update.before), after = numbers_of(update.parameter);
  const Id node = of_leaf(update.parameter, before);
  note_change(node, Change::Of::gradient, numbers_of(update.gradient));
  Update event{std::string(update.optimizer), update.lr, update.step, node,
               numbers_of(update.gradient),   before,    after,       {}};
  for (const retrace::Update::Kept& kept : update.kept)
    event.kept.push_back({std::string(kept.name), numbers_of(kept.before), numbers_of(kept.after)});
  emit(std::move(event));
}

}  // namespace retrace::trace
