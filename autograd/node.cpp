#include <retrace/autograd/call_site.h>
#include <retrace/autograd/node.h>
#include <retrace/autograd/notes.h>
#include <retrace/autograd/observer.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/pool.h>
#include <retrace/tensor/scope.h>
#include <retrace/tensor/view.h>

#include <algorithm>
#include <utility>

namespace retrace {

thread_local constinit bool GradMode::enabled_ = true;
thread_local constinit bool SavedAsLeaves::active_ = false;

// Edges -----------------------------------------------------------------------------------------

const Shape& Edge::sizes() const { return node ? node->output_sizes(output) : leaf->sizes; }
DType Edge::dtype() const { return node ? node->output_dtype(output) : leaf->dtype; }

Edge edge_to(const Tensor& tensor) {
  const TensorData& data = tensor.get();
  if (data.producer) return {data.producer, nullptr, data.output};
  if (data.requires_grad) return {nullptr, tensor.ref(), 0};
  return {};
}

// Lifetime --------------------------------------------------------------------------------------

namespace {

std::atomic<std::uint64_t> next_number{1};
// Nodes whose last reference went while another node of this thread was being freed.
thread_local constinit Node* to_free = nullptr;
thread_local constinit bool freeing = false;

}  // namespace

Node::Node() = default;
Node::~Node() = default;

void* Node::operator new(std::size_t bytes) { return pool_allocate(bytes); }
void Node::operator delete(void* block, std::size_t bytes) noexcept { pool_free(block, bytes); }

std::string_view node_name(const Node& node) { return node.name(); }

void retain(Node* node) { node->references_.add(); }

// Freeing a node may drop the last reference to the one behind it, and so on down a chain of any
// length: those are put on a list instead of being freed inside each other.
void release(Node* node) {
  if (!node->references_.drop()) return;
  node->next_freed_ = to_free;
  to_free = node;
  if (freeing) return;
  freeing = true;
  while (to_free != nullptr) {
    Node* next = to_free;
    to_free = next->next_freed_;
    delete next;
  }
  freeing = false;
}

// Saved tensors ---------------------------------------------------------------------------------

void Node::save(const Tensor& tensor, int source) {
  saved_.push_back({tensor.detach().ref(), tensor.version(), source});
}

void Node::check_version(const Saved& saved) const {
  const std::uint32_t version = saved.tensor->storage->version;
  if (version == saved.version) [[likely]]
    return;
  const std::string which = saved.source >= 0              ? fmt::format("input {}", saved.source)
                            : saved.source <= kFirstOutput ? "its output"
                                                           : "a tensor";
  fail<AutogradError>(
      "{}: {}, {} {}, saved for backward, was changed in place since (version {}, saved at {}); "
      "change a clone() instead, or change it after backward",
      name(), which, saved.tensor->dtype, saved.tensor->sizes, version, saved.version);
}

void Node::check_saved() const {
  if (released_) [[unlikely]]
    fail<AutogradError>(
        "backward: the graph was freed by an earlier backward (at {} {}); pass retain_graph = true "
        "to the earlier one to go back twice",
        name(), sizes_);
  for (const Saved& saved : saved_) check_version(saved);
}

Tensor Node::unpack(int source, std::size_t k) const {
  check_saved();
  for (const Saved& saved : saved_) {
    if (saved.source != source || k-- > 0) continue;
    if (!GradMode::is_enabled() || source == kExtra) return Tensor(saved.tensor);
    // Backward is being recorded: what was saved stands for the input or output itself.
    Tensor alias = Tensor(saved.tensor).detach();
    if (SavedAsLeaves::is_active()) return alias.requires_grad_();
    if (source <= kFirstOutput) {
      alias.get().producer = Ref<Node>::share(const_cast<Node*>(this));
      alias.get().output = static_cast<std::uint32_t>(kFirstOutput - source);
      return alias;
    }
    const Edge& edge = edges_[static_cast<std::size_t>(source)];
    if (edge.leaf) return Tensor(edge.leaf);
    alias.get().producer = edge.node;
    alias.get().output = edge.output;
    return alias;
  }
  fail<AutogradError>(
      "{}: backward asks for a tensor that the op did not save; save it with save_input, "
      "save_output or save_extra",
      name());
}

void Node::release_saved() {
  saved_.clear();
  released_ = true;
}

// Recording -------------------------------------------------------------------------------------

thread_local constinit bool ops_watched = false;

NodeNotes& Node::notes() {
  if (!notes_) notes_ = std::make_unique<NodeNotes>();
  return *notes_;
}

std::string Node::place() const { return notes_ ? notes_->place : std::string(); }
std::string Node::call_site() const {
  return notes_ ? describe_call_site(notes_->call_stack) : std::string();
}

void connect(Node& node, std::span<const Tensor* const> inputs) {
  // Numbered here, when all inputs exist: backward relies on it.
  node.number_ = next_number.fetch_add(1, std::memory_order_relaxed);
  node.edges_.reset(inputs.size());
  std::size_t i = 0;
  for (const Tensor* input : inputs) {
    if (input->defined()) node.edges_[i] = edge_to(*input);
    ++i;
  }
  if (ops_watched) [[unlikely]] {
    node.notes().place = PlaceScope::current();
    node.notes().call_stack = capture_call_stack();
  }
}

void attach(const Tensor& output, Ref<Node> node, std::uint32_t k) {
  TensorData& data = output.get();
  require<AutogradError>(
      !data.producer && !data.requires_grad,
      "{}: its output {} of shape {} is {}; return a new tensor or a detach() "
      "from the forward computation, made without_recording",
      node->name(), k, data.sizes,
      data.producer ? "already the result of a recorded op" : "a leaf that wants a gradient");
  if (k == 0) {
    node->sizes_ = data.sizes;
    node->dtype_ = data.dtype;
  } else {
    if (node->other_outputs_.size() < k) node->other_outputs_.resize(k);
    node->other_outputs_[k - 1] = {data.sizes, data.dtype};
  }
  if (data.is_view) {
    data.recorded_view = true;
    data.storage->recorded_views.fetch_add(1, std::memory_order_relaxed);
  }
  data.output = k;
  data.producer = std::move(node);
}

// Hooks and retained gradients ------------------------------------------------------------------

void forget_tensor(TensorData& tensor) {
  delete std::exchange(tensor.hooks, nullptr);
  if (tensor.retains_grad && tensor.producer)
    std::erase_if(tensor.producer->notes().retained,
                  [&](const NodeNotes::Retained& entry) { return entry.tensor == &tensor; });
}

Tensor call_hook(GradientHook& hook, Tensor gradient) {
  Tensor changed = hook.call(gradient);
  if (!changed.defined()) return gradient;
  require<ShapeError>(
      changed.sizes() == gradient.sizes(),
      "hook: it was given a gradient of shape {} and returned one of shape {}; return "
      "the same shape",
      gradient.sizes(), changed.sizes());
  require<DTypeError>(changed.dtype() == gradient.dtype(),
                      "hook: it was given a {} gradient and returned {}; return the same dtype",
                      gradient.dtype(), changed.dtype());
  return changed;
}

void Tensor::add_hook(std::unique_ptr<GradientHook> hook) const {
  TensorData& data = get();
  require<AutogradError>(requires_grad(),
                         "register_hook: the tensor of shape {} wants no gradient; call "
                         "requires_grad_() first",
                         data.sizes);
  if (data.producer) {
    data.producer->notes().hooks.push_back({data.output, std::move(hook)});
  } else {
    if (data.hooks == nullptr) data.hooks = new LeafHooks;
    data.hooks->hooks.push_back(std::move(hook));
  }
}

void Tensor::retain_grad() const {
  TensorData& data = get();
  require<AutogradError>(requires_grad(),
                         "retain_grad: the tensor of shape {} wants no gradient; call "
                         "requires_grad_() first",
                         data.sizes);
  if (!data.producer || data.retains_grad) return;
  data.retains_grad = true;
  data.producer->notes().retained.push_back({data.output, &data});
}

}  // namespace retrace
